"""From checked drawings to pictures: the batches that the lane runs, by one call of the `Pipeline` each."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sisgen.app.drawings import make_condition
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.app.context import Registry
    from sisgen.engines.regions import Regions
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline
    from sisgen.types import Agreement, Condition

SHOWN = 512  # side at which a picture is shown, in pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """One drawing with the seed of the sample that gives its colours.

    Attributes:
        cells: as `drawings.read_drawings` gives them, of any size.
        seed: in [0, 2**32 - 1].
        other: a second drawing, to be followed too; `None` for none.
    """

    cells: np.ndarray
    seed: int
    other: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Painted:
    """One picture and what is to be said about it.

    Attributes:
        image: uint8 RGB [H, W, 3].
        model: name and revision that made it, "name@revision".
        seed: of the sample.
        milliseconds: what the pipeline took for the batch that it was in.
        settings: all that it takes to make it again, JSON-ready.
        labels: int64 [H, W] read back from it; `None` unless asked for.
        agreement: with the drawing; `None` unless asked for and something was drawn.
    """

    image: np.ndarray
    model: str
    seed: int
    milliseconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: np.ndarray | None = None
    agreement: Agreement | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PaintBatch:
    """Paint drawings that share a model and its settings; equal batches may run together.

    Attributes:
        registry: where the model comes from.
        model: its name.
        truncation: `None` leaves it to the model.
        strength: how firmly the drawings are followed, in [0, 1].
        read_back: whether to read labels and agreement back.
        kind: what the drawings are; `None` when nothing at all was drawn, so that plain samples are asked for.
        photo: names a visitor's photograph in the state that it has; `None` for none.
        use: what is taken from it, one of `limits.USES`.
        edited: whether the drawings differ from the photograph's own areas.
        also: what the second drawings are; `None` for none.
        weight: share of the second drawings, in [0, 1].
        parts: classes that take their style from another sample, with its seed.
        inversion: the photograph.
    """

    registry: Registry
    model: str
    truncation: float | None
    strength: float
    read_back: bool
    kind: str | None
    photo: str | None = None
    use: str = "edit"
    edited: bool = True
    also: str | None = None
    weight: float = 0.0
    parts: tuple[tuple[str, int], ...] = ()
    inversion: Inversion | None = field(default=None, compare=False)

    def __call__(self, drawings: Sequence[Drawing]) -> list[Painted]:
        """Paint them all.

        Raises:
            InputError: the pipeline refuses an argument, or the device has too little memory.
        """
        from sisgen.io.images import to_uint8

        with self.registry.lease(self.model) as pipe:
            started = time.perf_counter()
            conditions = self._conditions(drawings, pipe)
            result = _spare_memory(
                pipe,
                conditions or None,
                seeds=[drawing.seed for drawing in drawings],
                truncation=self.truncation,
                strength=self.strength,
                weights=(1 - self.weight, self.weight) if len(conditions) > 1 else None,
                style=self._style(),
                read_back=self.read_back,
            )
            images = np.asarray(to_uint8(result.images))  # [B, H, W, 3]
            own = {name: value for name, value in result.settings.items() if name != "seeds"}  # others' seeds are theirs
            spent = 1000 * (time.perf_counter() - started)
            return [
                Painted(
                    image=images[i],
                    model=f"{pipe.name}@{pipe.revision}",
                    seed=drawing.seed,
                    milliseconds=spent,
                    settings=own | {"seed": drawing.seed},
                    labels=None if result.labels is None else result.labels[i].cpu().numpy(),
                    agreement=result.agreement[i] if result.agreement else None,
                )
                for i, drawing in enumerate(drawings)
            ]

    def _conditions(self, drawings: Sequence[Drawing], pipe: Pipeline) -> list[Condition]:
        """What is to be followed: nothing, one drawing a picture, or two."""
        conditions = []
        if self.inversion is not None and self.use == "shape" and not self.edited:
            conditions.append(pipe.exemplar(self.inversion))
        elif self.kind is not None:
            conditions.append(make_condition(self.kind, [drawing.cells for drawing in drawings], pipe))
        if self.also is not None:
            conditions.append(make_condition(self.also, [drawing.other for drawing in drawings if drawing.other is not None], pipe))
        return conditions

    def _style(self) -> Inversion | Regions | None:
        """Where the style comes from, `None` for the samples themselves."""
        from sisgen.engines.regions import Regions

        base = None if self.use == "shape" else self.inversion
        return Regions(sources=dict(self.parts), base=base) if self.parts else base


def _spare_memory(pipe: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the pipeline; say in one sentence when the device has too little memory."""
    import torch

    try:
        return pipe(*args, **kwargs)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise InputError("The graphics card has too little memory for this just now; try again in a moment.") from None


def encode_shown(image: np.ndarray) -> bytes:
    """Enlarge a picture to the size at which the page shows it, and encode it for the way there.

    Args:
        image: uint8 RGB [H, W, 3].

    Returns:
        A JPEG file of `SHOWN` pixels a side, without chroma subsampling.
    """
    buffer = io.BytesIO()
    _resized(image, SHOWN).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def encode_download(painted: Painted, scale: int, texts: Mapping[str, str] | None = None) -> bytes:
    """Encode a picture for keeping: a PNG whose text chunk holds all settings.

    Args:
        painted: the picture.
        scale: 1 for its own size, 4 for four times that.
        texts: for further text chunks; `None` for none.
    """
    from sisgen.io.images import encode_png

    settings = json.dumps({**painted.settings, "model": painted.model}, sort_keys=True)
    return encode_png(np.asarray(_resized(painted.image, painted.image.shape[0] * scale)), {"sisgen": settings, **(texts or {})})


def _resized(image: np.ndarray, side: int) -> Image.Image:
    picture = Image.fromarray(image)
    return picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)
