"""How samples become drawings of a kind: what a trainer of drawing mappers needs to know about scribbles, lines and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from sisgen.data.degrade import draw
from sisgen.errors import TrainingError
from sisgen.nets.lines import gaussian_blur
from sisgen.proxy.drawing_mapper import DRAWING_KINDS
from sisgen.train.drawings.scribbles import draw_scribbles
from sisgen.train.drawings.sketches import draw_canny, draw_sketches, draw_soft_edges

EDGE_KINDS = ("sketch", "canny", "hed")  # whose lines the picture must show


class Reads(Protocol):
    """A network that reads a map [B, 1, H, W] in [0, 1] from pictures [B, 3, H, W] in [-1, 1]."""

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Read it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingSource:
    """Makes drawings of one kind.

    Attributes:
        kind: one of `DRAWING_KINDS`.
        num_labels: L.
        network: the edge network of "hed" (`None` takes gradients) or the depth network of "depth".
    """

    kind: str
    num_labels: int
    network: Reads | None = None

    def __post_init__(self) -> None:
        if self.kind not in DRAWING_KINDS:
            raise TrainingError(f"The kind must be one of {', '.join(DRAWING_KINDS)}, but it is {self.kind!r}; choose one of these.")
        if self.kind == "depth" and self.network is None:
            raise TrainingError("Depth is read from samples by a network, but none came; pass --depth with its folder.")

    @property
    def channels(self) -> int:
        """Channels of the drawings."""
        return self.num_labels if self.kind == "scribble" else 1

    def draw(self, images: torch.Tensor, labels: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
        """Make the drawings of samples.

        Args:
            images: float [B, 3, H, W] in [-1, 1].
            labels: int64 [B, H, W].
            sources: one random generator a sample, on the CPU.

        Returns:
            Float [B, C, H, W] in [0, 1].
        """
        if self.kind == "scribble":
            return draw_scribbles(labels, self.num_labels, sources)
        if self.kind == "sketch":
            return draw_sketches(images, labels, self.num_labels, sources)
        if self.kind == "canny":
            return draw_canny(images, sources)
        found = None if self.network is None else self.network.read(images)
        if self.kind == "hed":
            return draw_soft_edges(images, sources, found)
        assert found is not None
        return vary_depth(found, sources)


def vary_depth(depth: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Bend, blur and flatten depth [B, 1, H, W] in [0, 1] at random, since every source of depth has a scale of its own.

    A third stays smooth, a third has the 16 steps that pages keep, and a third has 2 to 5, as a person paints it.
    """
    u = draw(sources, 5, device=depth.device)[:, :, None, None, None]
    blurred = torch.lerp(depth, gaussian_blur(depth, 1.5 * depth.shape[-1] / 128), u[:, 1])
    bent = blurred.clamp_min(1e-4) ** (0.6 + 1.0 * u[:, 0])
    smooth, painted = u[:, 2] < 1 / 3, u[:, 2] >= 2 / 3
    steps = torch.where(painted, torch.floor(2 + 4 * u[:, 3]), 16.0) - 1
    shift = torch.where(painted, 0.6 * u[:, 4] - 0.3, 0.0)  # no two people draw the line at the same depth
    stepped = (bent * steps + shift).round().clamp_min(0).minimum(steps) / steps
    return torch.where(smooth, bent, stepped)
