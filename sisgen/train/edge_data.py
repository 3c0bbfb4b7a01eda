"""Pictures and contours for the edge network: what the annotators agree on, and random crops of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.data.bsds import BSDS
from sisgen.data.degrade import DegradeConfig, add_noise, draw, recolor, spread
from sisgen.io.images import to_float
from sisgen.train.loop import generator_for

OUTSIDE = -1.0  # target of what lies beyond the picture


@dataclass(frozen=True, kw_only=True, slots=True)
class CropConfig:
    """How crops are drawn; every `p_` is a chance per sample."""

    size: int = 256  # side of a crop in pixels, a multiple of 16
    scales: tuple[float, float] = (0.6, 1.5)  # least and greatest enlargement
    p_tilt: float = 0.5
    tilt: float = 15.0  # degrees either way, beside the quarter turns
    p_color: float = 0.8
    color: float = 0.2  # as in `DegradeConfig`
    gamma: float = 0.3
    p_grey: float = 0.05
    p_noise: float = 0.2
    noise: float = 0.05  # greatest standard deviation on [-1, 1]


def agreed(boundaries: NDArray[np.bool_]) -> torch.Tensor:
    """Tell how many annotators agree on a contour.

    People draw the same contour a pixel apart, so an annotator agrees with a drawn pixel where he drew one beside it.

    Args:
        boundaries: bool [A, H, W], the maps of the annotators.

    Returns:
        Float [1, H, W]: 0 where nobody drew; elsewhere the share of annotators, in (0, 1].
    """
    maps = torch.from_numpy(boundaries).float()[:, None]  # [A, 1, H, W]
    near = F.max_pool2d(maps, 3, stride=1, padding=1).mean(dim=0)
    return near * maps.amax(dim=0)


class EdgeData:
    """Photographs in memory with what their annotators agree on.

    Args:
        archive: BSDS500.
        splits: which of its parts.
        seed: of the order.
    """

    def __init__(self, archive: BSDS, splits: Sequence[str], *, seed: int = 0) -> None:
        self.seed = seed
        names = [name for split in splits for name in archive.names(split)]
        self._pictures = [archive.picture(name) for name in names]
        self._targets = [agreed(archive.boundaries(name)) for name in names]

    def __len__(self) -> int:
        return len(self._pictures)

    def whole(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give a picture float [1, 3, H, W] in [-1, 1] and its target float [1, 1, H, W] as they are."""
        return to_float(self._pictures[index][None]), self._targets[index][None]

    def crops(self, sample_ids: Sequence[int], config: CropConfig) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw crops; what happens to a sample hangs on its id alone.

        Returns:
            pictures float [B, 3, size, size] in [-1, 1], and targets float [B, 1, size, size]: the agreement, -1 outside.
        """
        parts = [self._crop(i, config) for i in sample_ids]
        images, targets = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        return _repaint(images, [generator_for(self.seed, i, stream=2) for i in sample_ids], config), targets

    def _crop(self, sample_id: int, config: CropConfig) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, place = divmod(sample_id, len(self))
        index = int(np.random.default_rng([self.seed, epoch]).permutation(len(self))[place])
        image, target = self.whole(index)
        u = draw([generator_for(self.seed, sample_id)], 8)[0]
        low, high = (math.log(scale) for scale in config.scales)
        scale = math.exp(low + (high - low) * float(u[0]))
        grid = _grid(u, scale, (image.shape[-2], image.shape[-1]), config)
        # A line of one pixel would fall through the gaps of a smaller picture.
        wide = F.max_pool2d(F.pad(target, (0, 1, 0, 1)), 2, stride=1) if scale < 1 else target
        moved = F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
        taken = F.grid_sample(wide - OUTSIDE, grid, mode="nearest", align_corners=False) + OUTSIDE  # zeros outside become -1
        return moved, taken


def _grid(u: torch.Tensor, scale: float, size: tuple[int, int], config: CropConfig) -> torch.Tensor:
    """Places [1, s, s, 2] of a crop: turned, tilted, mirrored, scaled, anywhere inside; u is uniform [8]."""
    turn = math.floor(4 * float(u[1])) * math.pi / 2
    tilt = float(spread(u[2], math.radians(config.tilt))) if u[3] < config.p_tilt else 0.0
    cos, sin = math.cos(turn + tilt), math.sin(turn + tilt)
    mirror = -1.0 if u[4] < 0.5 else 1.0
    half = config.size / 2 / scale  # of the crop, in pixels of the picture
    steps = (torch.arange(config.size) + 0.5) / config.size * 2 - 1
    y, x = torch.meshgrid(steps * half, steps * half * mirror, indexing="ij")
    places = []
    for axis, (along, across, draw_of) in enumerate(((cos, -sin, u[5]), (sin, cos, u[6]))):
        length = size[1 - axis]
        room = max(length / 2 - half, 0.0)
        places.append((along * x + across * y + float(spread(draw_of, room))) / (length / 2))
    return torch.stack(places, dim=-1)[None]


def _repaint(images: torch.Tensor, generators: Sequence[torch.Generator], config: CropConfig) -> torch.Tensor:
    """Change colours and add noise, some samples each."""
    u = draw(generators, 13)
    recolored = recolor(images, u[:, 3:12], DegradeConfig(color=config.color, gamma=config.gamma))
    images = torch.where((u[:, 0] < config.p_color)[:, None, None, None], recolored, images)
    grey = images.mean(dim=1, keepdim=True).expand_as(images)
    images = torch.where((u[:, 1] < config.p_grey)[:, None, None, None], grey, images)
    sigmas = torch.where(u[:, 2] < config.p_noise, u[:, 12] * config.noise, torch.zeros(len(u)))
    return add_noise(images, sigmas, generators).clamp(-1, 1)
