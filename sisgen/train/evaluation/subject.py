"""What evaluation asks of a model, and the answer of a `Pipeline`; another method needs only to answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from sisgen.conditions.mask import mask_condition
from sisgen.types import LabelSet

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline


class Subject(Protocol):
    """A method under evaluation. Pictures are float [B, 3, H, W] in [-1, 1], labels int64 [B, H, W]."""

    labels: LabelSet
    resolution: int

    def plain(self, seeds: Sequence[int]) -> torch.Tensor:
        """Make plain samples."""
        ...

    def from_proxy(self, targets: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        """Give the samples `seeds` the layout of the samples `targets` by the latter's own proxy masks."""
        ...

    def from_masks(self, labels: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Make pictures that follow masks, one a seed."""
        ...

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Read the classes of pictures, as the method does with photographs."""
        ...


class PipelineSubject:
    """A `Pipeline` under evaluation.

    Args:
        pipe: the loaded model.
        truncation: psi of everything that it makes; `None` takes the model's own.
    """

    def __init__(self, pipe: Pipeline, truncation: float | None = None) -> None:
        self.pipe, self.labels, self.resolution = pipe, pipe.labels, pipe.drawing_size
        self.truncation = float(pipe.defaults["truncation"]) if truncation is None else truncation

    def plain(self, seeds: Sequence[int]) -> torch.Tensor:
        """Make plain samples; see `Subject`."""
        return self._shown(self.pipe(None, seeds=seeds, truncation=self.truncation).images)

    def from_proxy(self, targets: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        """Rearrange `seeds` by the proxy masks of `targets`; see `Subject`."""
        proxy = self.pipe.engine.proxy_of(targets, self.truncation)
        return self._shown(self.pipe.engine.synthesize_proxy(proxy, seeds, self.truncation))

    def from_masks(self, labels: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Make pictures that follow masks; see `Subject`."""
        condition = mask_condition(list(labels.cpu().numpy()), self.labels, self.resolution)
        return self._shown(self.pipe(condition, seeds=seeds, truncation=self.truncation).images)

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Read pictures by the model's own reader; see `Subject`."""
        return self.pipe.engine.reader.read(images.to(self.pipe.device)).cpu()

    def _shown(self, images: torch.Tensor) -> torch.Tensor:
        """Clip pictures and bring them to the size of the drawings, which judges compare them with."""
        images = images.clamp(-1, 1)
        return (images if images.shape[-1] == self.resolution else F.adaptive_avg_pool2d(images, self.resolution)).cpu()
