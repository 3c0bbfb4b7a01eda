"""Pixel distances over several scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def pyramid_distance(a: torch.Tensor, b: torch.Tensor, levels: int = 4) -> torch.Tensor:
    """Mean absolute difference at full, half, quarter, ... resolution, added up."""
    total = (a - b).abs().mean()
    for _ in range(levels - 1):
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total = total + (a - b).abs().mean()
    return total
