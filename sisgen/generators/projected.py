"""Projected discriminator: small heads on a frozen network's features (Sauer et al., Projected GANs, NeurIPS 2021).

A discriminator that begins with features of pictures needs a tenth of the pictures of one from scratch. Features of four stages are
mixed by random, frozen convolutions across channels and, from deep to shallow, across scales; a spectrally normalized head judges each.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

STAGES = {"conv1": 96, "fire3": 128, "fire5": 256, "fire8": 512}  # SqueezeNet's stages that are read, their channels
DEEPEST = "fire8"


class ProjectedDiscriminator(nn.Module):
    """SqueezeNet's stages -> realness logits [B, N] of N places on four scales.

    Args:
        width: channels of the mixed features and of the heads; the finest stage, the costliest, takes half.
    """

    scale: torch.Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = dict.fromkeys(STAGES, width) | {"conv1": width // 2}
        coarser = dict(zip(STAGES, [*list(widths.values())[1:], None], strict=True))
        self.channel_mixing = nn.ModuleDict({name: nn.Conv2d(STAGES[name], widths[name], 1, bias=False) for name in STAGES})
        self.scale_mixing = nn.ModuleDict(
            {name: nn.Conv2d(below, widths[name], 3, padding=1, bias=False) for name, below in coarser.items() if below}
        )
        for weight in [*self.channel_mixing.parameters(), *self.scale_mixing.parameters()]:
            nn.init.kaiming_normal_(weight, nonlinearity="linear")
            weight.requires_grad_(False)
        self.heads = nn.ModuleDict({name: _head(widths[name], downs) for name, downs in zip(STAGES, (2, 2, 1, 0), strict=True)})
        self.register_buffer("scale", torch.zeros(len(STAGES)))  # root mean square of every stage on real pictures; 0 = not seen yet

    @torch.no_grad()
    def observe(self, stages: Mapping[str, torch.Tensor], decay: float = 0.99) -> None:
        """Follow the size of the features of real pictures, so that every stage comes in at unit variance."""
        sizes = torch.stack([stages[name].float().square().mean().sqrt() for name in STAGES])
        self.scale.copy_(torch.where(self.scale == 0, sizes, self.scale.lerp(sizes, 1 - decay)))

    def forward(self, stages: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Judge features of pictures; `observe` real ones first."""
        mixed: torch.Tensor | None = None
        logits = []
        for i, name in reversed(list(enumerate(STAGES))):
            x = self.channel_mixing[name](stages[name] / self.scale[i])
            if mixed is not None:
                x = x + F.interpolate(self.scale_mixing[name](mixed), size=x.shape[2:], mode="bilinear", align_corners=False)
            mixed = x
            logits.append(self.heads[name](mixed).flatten(1))
        return torch.cat(logits, dim=1)


def _head(width: int, downs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(downs):
        layers += [spectral_norm(nn.Conv2d(width, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
    layers += [spectral_norm(nn.Conv2d(width, width, 3, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 1)))
