"""Where evaluation takes real pictures from, with exact labels or without: a cache, or the renderer itself."""

from __future__ import annotations

import torch

from sisgen.data.cache import PortraitCache
from sisgen.data.portraits import PORTRAIT_LABELS, TEST_SEEDS, render
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline
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

    def images(self, start: int, num: int) -> torch.Tensor:
        """Give the pictures alone."""
        return self.pairs(start, num)[0]

    def masks(self, start: int, num: int) -> torch.Tensor:
        """Give the labels alone."""
        return self.pairs(start, num)[1]


class CachePictures:
    """The pictures of a cache, with its labels as masks; photographs have none, and the model's own samples stand in with theirs.

    Args:
        cache: of the model's size.
        pipe: reads its own samples.
        first: seed of the first sample.
        least: pictures that the cache must hold.

    Raises:
        InputError: it holds fewer.
    """

    def __init__(self, cache: PortraitCache, pipe: Pipeline, *, first: int, least: int) -> None:
        if len(cache) < least:
            raise InputError(f"The cache {cache.path} must hold at least {least} pictures, but it holds {len(cache)}; lower --fd.")
        self.cache, self.pipe, self.first = cache, pipe, first

    def images(self, start: int, num: int) -> torch.Tensor:
        """Give float [B, 3, H, W] in [-1, 1] from `start` on."""
        return self.cache.images(range(start, start + num))

    def masks(self, start: int, num: int) -> torch.Tensor:
        """Give int64 [B, H, W] from `start` on."""
        if self.cache.has_labels:
            return self.cache.labels(range(start, start + num))
        return self.pipe.sample_labels(range(self.first + start, self.first + start + num))
