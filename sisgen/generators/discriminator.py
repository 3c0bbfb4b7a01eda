"""StyleGAN2 discriminator, residual architecture, with the official parameter names (Karras et al., CVPR 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.nets.layers import LRELU_GAIN, EqualConv2d, EqualLinear, leaky, normalize_second_moment
from sisgen.nets.resample import down_conv, fir_kernel


class DownConv(nn.Module):
    """FIR kernel and a convolution of stride 2: [B, I, H, W] -> [B, O, H/2, W/2]."""

    resample_filter: torch.Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", fir_kernel())
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.gain = gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.bias is None:
            return down_conv(x, self.weight * (self.weight_gain * self.gain), None, self.resample_filter)
        gain = LRELU_GAIN * self.gain  # leaky ReLU is positively homogeneous: gains go into the weights
        return leaky(down_conv(x, self.weight * (self.weight_gain * gain), self.bias * gain, self.resample_filter), gain=1.0)


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the resolution; the first one also reads the picture."""

    def __init__(self, in_channels: int, out_channels: int, *, image_channels: int) -> None:
        super().__init__()
        if image_channels:
            self.fromrgb = EqualConv2d(image_channels, in_channels, 1)
        self.conv0 = EqualConv2d(in_channels, in_channels, 3)
        self.conv1 = DownConv(in_channels, out_channels, 3, bias=True, gain=math.sqrt(0.5))
        self.skip = DownConv(in_channels, out_channels, 1, bias=False, gain=math.sqrt(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x)
        return self.conv1(self.conv0(x)) + self.skip(x)


def minibatch_std(x: torch.Tensor, group_size: int = 4) -> torch.Tensor:
    """Append the mean standard deviation over groups of samples as one more channel: [B, C, h, w] -> [B, C + 1, h, w].

    Sample i shares its group with i + B/G, i + 2B/G, ...: processes that take every n-th sample keep the groups of one process.
    """
    batch, channels, height, width = x.shape
    group = min(group_size, batch)
    while batch % group:
        group -= 1
    y = x.float().reshape(group, batch // group, channels, height, width)
    y = (y - y.mean(dim=0)).square().mean(dim=0)  # [B/G, C, h, w]
    y = (y + 1e-8).sqrt().mean(dim=(1, 2, 3))  # [B/G]
    y = y.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, y.to(x.dtype)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    """4 x 4 features -> D scores' features [B, cmap]."""

    def __init__(self, channels: int, cmap_dim: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(channels + 1, channels, 3)
        self.fc = EqualLinear(channels * 16, channels, activation=True)
        self.out = EqualLinear(channels, cmap_dim or 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(minibatch_std(x))
        return self.out(self.fc(x.flatten(1).float()))


class Discriminator(nn.Module):
    """Picture [B, 3, H, W] (and a class label) -> realness logit [B].

    Args:
        resolution: side of the pictures.
        channels: width at every resolution, as in `StyleGAN2Config`.
        c_dim: size of a class label; 0 = unconditional.
        unpack: 2 reads the picture by space-to-depth at half its resolution, which leaves the costliest block out: on CPU cores
            training runs half as fast again. 1 is the official network.
    """

    def __init__(self, resolution: int, channels: Mapping[str, int], *, c_dim: int = 0, unpack: int = 1) -> None:
        super().__init__()
        self.resolution = resolution // unpack
        self.unpack = unpack
        size = self.resolution
        while size > 4:
            seen = 3 * unpack**2 if size == self.resolution else 0
            block = DiscriminatorBlock(channels[str(size)], channels[str(size // 2)], image_channels=seen)
            self.add_module(f"b{size}", block)
            size //= 2
        cmap_dim = channels["4"] if c_dim else 0
        self.b4 = DiscriminatorEpilogue(channels["4"], cmap_dim)
        if c_dim:
            self.mapping = ConditionMapping(c_dim, cmap_dim)

    def forward(self, image: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        x = image if self.unpack == 1 else F.pixel_unshuffle(image, self.unpack)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.bfloat16)
        size = self.resolution
        while size > 4:
            x = getattr(self, f"b{size}")(x)
            size //= 2
        x = self.b4(x)
        if hasattr(self, "mapping"):
            cmap = self.mapping(c)
            return (x * cmap).sum(dim=1) / math.sqrt(cmap.shape[1])
        return x[:, 0]


class PatchDiscriminator(nn.Module):
    """Picture [B, 3, H, W] -> realness logits of overlapping patches [B, N]: the discriminator's first blocks alone (after pix2pix).

    It judges edges and textures wherever they are, and learns from far fewer pictures than a network that judges them whole.

    Args:
        resolution: side of the pictures.
        channels: width at every resolution, as in `StyleGAN2Config`.
        unpack: as for `Discriminator`.
        blocks: how many; 2 with `unpack` 2 see patches of 44 px, 8 px apart.
    """

    def __init__(self, resolution: int, channels: Mapping[str, int], *, unpack: int = 1, blocks: int = 2) -> None:
        super().__init__()
        self.unpack = unpack
        self.sizes = [resolution // unpack // 2**i for i in range(blocks)]
        for i, size in enumerate(self.sizes):
            seen = 3 * unpack**2 if i == 0 else 0
            block = DiscriminatorBlock(channels[str(size)], channels[str(size // 2)], image_channels=seen)
            self.add_module(f"b{size}", block)
        self.out = EqualConv2d(channels[str(self.sizes[-1] // 2)], 1, 1, activation=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image if self.unpack == 1 else F.pixel_unshuffle(image, self.unpack)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.bfloat16)
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        return self.out(x).flatten(1).float()


class ConditionMapping(nn.Module):
    """Class label [B, c_dim] -> projection vector [B, cmap_dim] (official conditional discriminator, 8 layers)."""

    def __init__(self, c_dim: int, cmap_dim: int, num_layers: int = 8) -> None:
        super().__init__()
        self.embed = EqualLinear(c_dim, cmap_dim)
        self.num_layers = num_layers
        for i in range(num_layers):
            self.add_module(f"fc{i}", EqualLinear(cmap_dim, cmap_dim, lr_multiplier=0.01, activation=True))

    def forward(self, c: torch.Tensor) -> torch.Tensor:
        x = normalize_second_moment(self.embed(c.float()))
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x


def logistic_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Non-saturating loss of the generator, one value a sample [B]."""
    return F.softplus(-fake_logits)


def logistic_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Logistic loss of the discriminator, one value a sample [B]."""
    return F.softplus(fake_logits) + F.softplus(-real_logits)
