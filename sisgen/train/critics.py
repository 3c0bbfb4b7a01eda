"""Critics of generated pictures, each with its optimizer: one of pixels (StyleGAN2's), one of SqueezeNet's features (projected).

A critic learns and gives the generator's loss from one forward pass over the generated pictures. Its pull on a picture is scaled to that
of the difference that a decoded picture has (after Esser et al., VQGAN, eq. 7), so that weights mean the same in every training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.generators.discriminator import Discriminator, PatchDiscriminator, logistic_generator_loss
from sisgen.generators.projected import ProjectedDiscriminator
from sisgen.train.distributed import Processes


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch as critics see it."""

    fake: torch.Tensor  # [B, 3, H, W], takes gradients
    real: torch.Tensor  # [B', 3, H, W]
    fake_stages: Mapping[str, torch.Tensor]  # SqueezeNet's, of the pictures above; empty where no critic reads them
    real_stages: Mapping[str, torch.Tensor]


class Critic(Protocol):
    """One critic: `judge` backpropagates its own loss, `step` moves it once the generator's gradients went through."""

    @property
    def network(self) -> nn.Module:
        """What learns."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What moves it."""

    def judge(self, batch: Judged, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the generator's loss of every generated picture [B], or of its patches [B, N], and the critic's own."""


def pull_over_push(difference: torch.Tensor, g_loss: torch.Tensor, fake: torch.Tensor, known: int) -> torch.Tensor:
    """Compare lengths of gradients on pictures: of the difference, over that of a critic on the `known` first ones (VQGAN, eq. 7)."""
    (pull,) = torch.autograd.grad(difference, fake, retain_graph=True)
    (push,) = torch.autograd.grad(g_loss, fake, retain_graph=True)
    return pull.norm() / push[:known].norm().clamp_min(1e-12)


class PixelCritic:
    """StyleGAN2's discriminator, of pictures or of patches, with its losses and lazy R1."""

    def __init__(
        self, network: Discriminator | PatchDiscriminator, processes: Processes, *, lr: float, r1_gamma: float, r1_interval: int
    ) -> None:
        self.network, self.processes = network, processes
        self.r1_gamma, self.r1_interval = r1_gamma, r1_interval
        self.weights = list(network.parameters())
        lazy = r1_interval / (r1_interval + 1)
        self.optimizer = torch.optim.Adam(self.weights, lr=lr * lazy, betas=(0.0, 0.99**lazy), eps=1e-8)

    def judge(self, batch: Judged, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Critic`."""
        fake_logits, real_logits = self.network(batch.fake).float(), self.network(batch.real).float()
        loss = F.softplus(fake_logits).mean() + F.softplus(-real_logits).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.weights, retain_graph=True)
        if step % self.r1_interval == 0:
            seen = batch.real.detach().requires_grad_()
            with torch.autocast(seen.device.type, enabled=False):  # second derivatives want fp32
                logits = self.network(seen)
                patches = logits.numel() // len(logits)
                (gradient,) = torch.autograd.grad(logits.sum() / patches**0.5, seen, create_graph=True)
                penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
                (penalty * (self.r1_gamma / 2 * self.r1_interval)).backward(inputs=self.weights)
        self.processes.average_gradients(self.weights)
        return logistic_generator_loss(fake_logits), loss


class FeatureCritic:
    """The projected discriminator with hinge losses."""

    def __init__(self, network: ProjectedDiscriminator, processes: Processes, *, lr: float) -> None:
        self.network, self.processes = network, processes
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.weights, lr=lr, betas=(0.0, 0.99))

    def judge(self, batch: Judged, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Critic`."""
        self.network.observe(batch.real_stages)
        fake_logits, real_logits = self.network(batch.fake_stages).float(), self.network(batch.real_stages).float()
        loss = F.relu(1 + fake_logits).mean() + F.relu(1 - real_logits).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.weights, retain_graph=True)
        self.processes.average_gradients(self.weights)
        return -fake_logits.mean(dim=1), loss
