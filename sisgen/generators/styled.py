"""The blocks behind the cut with one style folded into their weights: the same pictures in fewer and smaller steps.

A style does not change while its drawing does, so that what depends on it alone (affine layers, modulation, demodulation, gains) is
worked out once; then a layer is a plain convolution, its noise and its leaky ReLU. That takes as much memory as the weights themselves,
a style, and pays where layers are thin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.generators.stylegan2 import StyleGAN2, SynthesisBlock, SynthesisLayer, ToRGB
from sisgen.nets.layers import LRELU_GAIN, LRELU_SLOPE, channels_last
from sisgen.nets.resample import upsample
from sisgen.types import Features

MOST_BYTES = 2**20  # of a style; wider layers have so much to multiply that the rest hardly counts


@dataclass(frozen=True, kw_only=True, slots=True)
class StyledLayer:
    """A modulated convolution of one style: [B, I, h, w] -> [B, O, h * up, w * up]."""

    weight: torch.Tensor  # [O, I, 3, 3], of an upsampling layer [I, O, 3, 3]
    bias: torch.Tensor
    noise: torch.Tensor  # [r, r], the generator's own
    noise_strength: float
    fir: torch.Tensor | None  # [O, 1, 4, 4] behind a transposed convolution; None = the layer keeps the resolution
    clamp: float | None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.fir is None:
            x = F.conv2d(x, self.weight, self.bias, padding=1)
        else:
            x = F.conv_transpose2d(x, self.weight, stride=2)
            x = F.conv2d(x, self.fir, self.bias, padding=1, groups=len(self.fir))
        x = F.leaky_relu_(x.add_(self.noise, alpha=self.noise_strength), LRELU_SLOPE)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


@dataclass(frozen=True, kw_only=True, slots=True)
class StyledBlock:
    """All layers of one resolution in one style."""

    conv0: StyledLayer
    conv1: StyledLayer
    rgb_weight: torch.Tensor  # [3, O, 1, 1]
    rgb_bias: torch.Tensor
    resample_filter: torch.Tensor
    clamp: float | None

    def __call__(self, features: Features) -> Features:
        x = self.conv1(self.conv0(channels_last(features.map)))
        y = F.conv2d(x, self.rgb_weight, self.rgb_bias)
        y = y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)
        return Features(map=x, rgb=y.add_(upsample(channels_last(features.rgb), self.resample_filter)))


class StyledTail:
    """What stands for a generator behind the cut, in one style and with the stored noise.

    Args:
        generator: whose weights are folded.
        ws: the style [1, S, D].
        cut: resolution of the features that it goes on from.
    """

    @torch.no_grad()
    def __init__(self, generator: StyleGAN2, ws: torch.Tensor, cut: int) -> None:
        self.resolution = generator.config.resolution
        self.blocks: dict[int, StyledBlock] = {}
        for resolution in generator.config.resolutions:
            if resolution > cut:
                row = generator.synthesis.first_row(resolution)
                self.blocks[resolution] = _fold_block(generator.synthesis.block(resolution), ws[0, row : row + 3])

    @property
    def num_bytes(self) -> int:
        """Memory that the folded weights take."""
        return sum(4 * w.numel() for b in self.blocks.values() for w in (b.conv0.weight, b.conv1.weight))

    def advance(self, features: Features, ws: torch.Tensor, resolution: int) -> Features:
        """Run the blocks up to and including `resolution`; as `StyleGAN2.advance`, where `ws` is the style that is folded in."""
        for size, block in self.blocks.items():
            if features.resolution < size <= resolution:
                features = block(features)
        return features

    def tail(self, features: Features, ws: torch.Tensor) -> torch.Tensor:
        """Run the other blocks: image [B, 3, H, W]; as `StyleGAN2.tail`, where `ws` is the style that is folded in."""
        return self.advance(features, ws, self.resolution).rgb


def folds(generator: StyleGAN2, cut: int) -> bool:
    """Whether folding a style into the blocks behind the cut pays."""
    blocks = [generator.synthesis.block(resolution) for resolution in generator.config.resolutions if resolution > cut]
    return 4 * sum(b.conv0.weight.numel() + b.conv1.weight.numel() for b in blocks) <= MOST_BYTES


def _fold_block(block: SynthesisBlock, ws: torch.Tensor) -> StyledBlock:
    """Fold the three rows [3, D] of a block."""
    rgb: ToRGB = block.torgb
    styles = rgb.affine(ws[2:])[0] * rgb.weight_gain
    return StyledBlock(
        conv0=_fold_layer(block.conv0, ws[:1]),
        conv1=_fold_layer(block.conv1, ws[1:2]),
        rgb_weight=rgb.weight * styles[:, None, None],
        rgb_bias=rgb.bias,
        resample_filter=block.resample_filter,
        clamp=rgb.clamp,
    )


def _fold_layer(layer: SynthesisLayer, w: torch.Tensor) -> StyledLayer:
    """Fold the row w [1, D] of a layer; leaky ReLU is positively homogeneous, so that its gain goes in as well."""
    weight = layer.weight * layer.affine(w)[0][:, None, None]  # [O, I, 3, 3]
    weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt() * LRELU_GAIN
    fir = (4 * layer.resample_filter.flip(0, 1)).expand(len(weight), 1, -1, -1)
    return StyledLayer(
        weight=weight.transpose(0, 1).contiguous() if layer.up else weight,
        bias=layer.bias * LRELU_GAIN,
        noise=layer.noise_const,
        noise_strength=float(layer.noise_strength) * LRELU_GAIN,
        fir=fir if layer.up else None,
        clamp=layer.clamp,
    )
