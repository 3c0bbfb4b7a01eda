"""Render portraits: seeds in; pictures, exact labels and exact depth out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sisgen.data.portraits.canvas import Canvas
from sisgen.data.portraits.eyes import paint_eyes
from sisgen.data.portraits.face import paint_brows, paint_lines, paint_mouth, paint_nose
from sisgen.data.portraits.hair import HairField, paint_back_hair, paint_front_hair
from sisgen.data.portraits.head import HeadField, paint_head
from sisgen.data.portraits.labels import NUM_CLASSES
from sisgen.data.portraits.sampling import draw_portrait
from sisgen.data.portraits.scene import paint_backdrop, paint_cloth, paint_ears, paint_neck
from sisgen.data.portraits.stacking import stack
from sisgen.data.portraits.wear import paint_glasses, paint_hat
from sisgen.errors import InputError

TRAIN_SEEDS = range(10**7)
VALIDATION_SEEDS = range(10**7, 10**7 + 10**4)
TEST_SEEDS = range(2 * 10**7, 2 * 10**7 + 500)

_GPU_CELLS = 2**22  # canvas cells that a GPU renders at once; a CPU renders one picture at once, which stays in its cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Portraits:
    """A batch of rendered portraits.

    Attributes:
        images: float [B, 3, H, W] in [-1, 1].
        labels: int64 [B, H, W], ids of `PORTRAIT_LABELS`.
        depth: float [B, H, W] in half picture sides, larger is nearer, 0 at the head's centre, -1 at the backdrop.
    """

    images: Tensor
    labels: Tensor
    depth: Tensor


def render(seeds: Sequence[int], size: int = 128, *, supersample: int = 2, device: torch.device | str | None = None) -> Portraits:
    """Render one portrait a seed.

    Args:
        seeds: what decides each picture; the picture of a seed does not depend on the others.
        size: side of the pictures in pixels, 16 to 1024.
        supersample: cells a pixel and axis, 1 to 4; labels are the majority of a pixel's cells.
        device: where to render; `None` is the CPU. On a CPU the picture of a seed is the same bit for bit in any batch.

    Returns:
        pictures, labels and depth on `device`.

    Raises:
        InputError: no seeds, or size or supersample out of range.
    """
    if not len(seeds):
        raise InputError("Rendering needs at least one seed, but none came; pass seeds=[0].")
    if not 16 <= size <= 1024:
        raise InputError(f"The size must be 16 to 1024 pixels, but it is {size}; render at 128 and enlarge.")
    if not 1 <= supersample <= 4:
        raise InputError(f"supersample must be 1 to 4, but it is {supersample}; 2 is the usual value.")
    place = torch.device(device) if device is not None else torch.device("cpu")
    chunk = 1 if place.type == "cpu" else max(1, _GPU_CELLS // (size * supersample) ** 2)
    parts = [_render_chunk(seeds[start : start + chunk], size, supersample, place) for start in range(0, len(seeds), chunk)]
    images, labels, depth = (torch.cat(planes) for planes in zip(*parts))
    return Portraits(images=images, labels=labels, depth=depth)


@torch.inference_mode()
def _render_chunk(seeds: Sequence[int], size: int, supersample: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    portraits = tuple(draw_portrait(int(seed)) for seed in seeds)
    p = stack(portraits, device)
    canvas = Canvas(len(portraits), size, supersample, device)
    field = HeadField(canvas, portraits, p)
    hair = HairField(field, p)

    # Back to front.
    paint_backdrop(canvas, portraits, p)
    paint_back_hair(canvas, field, hair, p)
    paint_neck(canvas, portraits, p)
    paint_cloth(canvas, portraits, p)
    paint_head(canvas, field, p)
    paint_ears(canvas, field, p)
    paint_lines(canvas, field, p)
    paint_nose(canvas, field, p)
    paint_mouth(canvas, field, p)
    paint_eyes(canvas, field, p)
    paint_brows(canvas, field, p)
    paint_glasses(canvas, field, p)
    paint_front_hair(canvas, field, hair, p)
    paint_hat(canvas, field, p)

    images = F.avg_pool2d(canvas.image, supersample).clamp_(0.0, 1.0).mul_(2.0).sub_(1.0)
    return images, majority(canvas.labels, supersample), F.avg_pool2d(canvas.depth[:, None], supersample)[:, 0]


def majority(labels: Tensor, factor: int) -> Tensor:
    """Shrink label maps [B, H, W] (uint8) by a whole factor; each pixel takes its cells' most frequent class, the later id on a tie."""
    if factor == 1:
        return labels.long()
    cells = [labels[:, i::factor, j::factor].contiguous() for i in range(factor) for j in range(factor)]
    return (_mode_of_four(*cells) if factor == 2 else _mode(cells)).long()


def _mode_of_four(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    low_2, high_2 = torch.minimum(c, d), torch.maximum(c, d)
    first, last = torch.minimum(low, low_2), torch.maximum(high, high_2)
    middle, middle_2 = torch.maximum(low, low_2), torch.minimum(high, high_2)
    second, third = torch.minimum(middle, middle_2), torch.maximum(middle, middle_2)
    outside = torch.where((first == second) & (third != last), first, last)
    return torch.where(second == third, second, outside)


def _mode(cells: list[Tensor]) -> Tensor:
    best, winner = torch.zeros_like(cells[0]), torch.zeros_like(cells[0])
    for c in range(NUM_CLASSES):
        count = torch.stack([cell == c for cell in cells]).sum(0, dtype=torch.uint8)
        winner.masked_fill_((count >= best) & (count > 0), c)
        best = torch.maximum(best, count)
    return winner
