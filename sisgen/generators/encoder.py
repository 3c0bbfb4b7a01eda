"""Encoder of pictures into a generator's z, built of the discriminator's blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.generators.discriminator import DiscriminatorBlock
from sisgen.generators.stylegan2 import StyleGAN2Config
from sisgen.nets.layers import EqualLinear


class PictureEncoder(nn.Module):
    """Picture [B, 3, H, W] -> mean and log-variance of z, [B, D] each; space-to-depth stem, the discriminator's blocks."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.size = config.resolution // 2
        size = self.size
        while size > 4:
            seen = 12 if size == self.size else 0
            block = DiscriminatorBlock(config.channels[str(size)], config.channels[str(size // 2)], image_channels=seen)
            self.add_module(f"b{size}", block)
            size //= 2
        self.hidden = EqualLinear(config.channels["4"] * 16, 256, activation=True)
        self.out = EqualLinear(256, 2 * config.z_dim)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.pixel_unshuffle(image, 2)
        size = self.size
        while size > 4:
            x = getattr(self, f"b{size}")(x)
            size //= 2
        mean, log_variance = self.out(self.hidden(x.flatten(1))).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)
