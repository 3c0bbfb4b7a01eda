"""Class-coloured strokes -> `Condition`: one-hot where a stroke is, nothing elsewhere (hop 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.conditions.mask import mask_condition
from sisgen.shapes import UNPAINTED
from sisgen.types import Condition, LabelSet

COVERED = 0.2  # share of a pixel that strokes must cover: thin strokes on a large canvas must not get lost


def scribble_condition(labels: NDArray[np.integer] | Sequence[NDArray[np.integer]], label_set: LabelSet, size: int) -> Condition:
    """Make one or many scribbles ready for their mapper.

    A scribble that is not square is padded around its middle, never stretched.

    Args:
        labels: integers [H, W], or several of them, of any sizes; -1 or 255 where nothing was drawn.
        label_set: the model's classes.
        size: the model's picture size in pixels.

    Returns:
        A condition with `map` float [B, L, size, size], one-hot where a stroke is, 0 elsewhere, and `labels` int64 [B, size, size] of
        the strokes, -1 elsewhere.

    Raises:
        InputError: as `mask_condition`.
    """
    shares = mask_condition(labels, label_set, size).map  # [B, L, size, size]
    best, classes = shares.max(dim=1)
    drawn = torch.where((shares.sum(dim=1) >= COVERED) & (best > 0), classes, torch.full_like(classes, UNPAINTED))
    one_hot = F.one_hot(drawn + 1, len(label_set) + 1)[..., 1:]  # unpainted falls away
    return Condition(kind="scribble", map=one_hot.permute(0, 3, 1, 2).float(), labels=drawn)
