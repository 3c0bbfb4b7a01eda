"""Pictures with labels for training readers: from a cache of renders, or made on the fly by a generator and a few-shot segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.segmenter import Segmenter
from sisgen.train.labelled_samples import run_hypercolumn
from sisgen.train.loop import generator_for

TRAIN_STREAM, HELD_STREAM = 11, 12  # streams of `generator_for` that latents come from


class PairSource(Protocol):
    """Where pictures with labels come from."""

    def train(self, sample_ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the training pairs of running sample ids: float [B, 3, H, W] in [-1, 1] and int64 [B, H, W]."""
        ...

    def held_out(self, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the first `num` pairs that `train` never gives."""
        ...


class PictureCache(Protocol):
    """A cache of labelled pictures, read by index."""

    def __len__(self) -> int: ...

    def images(self, indices: Sequence[int]) -> torch.Tensor: ...

    def labels(self, indices: Sequence[int]) -> torch.Tensor: ...


class CachedPairs:
    """Pairs of a cache in an order that is new every epoch; its last pictures are held out.

    Args:
        cache: pictures with labels.
        seed: of the order.
        hold: pictures held out; at most half of the cache.
        half: 1 or 2 trains on the even or odd pictures only, so that two readers share none; `None` takes all.
    """

    def __init__(self, cache: PictureCache, *, seed: int, hold: int = 512, half: int | None = None) -> None:
        self.cache, self.seed = cache, seed
        last = len(cache) - min(hold, len(cache) // 2)
        self._train = np.arange(0 if half is None else half - 1, last, 1 if half is None else 2)
        self._held = np.arange(last, len(cache))
        if not len(self._train) or not len(self._held):
            raise TrainingError(f"Training a reader needs a cache of at least 4 pictures, but it has {len(cache)}; render more.")
        self._orders: dict[int, np.ndarray] = {}

    def train(self, sample_ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the pairs of running sample ids; see `PairSource`."""
        indices = [int(self._order(i // len(self._train))[i % len(self._train)]) for i in sample_ids]
        return self.cache.images(indices), self.cache.labels(indices)

    def held_out(self, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give pairs from the end of the cache; see `PairSource`."""
        indices = self._held[:num].tolist()
        return self.cache.images(indices), self.cache.labels(indices)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self._train[np.random.default_rng([self.seed, epoch]).permutation(len(self._train))]
        return self._orders[epoch]


class SampledPairs:
    """A generator's samples with the labels that a few-shot segmenter reads in their feature maps, both of the segmenter's resolution.

    Args:
        generator: in evaluation mode.
        segmenter: made for this generator.
        seed: of the latents.
        psi: least and greatest truncation; every sample draws its own.
    """

    def __init__(self, generator: StyleGAN2, segmenter: Segmenter, *, seed: int, psi: tuple[float, float] = (0.5, 1.0)) -> None:
        self.generator, self.segmenter, self.seed, self.psi = generator, segmenter, seed, psi

    def train(self, sample_ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the pairs of running sample ids; see `PairSource`."""
        return self._make(sample_ids, TRAIN_STREAM)

    def held_out(self, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make pairs from latents of their own; see `PairSource`."""
        parts = [self._make(range(start, min(start + 16, num)), HELD_STREAM) for start in range(0, num, 16)]
        return torch.cat([images.cpu() for images, _ in parts]), torch.cat([labels.cpu() for _, labels in parts])

    @torch.no_grad()
    def _make(self, ids: Sequence[int], stream: int) -> tuple[torch.Tensor, torch.Tensor]:
        sources = [generator_for(self.seed, i, stream) for i in ids]
        low, high = self.psi
        psi = torch.stack([low + (high - low) * torch.rand(1, generator=g) for g in sources])  # [B, 1]
        z = torch.stack([torch.randn(self.generator.config.z_dim, generator=g) for g in sources])
        device = next(self.generator.parameters()).device
        ws = self.generator.map(z.to(device), psi=psi.to(device))
        images, hypercolumn = run_hypercolumn(self.generator, ws, self.segmenter.resolution)
        return images, self.segmenter.read(hypercolumn)
