"""Exponential moving average of a network's weights, with the half-life in images."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_ema(
    average: nn.Module, network: nn.Module, *, batch: int, images_seen: int, half_life: float = 10_000.0, ramp: float = 0.05
) -> None:
    """Move `average` towards `network`; buffers are copied.

    Args:
        average: changed in place.
        network: the trained one.
        batch: images of this step.
        images_seen: images so far; early on the half-life is at most `ramp` times this.
        half_life: images after which an old weight counts half.
        ramp: see `images_seen`.
    """
    half_life = min(half_life, max(images_seen * ramp, 1e-8))
    decay = 0.5 ** (batch / half_life)
    for mean, new in zip(average.parameters(), network.parameters()):
        mean.lerp_(new, 1 - decay)
    for kept, now in zip(average.buffers(), network.buffers()):
        kept.copy_(now)
