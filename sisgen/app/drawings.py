"""A drawing of any kind: read from the canvas, made ready for the `Pipeline`, brought onto the canvas, written as runs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sisgen.app.canvases import read_cells, read_classes
from sisgen.app.limits import CANVAS, EMPTY, LABEL_KINDS
from sisgen.shapes import UNPAINTED

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition, LabelSet


def read_drawings(kinds: Sequence[str], data: bytes, label_set: LabelSet) -> list[np.ndarray]:
    """Decode what came from the page.

    Args:
        kinds: of the drawings, each one of `limits.KINDS`.
        data: the PNG file that holds them, one below the other; see `canvases.read_cells`.
        label_set: the model's classes.

    Returns:
        Of each, classes, int64 [256, 256] with -1 where nothing was drawn; or lines, uint8 [256, 256] with 0 for a full line,
        255 for none.

    Raises:
        InputError: it is no such file.
    """
    sheets = np.split(read_cells(data, len(kinds)), len(kinds))
    return [read_classes(cells, len(label_set)) if kind in LABEL_KINDS else cells for kind, cells in zip(kinds, sheets)]


def is_blank(kind: str, cells: np.ndarray) -> bool:
    """Whether nothing at all was drawn."""
    return not (cells != (UNPAINTED if kind in LABEL_KINDS else EMPTY)).any()


def make_condition(kind: str, drawings: Sequence[np.ndarray], pipe: Pipeline) -> Condition:
    """Make drawings of one kind ready for a model, one after the other in the batch."""
    from sisgen.conditions.mask import mask_condition

    if kind == "mask":
        return mask_condition(list(drawings), pipe.labels, pipe.drawing_size)
    if kind == "scribble":
        from sisgen.conditions.scribble import scribble_condition

        return join_conditions([scribble_condition(one, pipe.labels, pipe.drawing_size) for one in drawings])
    return join_conditions([_pool_lines(kind, one, pipe.drawing_size) for one in drawings])


def join_conditions(conditions: Sequence[Condition]) -> Condition:
    """Put conditions of one kind into one batch."""
    import torch

    from sisgen.types import Condition

    labels = [condition.labels for condition in conditions if condition.labels is not None]
    maps = torch.cat([condition.map for condition in conditions])
    return Condition(kind=conditions[0].kind, map=maps, labels=torch.cat(labels) if len(labels) == len(conditions) else None)


def _pool_lines(kind: str, cells: np.ndarray, size: int) -> Condition:
    """Bring drawn lines to a model's size: lines that came from there come back as they were."""
    import torch

    from sisgen.types import Condition

    shares = torch.from_numpy(1 - cells.astype(np.float32) / EMPTY)[None, None]  # [1, 1, H, W]
    return Condition(kind=kind, map=torch.nn.functional.adaptive_avg_pool2d(shares, size))


def lines_to_canvas(lines: np.ndarray) -> np.ndarray:
    """Bring lines of any square size onto the canvas.

    Args:
        lines: float [H, H] in [0, 1], 1 for a full line.

    Returns:
        uint8 [256, 256], 0 for a full line, in 16 steps so that runs stay short.
    """
    side = lines.shape[0]
    places = np.minimum((np.arange(CANVAS) + 0.5) * side / CANVAS, side - 1).astype(np.int64)
    steps = np.round(np.clip(lines, 0, 1) * 15)[np.ix_(places, places)]
    return (EMPTY - steps * 17).astype(np.uint8)


def to_canvas(labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """Bring a label map of any size onto the canvas, int64 [256, 256]; see `fit_labels`."""
    return fit_labels(labels, label_set, CANVAS)


def fit_labels(labels: np.ndarray, label_set: LabelSet, side: int) -> np.ndarray:
    """Bring a label map of any size to int64 [side, side]: padded to a square, every cell its largest class."""
    from sisgen.conditions.mask import mask_condition

    condition = mask_condition(labels, label_set, side)
    assert condition.labels is not None
    return condition.labels[0].numpy()


def encode_runs(labels: np.ndarray) -> str:
    """Write a drawing of any kind as runs: pairs of a cell's value (255 for unpainted) and a length as a base-128 number, all in base64."""
    cells = np.where(labels == UNPAINTED, EMPTY, labels).ravel()
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    lengths = np.diff(starts, append=cells.size)
    out = bytearray()
    for value, length in zip(cells[starts].tolist(), lengths.tolist(), strict=True):
        out.append(value)
        while length > 127:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    return base64.b64encode(bytes(out)).decode()
