"""Exact FIR resampling of StyleGAN2: a low-pass filter behind every transposed convolution and before every strided one.

The filter runs as a depthwise convolution, which is fast in channels_last. Folding it into the convolution beside it, as one 6 x 6
kernel, gives the same numbers for four times the multiplications: in fp32 it is slower, but on a CPU with matrix units (AMX, bf16)
multiplications are cheap and depthwise convolutions are not, so there it is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(taps: Sequence[float] = FIR_TAPS) -> torch.Tensor:
    """Make the separable low-pass kernel of StyleGAN2 [4, 4], which sums to 1."""
    line = torch.tensor(taps, dtype=torch.float32)
    kernel = line[:, None] * line[None, :]
    return kernel / kernel.sum()


def upsample(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Double the resolution: zero-stuffing, then the FIR kernel with gain 4.

    Args:
        x: [B, C, H, W].
        kernel: [4, 4].

    Returns:
        [B, C, 2H, 2W].
    """
    return F.conv_transpose2d(x, _depthwise(4 * kernel, x), stride=2, padding=1, groups=x.shape[1])


def downsample(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Halve the resolution behind the FIR kernel.

    Args:
        x: [B, C, H, W], H and W even.
        kernel: [4, 4].

    Returns:
        [B, C, H/2, W/2].
    """
    return F.conv2d(x, _depthwise(kernel.flip(0, 1), x), stride=2, padding=1, groups=x.shape[1])


def smooth(x: torch.Tensor, kernel: torch.Tensor, *, padding: int, gain: float = 1.0) -> torch.Tensor:
    """Filter every channel at the same resolution: [B, C, H, W] -> [B, C, H + 2 padding - 3, W + 2 padding - 3]."""
    return F.conv2d(x, _depthwise(gain * kernel.flip(0, 1), x), padding=padding, groups=x.shape[1])


def up_conv(x: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Transposed 3 x 3 convolution of stride 2, then the FIR kernel with gain 4.

    Args:
        x: [B, I, H, W].
        weight: [O, I, 3, 3] as the official StyleGAN2 stores it.
        kernel: [4, 4].

    Returns:
        [B, O, 2H, 2W].
    """
    if _should_fold(x):
        return F.conv_transpose2d(x, fold_filter(weight, 4 * kernel).to(x.dtype).transpose(0, 1), stride=2, padding=2)
    x = F.conv_transpose2d(x, weight.to(x.dtype).transpose(0, 1), stride=2)  # [B, O, 2H + 1, 2W + 1]
    return smooth(x, kernel, padding=1, gain=4.0)


def down_conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, kernel: torch.Tensor) -> torch.Tensor:
    """The FIR kernel, then a convolution of stride 2.

    Args:
        x: [B, I, H, W], H and W even.
        weight: [O, I, k, k] with k = 3 (padding 1) or k = 1.
        bias: [O]; `None` adds none.
        kernel: [4, 4].

    Returns:
        [B, O, H/2, W/2].
    """
    bias = None if bias is None else bias.to(x.dtype)
    if _should_fold(x):
        return F.conv2d(x, fold_filter(weight, kernel.flip(0, 1)).to(x.dtype), bias, stride=2, padding=weight.shape[-1] // 2 + 1)
    weight = weight.to(x.dtype)
    if weight.shape[-1] == 1:
        return F.conv2d(downsample(x, kernel), weight, bias)
    return F.conv2d(smooth(x, kernel, padding=2), weight, bias, stride=2)


def fold_filter(weight: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve the kernel of a convolution with the FIR kernel: [O, I, k, k] -> [O, I, k + 3, k + 3]."""
    side = weight.shape[-1]
    units = torch.eye(side**2, device=kernel.device, dtype=kernel.dtype).reshape(-1, 1, side, side)
    spread = F.conv2d(units, kernel.flip(0, 1)[None, None], padding=kernel.shape[0] - 1)  # [k^2, 1, k + 3, k + 3]
    return (weight.flatten(2) @ spread.flatten(1).to(weight.dtype)).unflatten(2, spread.shape[2:])


def _should_fold(x: torch.Tensor) -> bool:
    return x.dtype == torch.bfloat16 and x.device.type == "cpu"


def _depthwise(kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return kernel.to(x.dtype)[None, None].expand(x.shape[1], 1, -1, -1)  # [C, 1, 4, 4]
