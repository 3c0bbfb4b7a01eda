"""Structural similarity of pictures (Wang et al., 2004): Gaussian window of 11 pixels and spread 1.5, over valid places."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sisgen.errors import InputError

WINDOW, SPREAD = 11, 1.5


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compare pictures.

    Args:
        a: float [B, 3, H, W] in [-1, 1]; values outside are clipped as a saved picture would be.
        b: of the same shape.

    Returns:
        One number a picture [B], the mean over places and channels; 1 = equal.

    Raises:
        InputError: the shapes differ, or the pictures are smaller than the window.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[-2:]) < WINDOW:
        words = f"of one shape [B, 3, H, W] with sides of at least {WINDOW}"
        raise InputError(f"Pictures must be {words} to be compared, but they are {list(a.shape)} and {list(b.shape)}; resize them.")
    a, b = (x.double().clamp(-1, 1) * 0.5 + 0.5 for x in (a, b))
    place = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    line = (-(place**2) / (2 * SPREAD**2)).exp()
    line = line / line.sum()

    def blur(x: torch.Tensor) -> torch.Tensor:
        channels = x.shape[1]
        x = F.conv2d(x, line[None, None, :, None].expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(x, line[None, None, None, :].expand(channels, 1, 1, -1), groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return similar.mean(dim=(1, 2, 3)).float()
