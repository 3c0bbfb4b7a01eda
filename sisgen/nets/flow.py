"""A rectified flow between two distributions of vectors (Liu et al., ICLR 2023)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

FREQUENCIES = 8  # of the time's encoding


class VelocityField(nn.Module):
    """Velocity of points x [B, D] at times t [B, 1] in [0, 1]: a residual perceptron.

    Args:
        dim: size of a point.
        width: of the hidden layers.
        depth: hidden layers.
    """

    def __init__(self, dim: int, width: int = 256, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(dim + 2 * FREQUENCIES, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        angles = t * (math.pi * torch.arange(1, FREQUENCIES + 1, device=x.device))
        y = self.enter(torch.cat([x, angles.sin(), angles.cos()], dim=1))
        for layer in self.hidden:
            y = y + layer(F.silu(y))
        return self.leave(F.silu(y))


def flow_loss(field: VelocityField, start: torch.Tensor, end: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Squared error of the velocity on straight lines from start to end [B, D] at times t [B, 1]."""
    return (field(start.lerp(end, t), t) - (end - start)).square().mean()


@torch.no_grad()
def transport(field: VelocityField, x: torch.Tensor, steps: int = 8) -> torch.Tensor:
    """Move points x [B, D] from time 0 to 1 by Heun's method."""
    for i in range(steps):
        t = torch.full((len(x), 1), i / steps, device=x.device)
        first = field(x, t)
        second = field(x + first / steps, t + 1 / steps)
        x = x + (first + second) / (2 * steps)
    return x
