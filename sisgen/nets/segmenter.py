"""Few-shot segmenter: a small network that reads classes from a generator's own feature maps (RepurposeGAN, sec. 3).

The feature maps of all blocks (the hypercolumn) already know the parts of a picture, so that a handful of labelled samples
teaches it. Instead of raising hundreds of channels to full resolution first, every block is narrowed at its own resolution and
the sum climbs from coarse to fine, with a convolution at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.errors import InputError

MAX_CHANNELS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterConfig:
    """What a `Segmenter` is built from."""

    num_labels: int  # outputs L
    channels: tuple[int, ...]  # of the generator's blocks, coarse to fine, each twice the resolution of the one before; the finest may lack
    width: int = 48  # channels on the way up; the finest block has half of them

    def __post_init__(self) -> None:
        for name, value, most in (("num_labels", self.num_labels, 256), ("width", self.width, 512), ("blocks", len(self.channels), 12)):
            if not 1 <= value <= most:
                raise InputError(f"A segmenter's {name} must be in [1, {most}], but it is {value}; correct its config.")
        if not all(1 <= c <= MAX_CHANNELS for c in self.channels):
            came = ", ".join(map(str, self.channels))
            raise InputError(f"A segmenter's channels must be in [1, {MAX_CHANNELS}], but they are {came}; correct its config.")


class Step(nn.Module):
    """Takes in one block's features: standardise, narrow, add what came from below, mix."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, in_channels: int, below: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_channels))
        self.register_buffer("scale", torch.ones(in_channels))
        self.narrow = nn.Conv2d(in_channels, width, 1)
        self.match = nn.Conv2d(below, width, 1, bias=False) if below else None
        self.norm = nn.GroupNorm(min(8, width), width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """Bring [B, C, h, w] to zero mean and unit variance per channel, by the statistics of the training samples."""
        return (features.float() - self.mean[:, None, None]) * self.scale[:, None, None]

    def forward(self, features: torch.Tensor, below: torch.Tensor | None) -> torch.Tensor:
        """Bring features [B, C, h, w] and what came from below [B, C', h/2, w/2] to [B, width, h, w]."""
        x = self.narrow(self.standardise(features))
        if self.match is not None and below is not None:
            x = x + F.interpolate(self.match(below), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x + self.mix(F.relu(self.norm(x)))


class Segmenter(nn.Module):
    """Reads classes from the hypercolumn."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        last = len(config.channels) - 1
        widths = [config.width if i < last else max(config.width // 2, 1) for i in range(last + 1)]
        below = [0, *widths[:-1]]
        self.steps = nn.ModuleList(Step(c, b, w) for c, b, w in zip(config.channels, below, widths))
        self.head = nn.Sequential(nn.GroupNorm(min(8, widths[-1]), widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], config.num_labels, 1))

    @property
    def resolution(self) -> int:
        """Side of what it reads, in pixels: that of the finest block that it takes in."""
        return 4 * 2 ** (len(self.config.channels) - 1)

    @torch.no_grad()
    def calibrate(self, hypercolumn: Sequence[torch.Tensor]) -> None:
        """Take the mean and variance of every channel from the training samples; call once before training."""
        for step, features in zip(self.steps, hypercolumn):
            assert isinstance(step, Step)
            step.mean.copy_(features.float().mean(dim=(0, 2, 3)))
            step.scale.copy_(features.float().std(dim=(0, 2, 3)).clamp_min(1e-4).reciprocal())

    def forward(self, hypercolumn: Sequence[torch.Tensor]) -> torch.Tensor:
        """Give the logits of every class at every pixel.

        Args:
            hypercolumn: the feature map [B, C, r, r] of every block, coarse to fine; blocks finer than the config's are passed over.

        Returns:
            Float logits [B, L, H, W] at `resolution`.

        Raises:
            InputError: the number of blocks or their channels are not those of the config.
        """
        hypercolumn = hypercolumn[: len(self.config.channels)]
        came = tuple(features.shape[1] for features in hypercolumn)
        if came != self.config.channels:
            want = self.config.channels
            raise InputError(f"The segmenter's features must have {want} channels, but they have {came}; train it on this generator.")
        x = None
        for step, features in zip(self.steps, hypercolumn):
            x = step(features, x)
        return self.head(x).float()

    @torch.no_grad()
    def read(self, hypercolumn: Sequence[torch.Tensor]) -> torch.Tensor:
        """Give the most likely class of every pixel, int64 [B, H, W]."""
        return self(hypercolumn).argmax(dim=1)
