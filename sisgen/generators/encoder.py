"""Encoder of pictures into a generator's z, built of the discriminator's blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.generators.discriminator import DiscriminatorBlock
from sisgen.generators.stylegan2 import StyleGAN2Config
from sisgen.nets.layers import EqualLinear


class PictureEncoder(nn.Module):
    """Picture [B, 3, H, W] -> mean and log-variance of z, [B, D] each; the discriminator's blocks.

    Args:
        config: of the generator.
        resolution: side of the pictures; `None` = the generator's.
        unpack: 2 reads the picture by space-to-depth at half its resolution, as `Discriminator` can.
    """

    def __init__(self, config: StyleGAN2Config, resolution: int | None = None, *, unpack: int = 2) -> None:
        super().__init__()
        self.unpack = unpack
        self.size = (resolution or config.resolution) // unpack
        size = self.size
        while size > 4:
            seen = 3 * unpack**2 if size == self.size else 0
            block = DiscriminatorBlock(config.channels[str(size)], config.channels[str(size // 2)], image_channels=seen)
            self.add_module(f"b{size}", block)
            size //= 2
        self.hidden = EqualLinear(config.channels["4"] * 16, 256, activation=True)
        self.out = EqualLinear(256, 2 * config.z_dim)

    @torch.no_grad()
    def narrow(self, nats: float) -> None:
        """Begin with latents as precise as `nats` a dimension allow: log-variances near -2 * nats, whatever the picture."""
        mean, log_variance = self.out.weight.chunk(2)
        log_variance.mul_(0.1)
        self.out.bias[len(mean) :] = -2 * nats

    @torch.no_grad()
    def adopt(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Take over the last layer of an encoder of shorter latents; what is new stays as it is.

        Args:
            weight: [2 * D, 256] with D of at most this encoder's.
            bias: [2 * D].
        """
        for own, old in ((self.out.weight, weight), (self.out.bias, bias)):
            for part, source in zip(own.chunk(2), old.chunk(2)):
                part[: len(source)] = source

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = image if self.unpack == 1 else F.pixel_unshuffle(image, self.unpack)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.bfloat16)
        size = self.size
        while size > 4:
            x = getattr(self, f"b{size}")(x)
            size //= 2
        mean, log_variance = self.out(self.hidden(x.flatten(1))).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)
