"""Latents that pictures really have: their running moments while a warm start goes on.

An encoder leaves a standard normal only roughly: latents of pictures fill an ellipsoid far smaller than it, with its centre elsewhere.
Whatever is drawn from the standard normal itself lies outside, and looks like it.
"""

from __future__ import annotations

import torch
from torch import nn

MOMENTUM = 0.01  # share of a batch in the running moments


class RunningGaussian(nn.Module):
    """Mean and covariance of the latents of pictures, as they drift; standard normal at the start.

    Args:
        dim: size of a latent.
    """

    mean: torch.Tensor
    covariance: torch.Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("covariance", torch.eye(dim))

    @torch.no_grad()
    def follow(self, mean: torch.Tensor, covariance: torch.Tensor) -> None:
        """Move towards the moments of one batch, mean [D] and covariance around the running mean [D, D]."""
        self.mean.lerp_(mean, MOMENTUM)
        self.covariance.lerp_(covariance, MOMENTUM)

    def moments(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Moments of latents z [B, D] for `follow`."""
        apart = z.detach() - self.mean
        return z.detach().mean(dim=0), apart.t() @ apart / len(z)

    def draw(self, noise: torch.Tensor) -> torch.Tensor:
        """Shape standard normal noise [B, D] like the latents of pictures."""
        jitter = 1e-4 * torch.eye(len(self.mean), device=noise.device)
        return self.mean + noise @ torch.linalg.cholesky(self.covariance + jitter).t()
