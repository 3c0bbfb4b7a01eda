"""What every drawing tab can do, as plain functions over a `Pipeline`: no gradio, no web, so that a test or a script can call them."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.app.drawings import is_blank, read_drawings, to_canvas
from sisgen.app.keeping import KEY, pack_link
from sisgen.app.limits import Wish
from sisgen.app.painting import Drawing, PaintBatch, Painted, encode_download

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sisgen.app.context import Context, Registry
    from sisgen.app.photos import Photo

STROKE, READING, VARIATION = 0, 1, 2  # ranks in the lane: what a visitor waits for goes first


def submit(context: Context, visitor: str, wish: Wish, canvas: bytes, *, rank: int = STROKE, read_back: bool = False) -> Future[Painted]:
    """Queue a drawing as it comes from the page.

    Args:
        context: of this server.
        visitor: who asks.
        wish: the settings.
        canvas: as a PNG, see `drawings.read_drawings`.
        rank: STROKE, READING or VARIATION.
        read_back: whether to read labels and agreement back.

    Returns:
        A future of the picture.

    Raises:
        InputError: the drawing or the model is refused.
        BusyError: the lane is full.
    """
    with context.registry.lease(wish.model) as pipe:
        cells, *others = read_drawings(wish.kinds, canvas, pipe.labels)
        return submit_cells(context, visitor, wish, cells, *others, rank=rank, read_back=read_back)


def submit_cells(
    context: Context,
    visitor: str,
    wish: Wish,
    cells: np.ndarray,
    other: np.ndarray | None = None,
    *,
    rank: int = STROKE,
    read_back: bool = False,
) -> Future[Painted]:
    """Queue a drawing of the kind that `wish` names, of any size, with values as `drawings.read_drawings` gives them.

    `other` is the second drawing, where `wish` names one.
    """
    batch = make_batch(context, wish, cells, other, read_back=read_back)
    return queue(context, visitor, batch, Drawing(cells=cells, other=other, seed=wish.seed), rank)


def paint_jobs(
    context: Context,
    visitor: str,
    wishes: Sequence[Wish],
    cells: np.ndarray,
    other: np.ndarray | None = None,
    *,
    rank: int,
    patience: float,
) -> list[Painted]:
    """Paint what a button or a script asks for, and wait for it: in one call where a graphics card is lent, else in the lane.

    Args:
        context: of this server.
        visitor: who asks.
        wishes: alike but for their seeds.
        cells, other: the drawings, as for `submit_cells`.
        rank: READING or VARIATION.
        patience: seconds for one picture in the lane.
    """
    if context.loans is not None:
        drawings = [Drawing(cells=cells, other=other, seed=wish.seed) for wish in wishes]
        return context.loans.paint(make_batch(context, wishes[0], cells, other), drawings)
    # One after the other: at most one waiting request of a script, so that strokes of people come in between.
    return [submit_cells(context, visitor, one, cells, other, rank=rank).result(timeout=patience) for one in wishes]


def make_batch(context: Context, wish: Wish, cells: np.ndarray, other: np.ndarray | None = None, *, read_back: bool = False) -> PaintBatch:
    """Make the batch that a drawing belongs to; see `submit_cells`."""
    model = wish.model or context.registry.default
    blank = is_blank(wish.kind, cells)
    mixed = wish.also is not None and other is not None and not is_blank(wish.also, other)
    brought: dict[str, Any] = {}
    if wish.photo is not None:
        photo = context.photos.get(wish.photo, model)
        edited = not blank and bool((own_labels(context, photo) != cells).any())
        brought = {"photo": f"{wish.photo} {photo.inversion.key}", "use": wish.use, "edited": edited, "inversion": photo.inversion}
    return PaintBatch(
        registry=context.registry,
        model=model,
        truncation=wish.truncation,
        strength=wish.strength,
        read_back=read_back,
        kind=None if blank else wish.kind,
        also=wish.also if mixed else None,
        weight=wish.weight if mixed else 0.0,
        parts=wish.parts,
        **brought,
    )


def own_labels(context: Context, photo: Photo) -> np.ndarray:
    """Areas of a photograph on the canvas, int64 [256, 256]."""
    with context.registry.lease(photo.model) as pipe:
        return to_canvas(photo.inversion.labels[0].cpu().numpy(), pipe.labels)


def queue(context: Context, visitor: str, key: Any, payload: Any, rank: int) -> Future[Any]:
    """Queue work and hold its model until it is done: a model that was let go would be loaded again in the one lane of all."""
    held = ExitStack()
    held.enter_context(context.registry.lease(key.model))
    try:
        future = context.lane.submit(visitor, key, payload, rank=rank)
    except BaseException:
        held.close()
        raise
    future.add_done_callback(lambda _: held.close())
    return future


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadSample:
    """Read the own masks of plain samples; a key of the lane like `PaintBatch`, its payloads are seeds."""

    registry: Registry
    model: str
    truncation: float | None

    def __call__(self, seeds: Sequence[int]) -> list[np.ndarray]:
        """Return one int64 [256, 256] a seed."""
        with self.registry.lease(self.model) as pipe:
            masks = pipe.sample_labels(list(seeds), truncation=self.truncation).cpu().numpy()
            return [to_canvas(mask, pipe.labels) for mask in masks]


def submit_sample(context: Context, visitor: str, wish: Wish) -> Future[np.ndarray]:
    """Queue reading the own mask of the sample that `wish` names; the answer is int64 [256, 256]."""
    key = ReadSample(registry=context.registry, model=wish.model or context.registry.default, truncation=wish.truncation)
    return queue(context, visitor, key, wish.seed, READING)


def save_picture(context: Context, visitor: str, wish: Wish, canvas: bytes, scale: int) -> bytes:
    """Make the file of "download picture": a PNG in its own size or enlarged.

    All settings are in its text chunks; so are the drawings, for the page to open it again, unless a photograph is part of them.
    """
    with context.registry.lease(wish.model) as pipe:
        drawings = read_drawings(wish.kinds, canvas, pipe.labels)
    painted = paint_jobs(context, visitor, [wish], *drawings, rank=READING, patience=60)[0]
    if wish.photo is not None:
        return encode_download(painted, scale)
    return encode_download(painted, scale, {KEY: pack_link(wish, drawings, painted)})
