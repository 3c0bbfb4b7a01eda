"""Labelled samples of a generator: what a few-shot segmenter learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.errors import TrainingError
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.reader import Reader
from sisgen.shapes import drawing_size


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSamples:
    """What the segmenter learns from.

    Attributes:
        images: float [N, 3, H, W] in [-1, 1], of the labels' size.
        hypercolumn: the feature map [N, C, r, r] of every block up to that size, coarse to fine.
        labels: int64 [N, H, W]; -1 where the annotator left a pixel open.
    """

    images: torch.Tensor
    hypercolumn: tuple[torch.Tensor, ...]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@torch.no_grad()
def run_hypercolumn(generator: StyleGAN2, ws: torch.Tensor, size: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Make pictures with their feature maps, a few at a time.

    Args:
        generator: in evaluation mode.
        ws: float [N, S, D].
        size: of the pictures and of the finest maps; what the generator makes beyond is averaged, so that memory stays bounded.

    Returns:
        Pictures [N, 3, size, size] clipped to [-1, 1], and one feature map [N, C, r, r] a block, coarse to fine.
    """
    images, parts = [], []
    for some in ws.split(generator.config.at_once):
        steps = generator.hypercolumn(some, largest=size)
        image = generator.tail(steps[-1], some).clamp(-1, 1)
        images.append(image if image.shape[-1] == size else F.adaptive_avg_pool2d(image, size))
        parts.append([step.map for step in steps])
    return torch.cat(images), tuple(torch.cat(maps) for maps in zip(*parts))


def label_samples(
    generator: StyleGAN2, seeds: Sequence[int], labels: torch.Tensor | None, annotator: Reader | None, psi: float
) -> LabelledSamples:
    """Make the labelled samples of a few seeds.

    Args:
        generator: in evaluation mode.
        seeds: which samples.
        labels: int64 [N, H, W] that a person painted, of `drawing_size`; `None` lets `annotator` stand in.
        annotator: a reader that stands in for the person; used where `labels` is `None`.
        psi: truncation of the samples.

    Raises:
        TrainingError: neither labels nor an annotator.
    """
    device = next(generator.parameters()).device
    ws = generator.map(latents(seeds, generator.config.z_dim).to(device), psi=psi)
    images, hypercolumn = run_hypercolumn(generator, ws, drawing_size(generator.config.resolution))
    if labels is None:
        if annotator is None:
            raise TrainingError("Samples must be labelled by painted masks or by a reader, but neither came; give --masks or --annotator.")
        labels = torch.cat([annotator.read(part) for part in images.split(8)])
    return LabelledSamples(images=images.cpu(), hypercolumn=tuple(part.cpu() for part in hypercolumn), labels=labels.cpu())
