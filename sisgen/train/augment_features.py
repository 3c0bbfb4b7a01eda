"""Augmentation of labelled feature maps: picture-like moves that features and labels share, then noise and silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from sisgen.data.degrade import DegradeConfig, draw, warp_grid
from sisgen.shapes import UNPAINTED


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAugmentConfig:
    """How often and how far."""

    p_flip: float = 0.5  # chance of mirroring features and labels
    p_warp: float = 0.7  # chance of warping features and labels together
    noise: float = 0.1  # standard deviation of noise, in units of a channel's own spread
    drop: float = 0.1  # share of channels that are silenced
    move: DegradeConfig = field(default_factory=lambda: DegradeConfig(rotation=10.0, scale=0.15, shift=0.08, elastic=0.01))


def augment(
    hypercolumn: Sequence[torch.Tensor], labels: torch.Tensor, generators: Sequence[torch.Generator], config: FeatureAugmentConfig
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Mirror and warp features and labels together, then disturb the features.

    Args:
        hypercolumn: one feature map [B, C, r, r] a block.
        labels: int64 [B, H, W].
        generators: one a sample, on the CPU.
        config: how often and how far.
    """
    u = draw(generators, 64, device=labels.device)
    bumps = u[:, 14:].reshape(-1, 2, 5, 5)
    size = labels.shape[-1]
    full = warp_grid(u[:, 2:7], bumps, (size, size), config.move)
    still = torch.eye(2, 3, device=labels.device)[None].repeat(len(labels), 1, 1)
    rest = F.affine_grid(still, [len(labels), 1, size, size], align_corners=False)
    full = torch.where((u[:, 0] < config.p_warp)[:, None, None, None], full, rest)
    signs = torch.ones(len(labels), 2, device=labels.device)
    signs[:, 0] = torch.where(u[:, 1] < config.p_flip, -1.0, 1.0)
    full = full * signs[:, None, None]
    moved = F.grid_sample(labels[:, None].float() + 1, full, mode="nearest", align_corners=False)[:, 0].round().long() - 1
    features = [_disturb(part, _shrink(full, part.shape[-1]), generators, config) for part in hypercolumn]
    return features, torch.where(moved < 0, UNPAINTED, moved)


def _shrink(grid: torch.Tensor, size: int) -> torch.Tensor:
    """Average a sampling grid [B, H, W, 2] down to [B, size, size, 2]."""
    return F.adaptive_avg_pool2d(grid.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


def _disturb(
    features: torch.Tensor, grid: torch.Tensor, generators: Sequence[torch.Generator], config: FeatureAugmentConfig
) -> torch.Tensor:
    """Warp one block's features [B, C, r, r]; noise and silence are in units of a channel's own spread."""
    moved = F.grid_sample(features.float(), grid, padding_mode="reflection", align_corners=False)
    kept = draw(generators, features.shape[1], device=features.device)[:, :, None, None] >= config.drop
    mean, spread = moved.mean(dim=(2, 3), keepdim=True), moved.std(dim=(2, 3), keepdim=True)
    seeds = [int(torch.randint(2**31, (1,), generator=g)) for g in generators]
    noise = torch.stack([torch.randn(features.shape[1:], generator=torch.Generator().manual_seed(s)) for s in seeds]).to(features.device)
    return torch.where(kept, moved + noise * spread * config.noise, mean)
