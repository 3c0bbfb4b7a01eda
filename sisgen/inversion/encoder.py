"""Encoder of pictures into W+: one w from the generator's own mapping, and a small change a style row (Tov et al., e4e, 2021).

A trunk of the discriminator's blocks gives z, which the generator's mapping turns into w: the start of every row is a style that the
generator knows. The rows then leave it by deltas, the first one together, the others on their own; all of them are measured
in spreads of w, so that one regularisation fits every generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.generators.discriminator import DiscriminatorBlock
from sisgen.generators.stylegan2 import THIN_128, StyleGAN2, StyleGAN2Config
from sisgen.nets.layers import EqualLinear
from sisgen.shapes import check_shape

LARGEST = 128  # side of the pictures that an encoder reads; larger generators' pictures are read smaller
UNPACK = 2  # space-to-depth in front of the trunk


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Sizes of an encoder; `channels` maps every resolution of the trunk, as text, to its width."""

    resolution: int = 128  # side of the pictures as they are read
    channels: Mapping[str, int] = field(default_factory=lambda: {size: width for size, width in THIN_128.items() if size != "128"})
    z_dim: int = 64
    w_dim: int = 128
    num_ws: int = 12  # S
    bottleneck: int = 96
    hidden: int = 256
    rank: int = 96  # of the deltas

    def __post_init__(self) -> None:
        size = self.resolution
        if size < 16 or size > LARGEST or size & (size - 1):
            raise InputError(f"An encoder's resolution must be a power of two in 16..{LARGEST}, but it is {size}; correct the config.")
        missing = [str(r) for r in self.sizes if str(r) not in self.channels]
        if missing:
            raise InputError(f"An encoder's config must give channels for every resolution, but {', '.join(missing)} lack; add them.")
        widths = {f"channels at {r}": self.channels[str(r)] for r in self.sizes}
        for name in ("z_dim", "w_dim", "num_ws", "bottleneck", "hidden", "rank"):
            widths[name] = getattr(self, name)
        for name, value in widths.items():
            if not 1 <= value <= 4096:
                raise InputError(f"An encoder's {name} must be in 1..4096, but it is {value}; correct the config.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Resolutions of the trunk, fine to coarse, the last being 4."""
        size, found = self.resolution // UNPACK, []
        while size >= 4:
            found.append(size)
            size //= 2
        return tuple(found)


def encoder_config(generator: StyleGAN2Config) -> EncoderConfig:
    """Fit an `EncoderConfig` to a generator: its own widths, at most those of the thin one.

    Raises:
        InputError: the generator takes class labels, so that a picture alone does not say its style.
    """
    if generator.c_dim:
        raise InputError("An encoder needs an unconditional generator, but this one takes class labels; convert it with --class N first.")
    size = min(generator.resolution, LARGEST)
    inner = {text: min(width, generator.channels[text]) for text, width in THIN_128.items() if int(text) <= size // UNPACK}
    return EncoderConfig(resolution=size, channels=inner, z_dim=generator.z_dim, w_dim=generator.w_dim, num_ws=generator.num_ws)


class Encoder(nn.Module):
    """Picture [B, 3, r, r] -> z and the deltas of every style row.

    Args:
        config: sizes.
    """

    spread: torch.Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.sizes
        for fine, coarse in pairwise(sizes):
            seen = 3 * UNPACK**2 if fine == sizes[0] else 0
            block = DiscriminatorBlock(config.channels[str(fine)], config.channels[str(coarse)], image_channels=seen)
            self.add_module(f"b{fine}", block)
        self.squeeze = EqualLinear(config.channels["4"] * 16, config.bottleneck)
        self.hidden = EqualLinear(config.bottleneck, config.hidden, activation=True)
        self.latent = EqualLinear(config.hidden, config.z_dim)
        pooled = sum(config.channels[str(size)] for size in sizes[1:])
        self.look = EqualLinear(config.hidden + pooled, config.rank, activation=True)
        self.change = EqualLinear(config.rank, config.num_ws * config.w_dim)
        nn.init.zeros_(self.change.weight)
        self.register_buffer("spread", torch.ones(config.w_dim))  # standard deviation of the generator's w

    def trunk(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features of every resolution below the picture's, fine to coarse."""
        x = F.pixel_unshuffle(image, UNPACK)
        x = x.to(torch.bfloat16) if torch.is_autocast_enabled(x.device.type) else x
        found = []
        for size in self.config.sizes[:-1]:
            x = getattr(self, f"b{size}")(x)
            found.append(x)
        return found

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read pictures.

        Args:
            image: float [B, 3, r, r] in [-1, 1].

        Returns:
            z [B, z_dim], and deltas [B, S, D] in spreads of w: of row 0 what all rows share, of the others what they add.
        """
        features = self.trunk(image)
        hidden = self.hidden(self.squeeze(features[-1].flatten(1)))
        seen = torch.cat([hidden, *(x.mean(dim=(2, 3)) for x in features)], dim=1)
        deltas = self.change(self.look(seen)).float().unflatten(1, (self.config.num_ws, self.config.w_dim))
        return self.latent(hidden).float(), deltas

    def rows(self, generator: StyleGAN2, z: torch.Tensor, deltas: torch.Tensor) -> torch.Tensor:
        """Add what `forward` gave up to ws [B, S, D]."""
        own = torch.cat([torch.zeros_like(deltas[:, :1]), deltas[:, 1:]], dim=1)
        return generator.map(z) + (deltas[:, :1] + own) * self.spread

    def encode(self, generator: StyleGAN2, images: torch.Tensor) -> torch.Tensor:
        """Find the style rows of pictures.

        Args:
            generator: the one that this encoder was trained for.
            images: float [B, 3, H, W] in [-1, 1] of the generator's resolution.

        Returns:
            ws [B, S, D].
        """
        size = generator.config.resolution
        check_shape("images", images, (None, 3, size, size))
        return self.rows(generator, *self(self.shrink(images)))

    def shrink(self, images: torch.Tensor) -> torch.Tensor:
        """Bring pictures to the size that the trunk reads, by area."""
        return images if images.shape[-1] == self.config.resolution else F.adaptive_avg_pool2d(images, self.config.resolution)

    @torch.no_grad()
    def measure_spread(self, generator: StyleGAN2, z: torch.Tensor) -> None:
        """Take the standard deviation of w over latents [n, z_dim]."""
        self.spread.copy_(generator.map(z)[:, 0].std(dim=0).clamp_min(1e-4))

    @torch.no_grad()
    def adopt(self, weights: Mapping[str, torch.Tensor], images: torch.Tensor) -> bool:
        """Start from the encoder of a warm start (`PictureEncoder`), whose decoder the generator was.

        Its wide layer is brought through the bottleneck by the principal components of what it gives on pictures.

        Args:
            weights: of that encoder.
            images: float [n, 3, r, r]; more than `bottleneck` are wanted.

        Returns:
            False, and nothing changed, where its sizes are others.
        """
        state = self.state_dict()
        trunk = {name: value for name, value in state.items() if name.startswith("b")}
        wide, out = weights.get("hidden.weight"), weights.get("out.weight")
        fits = all(name in weights and weights[name].shape == value.shape for name, value in trunk.items())
        inner = (self.config.hidden, self.squeeze.weight.shape[1])
        if not fits or wide is None or out is None or wide.shape != inner or out.shape != (2 * self.config.z_dim, self.config.hidden):
            return False
        self.load_state_dict({**state, **{name: weights[name].to(value) for name, value in trunk.items()}})
        wide = wide.to(self.squeeze.weight)
        seen = torch.cat([self.trunk(part)[-1].flatten(1) for part in images.split(16)])
        given = seen @ wide.t() * self.squeeze.weight_gain  # [n, hidden]
        mean = given.mean(dim=0)
        _, _, components = torch.linalg.svd(given - mean, full_matrices=True)
        kept = components[: self.config.bottleneck]  # [bottleneck, hidden]
        self.squeeze.weight.copy_(kept @ wide)
        self.hidden.weight.copy_(kept.t() / self.hidden.weight_gain)
        self.hidden.bias.copy_(weights["hidden.bias"].to(mean) + mean - kept.t() @ (kept @ mean))
        self.latent.weight.copy_(out[: self.config.z_dim])
        self.latent.bias.copy_(weights["out.bias"][: self.config.z_dim])
        return True
