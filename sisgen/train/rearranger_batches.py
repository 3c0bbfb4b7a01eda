"""What a step of the rearranger's training is made from: style samples and the targets that they shall follow, with classes or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.reader import Reader
from sisgen.nets.segmenter import Segmenter
from sisgen.proxy.clusters import FeatureClusters
from sisgen.train.label_loss import class_weights, label_loss
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, draw_ws, warp_grid, warp_labels, warp_maps
from sisgen.types import Features, ProxyMask

DICE = 0.5  # of the loss of labels


@dataclass(frozen=True, slots=True)
class Batch:
    """Style samples, their targets and, where it is known, the answer."""

    ws: torch.Tensor  # [B, S, D]
    steps: Mapping[int, Features]  # up to the fine resolution
    image: torch.Tensor  # the style samples' pictures [B, 3, H, W]
    own: torch.Tensor  # proxy masks of the style samples [B, K, h, w]
    target: ProxyMask
    grid: torch.Tensor  # of the warp [B, h, w, 2], or [B, H, W, 2] where there are classes
    known: torch.Tensor  # bool [B]: the target is the own proxy mask, warped
    labels: torch.Tensor | None  # classes of the target, int64 [B, H, W], where there are any


@dataclass(frozen=True, slots=True)
class ClassReaders:
    """What tells the classes of samples, by their features, and of pictures; both stay as they are."""

    segmenter: Segmenter
    reader: Reader

    def __post_init__(self) -> None:
        known, seen = self.segmenter.config.num_labels, self.reader.config.num_labels
        if known != seen:
            raise TrainingError(
                f"The model's segmenter and reader must know the same classes, but they know {known} and {seen}; train the reader again."
            )
        self.segmenter.eval().requires_grad_(False)
        self.reader.eval().requires_grad_(False)


class BatchSource:
    """Draws the batches of a training.

    Args:
        generator: whose samples they are.
        clusters: of its features.
        fine_resolution: side of the finest features that rearranging takes.
        warp: how far targets are warped.
        classes: tell the classes of targets and of pictures; `None` knows none.
    """

    def __init__(
        self, generator: StyleGAN2, clusters: FeatureClusters, fine_resolution: int, warp: WarpConfig, classes: ClassReaders | None
    ) -> None:
        self.generator, self.clusters, self.warp, self.classes = generator, clusters, warp, classes
        readable = [] if classes is None else [classes.segmenter.resolution]
        self.shape_largest = max(*clusters.config.sources, *readable)  # side of the finest features of a shape sample
        self.style_largest = max(self.shape_largest, fine_resolution)
        if classes is not None:
            typical = [self.run(draw_ws(generator, [generator_for(0, i, stream=7)]))[0] for i in range(16)]
            labels = torch.cat([self._classes(steps) for steps in typical])
            self.class_weights = class_weights(labels, classes.segmenter.config.num_labels, 0.3).to(clusters.tau.device)

    @torch.no_grad()
    def draw(self, info: StepInfo) -> Batch:
        """Draw style samples and targets; a third of the targets are the own proxy masks, warped."""
        sources = [generator_for(info.seed, i, stream=1) for i in info.sample_ids]
        device = self.clusters.tau.device
        ws, other_ws = draw_ws(self.generator, sources), draw_ws(self.generator, sources)
        steps, image = self.run(ws)
        other = {step.resolution: step for step in self.generator.hypercolumn(other_ws, largest=self.shape_largest)}
        own, theirs = self.clusters(maps_of(steps)).probs, self.clusters(maps_of(other)).probs
        size = own.shape[-1] if self.classes is None else self.classes.segmenter.resolution
        grid = warp_grid(sources, size, self.warp).to(device)
        role = torch.tensor([i % 3 for i in info.sample_ids], device=device)
        known, bent = role == 0, (role <= 1)[:, None, None, None]
        target = torch.where(known[:, None, None, None], own, theirs)
        target = torch.where(bent, warp_maps(target, grid), target)
        labels = None
        if self.classes is not None:
            labels = torch.where(known[:, None, None], self._classes(steps), self._classes(other))
            labels = torch.where(bent[:, 0], warp_labels(labels, grid), labels)
        return Batch(ws, steps, image, own, ProxyMask(probs=target), grid, known, labels)

    @torch.no_grad()
    def run(self, ws: torch.Tensor) -> tuple[dict[int, Features], torch.Tensor]:
        """Make style samples: their features, and their pictures."""
        steps = self.generator.hypercolumn(ws, largest=self.style_largest)
        return {step.resolution: step for step in steps}, self.generator.tail(steps[-1], ws)

    def label_loss(self, image: torch.Tensor, batch: Batch) -> torch.Tensor | None:
        """What rearranged pictures [B, 3, H, W] miss of their targets' classes; `None` where no classes are known."""
        if self.classes is None or batch.labels is None:
            return None
        return label_loss(self.classes.reader(image.clamp(-1.1, 1.1)).float(), batch.labels, self.class_weights, DICE)

    def _classes(self, steps: Mapping[int, Features]) -> torch.Tensor:
        """Classes int64 [B, H, W] of samples."""
        assert self.classes is not None
        largest = self.classes.segmenter.resolution
        return self.classes.segmenter.read([steps[size].map for size in sorted(steps) if size <= largest])


def maps_of(steps: Mapping[int, Features]) -> dict[int, torch.Tensor]:
    """Feature maps by resolution, without their skip-RGB."""
    return {size: step.map for size, step in steps.items()}
