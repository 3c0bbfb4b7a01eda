"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020): pixel blits, geometry and colour, each with probability p.

The same transformations are drawn for real and generated pictures from their samples' own random generators. p follows the
discriminator: it rises while the sign of its real logits exceeds a target and falls below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

NUM_DRAWS = 16  # random numbers that one sample needs


class AdaptiveAugment(nn.Module):
    """Augment pictures before the discriminator sees them.

    Args:
        target: wanted mean sign of the real logits; `None` switches adaptation off, p stays 0.
        images_to_one: images over which p can rise from 0 to 1.
    """

    p: torch.Tensor

    def __init__(self, *, target: float | None = 0.6, images_to_one: float = 500_000.0) -> None:
        super().__init__()
        self.target = target
        self.images_to_one = images_to_one
        self.register_buffer("p", torch.zeros([]))

    def forward(self, images: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]; untouched while p is 0."""
        p = float(self.p)
        if p == 0.0:
            return images
        draws = torch.stack([torch.rand(2, NUM_DRAWS, generator=g) for g in generators]).to(images.device)  # [B, 2, 16]
        on, value = draws[:, 0] < p, draws[:, 1]
        images = F.grid_sample(images, _grid(images, on, value), mode="bilinear", padding_mode="reflection", align_corners=False)
        return _recolor(images, on, value)

    @torch.no_grad()
    def adapt(self, mean_sign: float, images: int) -> None:
        """Move p after `images` pictures whose real logits had this mean sign."""
        if self.target is not None:
            step = math.copysign(images / self.images_to_one, mean_sign - self.target)
            self.p.copy_((self.p + step).clamp(0.0, 1.0))


def _grid(images: torch.Tensor, on: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Draw one affine map a sample: flip, quarter turns, integer shift, scale, rotation, stretch, fractional shift."""
    batch, _, height, width = images.shape
    zero, one = torch.zeros(batch, device=images.device), torch.ones(batch, device=images.device)
    centred = 2 * value - 1

    # Pixel blits.
    flip = torch.where(on[:, 0] & (value[:, 0] < 0.5), -one, one)
    turn = torch.where(on[:, 1], (value[:, 1] * 4).floor() * (math.pi / 2), zero)
    shift_x = torch.where(on[:, 2], (centred[:, 2] * 0.125 * width).round() * 2 / width, zero)
    shift_y = torch.where(on[:, 2], (centred[:, 3] * 0.125 * height).round() * 2 / height, zero)

    # General geometry.
    scale = torch.where(on[:, 4], 2 ** (centred[:, 4] * 0.4), one)
    angle = turn + torch.where(on[:, 5], centred[:, 5] * math.pi, zero)
    stretch = torch.where(on[:, 6], 2 ** (centred[:, 6] * 0.4), one)
    shift_x = shift_x + torch.where(on[:, 7], centred[:, 7] * 0.25, zero)
    shift_y = shift_y + torch.where(on[:, 7], centred[:, 8] * 0.25, zero)

    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos * flip / (scale * stretch), -sin * stretch / scale, shift_x], dim=1)
    second = torch.stack([sin * flip / (scale * stretch), cos * stretch / scale, shift_y], dim=1)
    return F.affine_grid(torch.stack([first, second], dim=1), [batch, 3, height, width], align_corners=False)


def _recolor(images: torch.Tensor, on: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, luma flip, hue rotation and saturation, a sample each."""
    batch = images.shape[0]
    one = torch.ones(batch, device=images.device)
    centred = 2 * value - 1
    axis = torch.full((3,), 1 / math.sqrt(3), device=images.device)
    luma = axis[:, None] * axis[None, :]  # projector on the grey axis
    identity = torch.eye(3, device=images.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) / math.sqrt(3)

    brightness = torch.where(on[:, 9], centred[:, 9] * 0.4, one * 0)
    contrast = torch.where(on[:, 10], 2 ** (centred[:, 10] * 0.8), one)
    luma_flip = torch.where(on[:, 11] & (value[:, 11] < 0.5), -one, one)
    hue = torch.where(on[:, 12], centred[:, 12] * math.pi, one * 0)
    saturation = torch.where(on[:, 13], 2 ** (centred[:, 13] * 1.4), one)

    matrix = luma * luma_flip[:, None, None] + saturation[:, None, None] * (
        hue.cos()[:, None, None] * (identity - luma) + hue.sin()[:, None, None] * cross
    )
    matrix = matrix * contrast[:, None, None]  # [B, 3, 3]
    colored = torch.einsum("bij,bjhw->bihw", matrix, images)
    return colored + brightness[:, None, None, None]
