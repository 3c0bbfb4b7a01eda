"""How far a picture follows its drawing, and where it does not: areas by their labels, lines by the edges found in the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.app.drawings import encode_runs, fit_labels, lines_to_canvas, make_condition, to_canvas
from sisgen.app.limits import EMPTY, LABEL_KINDS
from sisgen.app.painting import Painted
from sisgen.shapes import UNPAINTED

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline
    from sisgen.types import LabelSet

LOW, HIGH = 0.1, 0.2  # of the edges that are found in pictures


def tell_following(kind: str, painted: Painted, cells: np.ndarray, pipe: Pipeline) -> dict[str, Any]:
    """Say how far a picture follows a drawing of any kind; see `tell_agreement` and `tell_lines`."""
    if kind in LABEL_KINDS:
        return tell_agreement(painted, cells, pipe.labels)
    return {"share": None, "wrong": None} if kind == "depth" else tell_lines(kind, painted, cells, pipe)


def tell_lines(kind: str, painted: Painted, cells: np.ndarray, pipe: Pipeline) -> dict[str, Any]:
    """Compare drawn lines with the edges of the picture.

    Args:
        kind: of the lines.
        painted: the picture.
        cells: the drawing, uint8 [256, 256].
        pipe: the model.

    Returns:
        "share", the harmonic mean of "precision" and "recall" (`None` when nothing was drawn), and "wrong", runs of cells: 0 where
        the picture has no edge for a line, else 255.
    """
    from torch.nn.functional import adaptive_avg_pool2d

    from sisgen.io.images import to_float
    from sisgen.metrics.edges import LINE, TOLERANCE, edge_agreement, near
    from sisgen.nets.lines import canny, luminance

    drawn = make_condition(kind, [cells], pipe).map  # [1, 1, H, W]
    if not bool((drawn >= LINE).any()):
        return {"share": None, "wrong": None}
    picture = adaptive_avg_pool2d(to_float(painted.image[None]), drawn.shape[-1])
    found = canny(luminance(picture), LOW, HIGH)
    (told,) = edge_agreement(drawn, found)
    missed = (drawn >= LINE) & ~near(found > 0, TOLERANCE)
    wrong = lines_to_canvas(near(missed, 1.0)[0, 0].float().numpy())
    runs = encode_runs(np.where(wrong == 0, 0, EMPTY))
    return {"share": told.f, "precision": told.precision, "recall": told.recall, "wrong": runs}


def tell_agreement(painted: Painted, drawn: np.ndarray, label_set: LabelSet) -> dict[str, Any]:
    """Say how far a picture follows its drawing, and where it does not.

    Args:
        painted: read back.
        drawn: the drawing, int64 [256, 256].
        label_set: the model's classes.

    Returns:
        "share" in [0, 1] (`None` when nothing was drawn) and "wrong", runs of cells: 0 where it does not follow, else 255.
    """
    if painted.agreement is None or painted.labels is None or not (drawn != UNPAINTED).any():
        return {"share": None, "wrong": None}
    side = painted.labels.shape[0]
    drawn = fit_labels(drawn, label_set, side)
    wrong = (drawn != UNPAINTED) & (drawn != painted.labels)
    shown = to_canvas(np.where(_areas(wrong), 0, UNPAINTED), label_set)
    return {"share": painted.agreement.accuracy, "wrong": encode_runs(shown)}


def _areas(cells: np.ndarray) -> np.ndarray:
    """Keep cells with most of their 3 x 3 neighbours: an outline that is off by one pixel is no place to point at."""
    padded = np.pad(cells.astype(np.int64), 1)
    height, width = cells.shape
    near = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return cells & (near >= 5)
