"""Labelled samples of a generator: what a few-shot segmenter learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sisgen.engines.rearrange import latents
from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.reader import Reader


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSamples:
    """What the segmenter learns from.

    Attributes:
        images: float [N, 3, H, W] in [-1, 1].
        hypercolumn: the feature map [N, C, r, r] of every block, coarse to fine.
        labels: int64 [N, H, W]; -1 where the annotator left a pixel open.
    """

    images: torch.Tensor
    hypercolumn: tuple[torch.Tensor, ...]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@torch.no_grad()
def run_hypercolumn(generator: StyleGAN2, ws: torch.Tensor, batch: int = 8) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Make pictures with all their feature maps.

    Args:
        generator: in evaluation mode.
        ws: float [N, S, D].
        batch: samples at once.

    Returns:
        Pictures [N, 3, H, W] clipped to [-1, 1], and one feature map [N, C, r, r] a block, coarse to fine.
    """
    parts = [generator.hypercolumn(part) for part in ws.split(batch)]
    images = torch.cat([part[-1].rgb for part in parts]).clamp(-1, 1)
    maps = tuple(torch.cat([part[i].map for part in parts]) for i in range(len(parts[0])))
    return images, maps


def label_samples(
    generator: StyleGAN2, seeds: Sequence[int], labels: torch.Tensor | None, annotator: Reader | None, psi: float
) -> LabelledSamples:
    """Make the labelled samples of a few seeds.

    Args:
        generator: in evaluation mode.
        seeds: which samples.
        labels: int64 [N, H, W] that a person painted; `None` lets `annotator` stand in.
        annotator: a reader that stands in for the person; used where `labels` is `None`.
        psi: truncation of the samples.

    Raises:
        TrainingError: neither labels nor an annotator.
    """
    device = next(generator.parameters()).device
    images, hypercolumn = run_hypercolumn(generator, generator.map(latents(seeds, generator.config.z_dim).to(device), psi=psi))
    if labels is None:
        if annotator is None:
            raise TrainingError("Samples must be labelled by painted masks or by a reader, but neither came; give --masks or --annotator.")
        labels = torch.cat([annotator.read(part) for part in images.split(8)])
    return LabelledSamples(images=images.cpu(), hypercolumn=tuple(part.cpu() for part in hypercolumn), labels=labels.cpu())
