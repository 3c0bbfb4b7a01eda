"""Drawings that the page does not ask a visitor to make: lines found in pictures, strokes and borders of masks, examples of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.app.actions import READING, queue
from sisgen.app.canvases import read_canvas
from sisgen.app.description import read_masks
from sisgen.app.detectors import depth_network, edge_detector
from sisgen.app.drawings import encode_runs, fit_labels, lines_to_canvas, to_canvas
from sisgen.app.limits import CANVAS, EMPTY, LABEL_KINDS, Wish, read_number
from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sisgen.app.context import Context, Registry
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition

NUM_EXAMPLES = 6
FIRST_EXAMPLE = 20  # samples whose lines are examples start here
DEEPEST = 24  # steps from a border that are counted when a mask is thinned to strokes
LOW, HIGH, MOST = 0.1, 0.2, 2.6  # of Canny's thresholds, and what they may be at most
LEAST = 0.01
STRENGTHS = (0.2, 0.1, 0.05, 0.02)  # of the lines of a picture, until there are more than a few
FEW = 0.01
DETECTORS: dict[str, str] = {}  # what is said about how lines of a kind are found, once that is known


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """How lines are found.

    Attributes:
        kind: one of `limits.KINDS` but "mask".
        low: Canny's threshold above which an edge goes on.
        high: Canny's threshold above which an edge begins.
        edges: whether the picture is an edge map already; `None` looks.
        drawn: whether the picture is a drawing by hand, not a picture of something.
    """

    kind: str
    low: float = LOW
    high: float = HIGH
    edges: bool | None = None
    drawn: bool = False


def read_trace(values: Mapping[str, object], kind: str) -> Trace:
    """Check how lines are to be found, as it came with a request.

    Raises:
        InputError: a threshold is out of range.
    """
    low = read_number("lower threshold", values.get("low", LOW), LEAST, MOST)
    edges = {"yes": True, "no": False}.get(str(values.get("edges")))
    high = read_number("upper threshold", values.get("high", HIGH), LEAST, MOST)
    return Trace(kind=kind, low=min(low, high), high=high, edges=edges, drawn=values.get("of") == "drawing")


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceBatch:
    """Find drawings in samples, pictures or masks; a key of the lane like `PaintBatch`.

    Its payloads are functions that give a picture, uint8 [H, W, 3], or a mask, int64 [H, W]; the model is handed to them.
    """

    registry: Registry
    model: str
    trace: Trace

    def __call__(self, sources: Sequence[Callable[[Pipeline], np.ndarray]]) -> list[np.ndarray]:
        """Return one canvas a source: int64 [256, 256] in classes with -1 for none, or uint8 [256, 256], see `drawings`."""
        with self.registry.lease(self.model) as pipe:
            return [trace_source(pipe, source(pipe), self.trace) for source in sources]


def submit_trace(context: Context, visitor: str, wish: Wish, trace: Trace, source: Callable[[Pipeline], np.ndarray]) -> Future[np.ndarray]:
    """Queue finding a drawing."""
    key = TraceBatch(registry=context.registry, model=wish.model or context.registry.default, trace=trace)
    return queue(context, visitor, key, source, READING)


def of_sample(wish: Wish) -> Callable[[Pipeline], np.ndarray]:
    """Take the plain sample that `wish` names; for strokes its own mask."""

    def source(pipe: Pipeline) -> np.ndarray:
        from sisgen.io.images import to_uint8

        if wish.kind in LABEL_KINDS:
            return pipe.sample_labels([wish.seed], truncation=wish.truncation)[0].numpy()
        return to_uint8(pipe(None, seeds=[wish.seed], truncation=wish.truncation).images)[0]

    return source


def of_file(data: bytes) -> Callable[[Pipeline], np.ndarray]:
    """Take a picture's file, read here and now.

    Raises:
        InputError: it is no picture, or too large.
    """
    from sisgen.io.images import load_image

    picture = load_image(data)
    return lambda _: picture


def of_canvas(data: bytes) -> Callable[[Pipeline], np.ndarray]:
    """Take a mask as the page sends it."""
    return lambda pipe: read_canvas(data, len(pipe.labels))


def read_picture_labels(context: Context, wish: Wish, data: bytes) -> np.ndarray:
    """Read the labels of a picture, such as one that another tab made: int64 [256, 256]."""
    from sisgen.io.images import load_image, to_float

    picture = load_image(data)
    with context.registry.lease(wish.model) as pipe:
        size = pipe.drawing_size
        square = _square(picture, size)
        labels = pipe.engine.reader.read(to_float(square[None]).to(pipe.device))[0].cpu().numpy()
        return to_canvas(labels, pipe.labels)


def trace_source(pipe: Pipeline, source: np.ndarray, trace: Trace) -> np.ndarray:
    """Make a drawing of a picture or a mask, on the canvas.

    Raises:
        InputError: the picture shows no lines, or is no drawing although it should be.
    """
    if source.ndim == 2:
        return thin_mask(source, pipe) if trace.kind == "scribble" else outline_mask(source, pipe)
    lines = find_lines(source, pipe, trace).map[0, 0].cpu().numpy()
    if not lines.any():
        raise InputError("This picture shows no lines at all; take another one, or lower the thresholds.")
    return lines_to_canvas(lines)


def find_lines(picture: np.ndarray, pipe: Pipeline, trace: Trace) -> Condition:
    """Make a condition of a picture, uint8 [H, W, 3], as its kind says."""
    from sisgen.conditions.sketch import looks_like_photo, sketch_condition

    size = pipe.drawing_size
    if trace.kind == "canny":
        from sisgen.conditions.canny import canny_condition

        return canny_condition(picture, size, low=trace.low, high=trace.high, edges=trace.edges)
    if trace.kind == "hed":
        from sisgen.conditions.hed import hed_condition

        detector = edge_detector(pipe.device)
        DETECTORS["hed"] = f"Detector: {detector.source}."
        return hed_condition(picture, size, detector)
    if trace.kind == "depth":
        from sisgen.conditions.depth import depth_condition

        return depth_condition(picture, size, depth_network(pipe.device))
    if not trace.drawn:
        return _strong_lines(picture, size)
    if looks_like_photo(picture):
        raise InputError("This looks like a photograph, but a drawing of lines is needed here; choose Edges to have its lines found.")
    return sketch_condition(picture, size)


def _strong_lines(picture: np.ndarray, size: int) -> Condition:
    """Find the lines that a hand would draw of a picture of something."""
    import torch

    from sisgen.conditions.pictures import square_picture
    from sisgen.nets.lines import canny, luminance
    from sisgen.types import Condition

    grey = luminance(square_picture(picture, size))
    lines = torch.zeros_like(grey)
    for level in STRENGTHS:
        lines = canny(grey, level, 2 * level, sigma=1.4)
        if float(lines.mean()) > FEW:
            break
    return Condition(kind="sketch", map=lines)


def thin_mask(labels: np.ndarray, pipe: Pipeline) -> np.ndarray:
    """Thin a mask to strokes along the middle of its areas: int64 [256, 256], -1 where none is."""
    import torch

    from sisgen.train.drawings.scribbles import inner_distance

    whole = fit_labels(labels, pipe.labels, CANVAS // 2)
    depth = inner_distance(torch.from_numpy(whole)[None], DEEPEST)[:, None].float()  # [1, 1, h, w]
    highest = torch.nn.functional.max_pool2d(depth, 3, 1, 1)
    ridge = (highest == depth) & (torch.nn.functional.avg_pool2d(depth, 3, 1, 1, count_include_pad=False) < depth)
    ridge = torch.nn.functional.max_pool2d(ridge.float(), 3, 1, 1) > 0
    strokes = np.where(ridge[0, 0].numpy(), whole, UNPAINTED)
    return strokes.repeat(2, axis=0).repeat(2, axis=1)


def outline_mask(labels: np.ndarray, pipe: Pipeline) -> np.ndarray:
    """Draw the borders of a mask's areas: uint8 [256, 256], 0 on a border."""
    whole = fit_labels(labels, pipe.labels, CANVAS // 2)
    border = np.zeros(whole.shape, dtype=bool)
    border[:, :-1] |= whole[:, :-1] != whole[:, 1:]
    border[:-1] |= whole[:-1] != whole[1:]
    cells = np.where(border, 0, EMPTY).astype(np.uint8)
    return cells.repeat(2, axis=0).repeat(2, axis=1)


def submit_examples(context: Context, visitor: str, wish: Wish) -> Future[list[dict[str, Any]]]:
    """Queue making the example drawings of the kind that `wish` names; see `ExamplesBatch`."""
    key = ExamplesBatch(context=context, model=wish.model or context.registry.default, truncation=wish.truncation)
    return queue(context, visitor, key, wish.kind, READING)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamplesBatch:
    """Make example drawings: of masks where there are some for a kind, else of samples; a key of the lane, its payloads are kinds."""

    context: Context
    model: str
    truncation: float | None

    def __call__(self, kinds: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return lists of name, runs and, for samples, their seed."""
        with self.context.registry.lease(self.model) as pipe:
            return [self._make(pipe, kind) for kind in kinds]

    def _make(self, pipe: Pipeline, kind: str) -> list[dict[str, Any]]:
        trace, masks = Trace(kind=kind), read_masks(self.context, pipe) if kind in ("scribble", "sketch") else []
        examples: list[dict[str, Any]] = [{"name": name, "runs": encode_runs(trace_source(pipe, mask, trace))} for name, mask in masks]
        for seed in range(FIRST_EXAMPLE, FIRST_EXAMPLE + NUM_EXAMPLES - len(masks)):
            wish = Wish(seed=seed, truncation=self.truncation, kind=kind)
            runs = encode_runs(trace_source(pipe, of_sample(wish)(pipe), trace))
            examples.append({"name": f"sample {seed}", "runs": runs, "seed": seed})
        return examples


def _square(picture: np.ndarray, size: int) -> np.ndarray:
    """Bring a picture to [size, size, 3], its longer side cut."""
    from PIL import Image, ImageOps

    return np.array(ImageOps.fit(Image.fromarray(picture), (size, size), Image.Resampling.LANCZOS))
