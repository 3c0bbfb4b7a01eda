"""Latents that pictures have: all of a cache's, and their running moments while an encoder trains.

An encoder fills a standard normal only roughly: the latents of pictures lie in an ellipsoid far smaller than it, around another centre.
What is drawn from the standard normal itself lies outside, and looks like it.
"""

from __future__ import annotations

import torch
from torch import nn

from sisgen.train.gan import Pictures

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
        if not len(noise):
            return noise
        jitter = 1e-4 * torch.eye(len(self.mean), device=noise.device)
        return self.mean + noise @ torch.linalg.cholesky(self.covariance + jitter).t()


@torch.no_grad()
def encode_all(encoder: nn.Module, pictures: Pictures, *, limit: int = 25_000, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode pictures and their mirror images.

    Args:
        encoder: [B, 3, H, W] -> mean, log-variance [B, D] each.
        pictures: by index.
        limit: pictures at most, the first ones.
        device: of the encoder.

    Returns:
        Means and standard deviations [N, 2, D] on the device, as drawn and mirrored.
    """
    means, deviations = [], []
    for start in range(0, min(limit, len(pictures)), 32):
        images = pictures.images(range(start, min(start + 32, limit, len(pictures)))).to(device)
        both = torch.cat([images, images.flip(3)]).contiguous(memory_format=torch.channels_last)
        mean, log_variance = encoder(both)
        means.append(torch.stack(mean.chunk(2), dim=1))
        deviations.append(torch.stack((0.5 * log_variance).exp().chunk(2), dim=1))
    return torch.cat(means), torch.cat(deviations)
