"""Layers with equalized learning rate (Karras et al., ProGAN, sec. 4.1), shared by generators and discriminators."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

LRELU_SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)
WIDE = 32  # channels from which on a change of layout is faster as the transposition of a matrix


def normalize_second_moment(x: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Scale every row of [B, D] to a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def leaky(x: torch.Tensor, gain: float = LRELU_GAIN, clamp: float | None = None) -> torch.Tensor:
    """Leaky ReLU of slope 0.2 times `gain`, clipped to [-clamp, clamp]; `None` does not clip."""
    x = F.leaky_relu(x, LRELU_SLOPE)
    x = x if gain == 1.0 else x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def fold_conv(x: torch.Tensor, conv: nn.Conv2d, fold: int) -> torch.Tensor:
    """Apply a 1 x 1 convolution to `pixel_unshuffle(x, fold)` without the shuffling, as one of stride `fold`: the same numbers, faster.

    Args:
        x: [B, C, H, W].
        conv: from C * fold^2 to O channels.
        fold: of the space-to-depth.

    Returns:
        [B, O, H / fold, W / fold].
    """
    return F.conv2d(x, conv.weight.reshape(conv.out_channels, x.shape[1], fold, fold), conv.bias, stride=fold)


def unfold_conv(x: torch.Tensor, conv: nn.Conv2d, fold: int, added: torch.Tensor | None = None) -> torch.Tensor:
    """Apply a 1 x 1 convolution and `pixel_shuffle(..., fold)`: the same numbers, faster where no gradients are taken.

    Args:
        x: [B, C, H, W].
        conv: from C to O * fold^2 channels.
        fold: of the depth-to-space.
        added: [B, O], added to every place of a sample, also where `x` is one for all; `None` adds nothing.

    Returns:
        [B, O, H * fold, W * fold].
    """
    if torch.is_grad_enabled():
        out = F.pixel_shuffle(conv(x), fold)
        return out if added is None else out + added[:, :, None, None]
    # Weights are reordered instead of results, so that all channels of a place stay side by side.
    num, (batch, _, height, width) = conv.out_channels // fold**2, x.shape
    weight = conv.weight.view(num, fold**2, x.shape[1]).transpose(0, 1).flatten(0, 1)  # [fold^2 * O, C]
    bias = x.new_zeros(fold**2, num) if conv.bias is None else conv.bias.view(num, fold**2).t()
    biases = [bias] * batch if added is None or len(added) != batch else [bias + row for row in added]
    out = x.new_empty(batch, height, fold, width, fold * num)
    for place, sample, of_sample in zip(out, x.permute(0, 2, 3, 1), biases):
        place.copy_(F.linear(sample, weight, of_sample.flatten()).view(height, width, fold, fold * num).transpose(1, 2))
    out = out.view(batch, height * fold, width * fold, num).permute(0, 3, 1, 2)
    return out if added is None or len(added) == batch else out + added[:, :, None, None]


def pointwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Apply a 1 x 1 convolution [O, C, 1, 1] to [B, C, H, W]: the same numbers, faster where the channels of a place lie side by side."""
    if torch.is_grad_enabled() or x.is_contiguous():
        return F.conv2d(x, weight, bias)
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Lay out [B, C, H, W] with the channels of a place side by side: the same numbers, which a CPU convolves and resizes faster.

    On other devices and where gradients are taken `x` comes back as it is: a small convolution with frozen weights cannot take
    gradients back in this layout (torch 2.13).
    """
    if not x.is_cpu or torch.is_grad_enabled():
        return x
    if len(x) == 1 and x.shape[1] >= WIDE and x.is_contiguous():  # transposing a matrix is three times faster
        return x[0].flatten(1).t().contiguous().view(1, *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def channel_softmax(x: torch.Tensor) -> torch.Tensor:
    """Softmax over the channels of [B, C, H, W], along neighbours in memory where it is laid out so.

    Where no gradients are taken such an `x` is overwritten.
    """
    if x.is_contiguous():
        return x.softmax(dim=1)
    x = x.permute(0, 2, 3, 1)  # [B, H, W, C]
    x = x.softmax(dim=3) if torch.is_grad_enabled() else torch.softmax(x, dim=3, out=x)
    return x.permute(0, 3, 1, 2)


class EqualLinear(nn.Module):
    """Linear layer whose weights are stored at unit variance and scaled at run time: [B, I] -> [B, O]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,  # scales the effective learning rate of this layer
        activation: bool = False,  # leaky ReLU behind it
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return leaky(x) if self.activation else x


class EqualConv2d(nn.Module):
    """Convolution with equalized learning rate and leaky ReLU: [B, I, H, W] -> [B, O, H, W]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activation: bool = True,  # leaky ReLU with gain sqrt(2)
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gain = LRELU_GAIN if self.activation else 1.0  # leaky ReLU is positively homogeneous: its gain goes into the weights
        weight = (self.weight * (self.weight_gain * gain)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * gain).to(x.dtype)
        x = F.conv2d(x, weight, bias, padding=self.weight.shape[-1] // 2)
        return leaky(x, gain=1.0) if self.activation else x
