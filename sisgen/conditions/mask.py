"""A drawn mask -> `Condition`: soft one-hot channels by area pooling, so that a brow survives the way down (hop 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED
from sisgen.types import Condition, LabelSet

UNPAINTED_INDEX = 255  # unpainted in index maps that come straight from a canvas or a file
MOST_SAMPLES = 8  # a side; a pixel's shares are counted over at most 8 x 8 places of the mask


def mask_condition(labels: NDArray[np.integer] | Sequence[NDArray[np.integer]], label_set: LabelSet, size: int) -> Condition:
    """Make one or many drawn masks ready for the mask mapper.

    A mask that is not square is padded with unpainted pixels around its middle, never stretched.

    Args:
        labels: integers [H, W], or several of them, of any sizes; -1 or 255 where nothing was drawn.
        label_set: the model's classes.
        size: the model's picture size in pixels.

    Returns:
        a condition with `map` float [B, L, size, size] in [0, 1] (0 in all channels where nothing was drawn) and
        `labels` int64 [B, size, size], the class that covers most of each pixel.

    Raises:
        InputError: no mask, not two-dimensional, empty, no integers, or a label that is no class.
    """
    masks = [labels] if isinstance(labels, np.ndarray) and labels.ndim == 2 else list(labels)
    if not masks:
        raise InputError("At least one mask is needed, but none came; pass a label map [H, W].")
    pooled = [_pool(_to_square(_checked(mask, len(label_set))), len(label_set), size) for mask in masks]
    shares, classes = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*pooled))
    return Condition(kind="mask", map=shares, labels=classes)


def hard_labels(counts: torch.Tensor) -> torch.Tensor:
    """Choose the class of every pixel.

    Args:
        counts: float [B, L + 1, H, W], whole numbers: how often a pixel shows each class and, last, unpainted; small ones.

    Returns:
        int64 [B, H, W], the first of the most frequent classes; -1 where unpainted is at least as frequent as every class.
    """
    # Ranks part equals, and tell whose count is the largest: that is faster than to ask for the place of a maximum.
    num = counts.shape[1]
    ranks = torch.cat([torch.arange(num - 2, -1, -1), torch.tensor([num - 1])])[:, None, None]  # UNPAINTED is num - 2 - the last
    return num - 2 - (counts * num + ranks).amax(dim=1).remainder(num).long()


def crop_box(height: int, width: int, size: int) -> tuple[int, int, int, int]:
    """Find a mask's own part of the square picture that was made from it.

    Args:
        height, width: the mask's size before it was padded.
        size: side of the picture.

    Returns:
        top, left, bottom, right in the picture's pixels.
    """
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    edges = (top, left, top + height, left + width)
    first, second, third, fourth = (round(edge * size / side) for edge in edges)
    return first, second, max(third, first + 1), max(fourth, second + 1)


def _checked(mask: NDArray[np.integer], num_labels: int) -> NDArray[np.int64]:
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.size == 0:
        raise InputError(f"A mask must be [H, W] with at least one pixel, but it has the shape {list(mask.shape)}.")
    if not np.issubdtype(mask.dtype, np.integer):
        raise InputError(f"A mask must hold integers, but it holds {mask.dtype}; pass class ids.")
    drawn = np.where(mask.astype(np.int64) == UNPAINTED_INDEX, UNPAINTED, mask.astype(np.int64))
    low, high = int(drawn.min()), int(drawn.max())
    if low < UNPAINTED or high >= num_labels:
        wrong = low if low < UNPAINTED else high
        raise InputError(f"A mask must hold class ids 0..{num_labels - 1} or -1 for unpainted, but it holds {wrong}.")
    return drawn


def _to_square(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    height, width = mask.shape
    side = max(height, width)
    if height == width:
        return mask
    square = np.full((side, side), UNPAINTED, dtype=np.int64)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = mask
    return square


def _pool(mask: NDArray[np.int64], num_labels: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares of every class, float [1, L, size, size], and the class of every pixel, int64 [1, size, size]."""
    fold = min(MOST_SAMPLES, -(-mask.shape[0] // size))
    side = size * fold
    if mask.shape[0] != side:
        # Sampled so that each pixel takes a whole number of samples: counting is then exact, and cheap for any size.
        places = ((np.arange(side) + 0.5) * mask.shape[0] / side).astype(np.int64)
        mask = mask[np.ix_(places, places)]
    channels = np.where(mask == UNPAINTED, num_labels, mask)
    cells = np.arange(side) // fold
    flat = (channels * size + cells[:, None]) * size + cells[None, :]
    counts = np.bincount(flat.ravel(), minlength=(num_labels + 1) * size * size).astype(np.float32)
    pooled = torch.from_numpy(counts).view(1, num_labels + 1, size, size)
    return pooled[:, :-1] / fold**2, hard_labels(pooled)
