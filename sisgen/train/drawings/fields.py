"""Smooth random fields, and what a hand does to lines with them: wobble, gaps, uneven pressure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from sisgen.train.proxies import warp_maps

WOBBLE_CELLS = 9  # a side of the coarse displacements
GAP_CELLS = 12


def smooth_field(sources: Sequence[torch.Generator], cells: int, size: int, channels: int = 1) -> torch.Tensor:
    """Draw one smooth field a source: float [B, channels, size, size], about uniform in [-1, 1] at its knots."""
    knots = torch.stack([torch.rand(channels, cells, cells, generator=g) for g in sources]) * 2 - 1
    return F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=False)


def wobble_grid(sources: Sequence[torch.Generator], size: int, reach: torch.Tensor) -> torch.Tensor:
    """Draw one sampling grid a source that displaces by up to about `reach` [B] pixels: [B, size, size, 2] in [-1, 1]."""
    identity = torch.eye(2, 3).expand(len(sources), 2, 3)
    grid = F.affine_grid(identity, [len(sources), 1, size, size], align_corners=False)
    moves = smooth_field(sources, WOBBLE_CELLS, size, channels=2).permute(0, 2, 3, 1)  # [B, H, W, 2]
    return grid + moves * (2 * reach.cpu() / size)[:, None, None, None]


def wobble(maps: torch.Tensor, sources: Sequence[torch.Generator], reach: torch.Tensor) -> torch.Tensor:
    """Displace lines [B, C, H, W] smoothly by up to about `reach` [B] pixels, as an unsure hand does."""
    return warp_maps(maps, wobble_grid(sources, maps.shape[-1], reach).to(maps.device))


def kept(sources: Sequence[torch.Generator], size: int, share: torch.Tensor, cells: int = GAP_CELLS) -> torch.Tensor:
    """Draw where lines stay: bool [B, 1, size, size], in smooth patches that cover `share` [B] of the picture."""
    field = smooth_field(sources, cells, size)
    rank = field.flatten(1).sort(dim=1).values  # a share of all values lies above its quantile
    index = ((1 - share.cpu()).clamp(0, 1) * (rank.shape[1] - 1)).long()[:, None]
    return field >= rank.gather(1, index)[:, :, None, None]


def thicken(lines: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Widen lines [B, C, H, W] of 1 pixel to `width` [B] whole pixels, by the greatest value in a box."""
    result = lines
    for pixels in range(2, int(width.max()) + 1):
        left = (pixels - 1) // 2
        wide = F.max_pool2d(F.pad(lines, (left, pixels - 1 - left, left, pixels - 1 - left)), pixels, stride=1)
        result = torch.where((width == pixels)[:, None, None, None], wide, result)
    return result
