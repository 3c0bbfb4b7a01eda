"""Where evaluation takes real pictures with exact labels from: a cache, or the renderer itself."""

from __future__ import annotations

import torch

from sisgen.data.cache import PortraitCache
from sisgen.data.portraits import PORTRAIT_LABELS, TEST_SEEDS, render
from sisgen.errors import InputError
from sisgen.types import LabelSet

FD_SEEDS = 30_000_000  # beyond those of training, validation and test


class RenderedPairs:
    """Portraits rendered on the fly.

    Args:
        size: side of the pictures.
        label_set: the model's classes, which must be those of the portraits.
        first: seed of the first one; the test seeds by default.

    Raises:
        InputError: the model has other classes.
    """

    def __init__(self, size: int, label_set: LabelSet, first: int = TEST_SEEDS.start) -> None:
        if label_set.names != PORTRAIT_LABELS.names:
            came = ", ".join(label_set.names)
            raise InputError(f"Rendered portraits need a model with their classes, but it has {came}; measure --stages bcd.")
        self.size, self.first = size, first

    def pairs(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give float [B, 3, H, W] in [-1, 1] and int64 [B, H, W] from `start` on."""
        portraits = render(range(self.first + start, self.first + start + num), self.size)
        return portraits.images, portraits.labels


class CachePairs:
    """The pictures of a cache.

    Args:
        cache: with labels, of the model's size.
        least: pictures that it must hold.

    Raises:
        InputError: it holds fewer.
    """

    def __init__(self, cache: PortraitCache, *, least: int) -> None:
        if len(cache) < least:
            raise InputError(f"The cache {cache.path} must hold at least {least} pictures, but it holds {len(cache)}; lower --fd.")
        self.cache = cache

    def pairs(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give float [B, 3, H, W] in [-1, 1] and int64 [B, H, W] from `start` on."""
        indices = range(start, start + num)
        return self.cache.images(indices), self.cache.labels(indices)
