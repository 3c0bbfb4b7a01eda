"""Test scribbles: what is left of a full mask when a person only scribbles over it, made in other ways than the training's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from sisgen.train.drawings.fields import wobble_grid
from sisgen.train.drawings.scribbles import free_strokes, inner_distance
from sisgen.train.loop import generator_for

COLORED = 0.08  # share of the pixels that strokes cover at least; they grow by whole pixels, to 10% on average
CORE = 0.65  # share of a region's greatest depth below which it is eroded away
WOBBLE = 4.0  # pixels of 128
STREAM = 17  # of `generator_for`
FORMS = ("strokes", "eroded", "wobbled", "half")


def make_scribbles(form: str, labels: torch.Tensor, ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scribble over full masks.

    Args:
        form: "strokes" (10% of the pixels), "eroded" (the core of every region), "wobbled" (strokes off their place) or "half" (strokes
            of half of the classes only).
        labels: int64 [B, H, W].
        ids: of the pictures; a scribble hangs on its picture and id alone.

    Returns:
        The scribbles int64 [B, H, W], -1 where nothing is drawn, and the reference: the full masks, -1 where a class is left out.
    """
    sources = [generator_for(0, i, STREAM) for i in ids]
    inner = inner_distance(labels, labels.shape[-1] // 2)
    if form == "eroded":
        core = inner > CORE * _deepest_here(labels, inner)
        return torch.where(core, labels, -1), labels
    strokes = _strokes(labels, inner, sources)
    if form == "wobbled":
        reach = torch.full((len(labels),), WOBBLE * labels.shape[-1] / 128)
        moved = F.grid_sample(
            strokes[:, None].float() + 1, wobble_grid(sources, labels.shape[-1], reach), mode="nearest", align_corners=False
        )
        return moved[:, 0].round().long() - 1, labels
    if form == "half":
        gone = _half_of_the_classes(labels, sources)
        return torch.where(gone, -1, strokes), torch.where(gone, -1, labels)
    return strokes, labels


def _strokes(labels: torch.Tensor, inner: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Free strokes and a dot in the middle of every region, widened inside their regions until they cover the wanted share."""
    dots = inner == _deepest_here(labels, inner)
    drawn = free_strokes(labels, int(labels.max()) + 1, sources) | dots
    code = torch.where(drawn, labels, -1)
    for _ in range(labels.shape[-1] // 8):
        short = (code >= 0).float().mean(dim=(1, 2)) < COLORED
        if not bool(short.any()):
            break
        near = F.max_pool2d((code >= 0).float()[:, None], 3, 1, 1)[:, 0] > 0
        code = torch.where(short[:, None, None] & near, labels, code)
    return code


def _deepest_here(labels: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """The greatest inner distance of every pixel's class: [B, H, W]."""
    count = int(labels.max()) + 1
    deepest = torch.zeros(len(labels), count).scatter_reduce_(1, labels.flatten(1), inner.flatten(1).float(), reduce="amax")
    return deepest.gather(1, labels.flatten(1)).reshape(labels.shape)


def _half_of_the_classes(labels: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Where a class is that is left out, half of those of a picture, at random: bool [B, H, W]."""
    gone = torch.zeros_like(labels, dtype=torch.bool)
    for mask, left, source in zip(labels, gone, sources):
        held = mask.unique()
        for chosen in held[torch.randperm(len(held), generator=source)[: len(held) // 2]]:
            left |= mask == chosen
    return gone
