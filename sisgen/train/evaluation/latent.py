"""The baseline of free-form editing: search the latent space for a picture that a linear reader of features reads as the mask.

As in "Linear Semantics in Generative Adversarial Networks" (Xu and Zheng, CVPR 2021): a few labelled samples fit a linear classifier on
the generator's features; then the style rows are moved by Adam until it reads the wanted mask. It starts where the style's own sample
and the nearest of some others are, tries each for a few steps and follows the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.reader import Reader

FIT_SEEDS = 4_200_000_000  # of the labelled samples, then of those that check the fit, then of the candidates
W_SAMPLES = 512  # that the spread of w is taken from


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentConfig:
    """How the linear reader is fitted, and how the search goes."""

    labelled: int = 16  # samples that the linear reader learns from
    pixels: int = 3072  # of each, rare classes more densely
    rounds: int = 60  # of L-BFGS
    decay: float = 1e-3  # weight of its weights' squares
    candidates: int = 32  # samples that a search may start from
    starts: int = 3  # of which are tried, the style's own among them
    tries: int = 10  # steps of each
    steps: int = 60  # in all for the best one
    rate: float = 0.05  # of Adam, in standard deviations of w
    prior: float = 1e-3  # weight of the squared distance from the mean w, in standard deviations


class LinearReader(nn.Module):
    """A linear classifier on the hypercolumn: a 1 x 1 convolution a block, enlarged and summed.

    Args:
        channels: of every block, coarse to fine.
        num_labels: L.
    """

    def __init__(self, channels: Sequence[int], num_labels: int) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.steps = nn.ModuleList(nn.Conv2d(width, num_labels, 1, bias=False) for width in channels)
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, hypercolumn: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps [B, C, r, r] of all blocks -> logits [B, L, H, W] at the finest one's size."""
        size = hypercolumn[-1].shape[-2:]
        logits = self.bias[None, :, None, None]
        for step, features in zip(self.steps, hypercolumn):
            logits = logits + _enlarge(step(features), size)
        return logits

    @torch.no_grad()
    def assign(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Take the weight [L, sum of C] and bias [L] of a classifier of single pixels."""
        for step, part in zip(self.steps.parameters(), weight.split(self.channels, dim=1)):
            step.copy_(part[:, :, None, None])
        self.bias.copy_(bias)


class LatentSearch:
    """Follows masks by moving style rows.

    Args:
        generator: frozen.
        teacher: labels the few samples.
        num_labels: L.
        truncation: psi of all samples.
        config: how.

    Attributes:
        fit: share of pixels of unseen samples that the linear reader reads as the teacher does.
    """

    def __init__(self, generator: StyleGAN2, teacher: Reader, num_labels: int, truncation: float, config: LatentConfig) -> None:
        self.generator, self.config, self.truncation = generator, config, truncation
        labelled = self.rows(range(FIT_SEEDS, FIT_SEEDS + config.labelled))
        checked = self.rows(range(FIT_SEEDS + 1000, FIT_SEEDS + 1000 + config.labelled))
        self.reader = fit_linear(generator, teacher, labelled, num_labels, config)
        self.fit = self._check(teacher, checked)
        self.candidates = self.rows(range(FIT_SEEDS + 2000, FIT_SEEDS + 2000 + config.candidates))
        self.readings = torch.cat([self._logits(ws[None]) for ws in self.candidates]).half()  # [N, L, H, W]
        self.mean = generator.mapping.w_avg
        self.spread = generator.mapping.embed_latent(latents(range(W_SAMPLES), generator.config.z_dim).to(self.mean)).std(dim=0)

    @torch.no_grad()
    def rows(self, seeds: Sequence[int]) -> torch.Tensor:
        """The style rows [B, S, D] of seeds."""
        z = latents(seeds, self.generator.config.z_dim).to(self.generator.mapping.w_avg)
        return self.generator.map(z, psi=self.truncation)

    def follow(self, labels: torch.Tensor, seed: int) -> torch.Tensor:
        """Search for a picture that follows a mask.

        Args:
            labels: int64 [H, W] at the generator's size.
            seed: of the style, one of the starts.

        Returns:
            float [1, 3, H, W] in [-1, 1].
        """
        wanted = labels[None].to(self.mean.device)
        starts = [self.rows([seed]), *self._nearest(wanted, self.config.starts - 1)]
        tried = [_Walk(self, ws, wanted) for ws in starts]
        for walk in tried:
            walk.run(self.config.tries)
        best = min(tried, key=lambda walk: walk.loss)
        best.run(self.config.steps - self.config.tries)
        with torch.no_grad():
            return self.generator(best.ws()).clamp(-1, 1)

    def loss(self, ws: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """How far what the linear reader reads is from the wanted mask."""
        return F.cross_entropy(self._logits(ws), wanted)

    @torch.no_grad()
    def _nearest(self, wanted: torch.Tensor, count: int) -> list[torch.Tensor]:
        losses = torch.stack([F.cross_entropy(one[None].float(), wanted) for one in self.readings])
        return [self.candidates[i : i + 1] for i in losses.argsort()[:count].tolist()]

    def _logits(self, ws: torch.Tensor) -> torch.Tensor:
        return self.reader([step.map for step in self.generator.hypercolumn(ws)])

    @torch.no_grad()
    def _check(self, teacher: Reader, rows: torch.Tensor) -> float:
        same = []
        for ws in rows[:, None]:
            steps = self.generator.hypercolumn(ws)
            read = self.reader([step.map for step in steps]).argmax(dim=1)
            same.append((read == teacher.read(steps[-1].rgb.clamp(-1, 1))).float().mean())
        return float(torch.stack(same).mean())


class _Walk:
    """One start of a search: offsets of all style rows, in standard deviations of w, and their optimiser."""

    def __init__(self, search: LatentSearch, start: torch.Tensor, wanted: torch.Tensor) -> None:
        self.search, self.wanted = search, wanted
        self.offset = ((start - search.mean) / search.spread).detach().clone().requires_grad_(True)
        self.optimiser = torch.optim.Adam([self.offset], lr=search.config.rate, betas=(0.9, 0.99))
        self.loss = float("inf")

    def ws(self) -> torch.Tensor:
        return self.search.mean + self.offset * self.search.spread

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.optimiser.zero_grad()
            loss = self.search.loss(self.ws(), self.wanted) + self.search.config.prior * self.offset.square().mean()
            loss.backward()
            self.optimiser.step()
            self.loss = loss.item()


def fit_linear(generator: StyleGAN2, teacher: Reader, rows: torch.Tensor, num_labels: int, config: LatentConfig) -> LinearReader:
    """Fit the linear reader by logistic regression on some pixels of a few labelled samples.

    Args:
        generator: frozen.
        teacher: labels the samples.
        rows: their style rows [N, S, D].
        num_labels: L.
        config: how many pixels and rounds.
    """
    pixels, classes = _collect(generator, teacher, rows, config)
    mean, scale = pixels.mean(dim=0), pixels.std(dim=0).clamp_min(1e-4).reciprocal()
    pixels = (pixels - mean) * scale
    weight = torch.zeros(num_labels, pixels.shape[1], device=pixels.device, requires_grad=True)
    bias = torch.zeros(num_labels, device=pixels.device, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=config.rounds, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(F.linear(pixels, weight, bias), classes) + config.decay * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    channels = [generator.config.channels[str(size)] for size in generator.config.resolutions]
    reader = LinearReader(channels, num_labels).to(pixels.device)
    with torch.no_grad():
        reader.assign(weight * scale, bias - (weight * scale) @ mean)
    return reader.requires_grad_(False)


@torch.no_grad()
def _collect(generator: StyleGAN2, teacher: Reader, rows: torch.Tensor, config: LatentConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Hypercolumns [P, sum of C] and classes [P] of some pixels of every sample, drawn by the root of their class's frequency."""
    source = torch.Generator().manual_seed(0)
    pixels, classes = [], []
    for ws in rows[:, None]:
        steps = generator.hypercolumn(ws)
        labels = teacher.read(steps[-1].rgb.clamp(-1, 1)).flatten()
        chance = torch.bincount(labels).float().rsqrt()[labels].cpu()
        chosen = torch.multinomial(chance, min(config.pixels, len(labels)), generator=source).to(labels.device)
        size = steps[-1].map.shape[-2:]
        pixels.append(torch.cat([_enlarge(step.map, size).flatten(2)[0][:, chosen] for step in steps]).t())
        classes.append(labels[chosen])
    return torch.cat(pixels), torch.cat(classes)


def _enlarge(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)
