"""What adaptation makes from a generator's samples: latents a sample id, features for k-means, warps of proxy masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.layers import channel_softmax
from sisgen.nets.segmenter import Segmenter
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig

TRUNCATION = (0.5, 1.0)  # psi of all adaptation stages is uniform in this range


def draw_ws(generator: StyleGAN2, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Draw one style a source, truncated at random: ws [B, S, D]."""
    device = generator.mapping.w_avg.device
    z = torch.stack([torch.randn(generator.config.z_dim, generator=g) for g in sources]).to(device)
    low, high = TRUNCATION
    psi = torch.tensor([[low + (high - low) * float(torch.rand(1, generator=g))] for g in sources], device=device)
    return generator.map(z, psi=psi)


@torch.no_grad()
def collect_features(
    generator: StyleGAN2, config: ProxyConfig, z: torch.Tensor, *, cells: int = 256, psi: float = 0.8, seed: int = 0
) -> torch.Tensor:
    """Gather rows for k-means, the same number from every sample.

    Args:
        generator: whose features.
        config: which of them.
        z: latents [n, z_dim].
        cells: rows a sample.
        psi: truncation.
        seed: which cells.

    Returns:
        Rows [n * cells, C].
    """
    clusters = FeatureClusters(config)
    source = torch.Generator().manual_seed(seed)
    rows = []
    for part in z.split(16):
        steps = generator.hypercolumn(generator.map(part, psi=psi), largest=max(config.sources))
        rows.append(_choose(clusters.join(steps).cpu(), cells, source))
    return torch.cat(rows)


@torch.no_grad()
def collect_labelled(
    generator: StyleGAN2, segmenter: Segmenter, config: ProxyConfig, z: torch.Tensor, *, cells: int = 256, psi: float = 0.8, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gather the rows of `collect_features`, and the class int64 [n * cells] of each, as `segmenter` reads it."""
    clusters = FeatureClusters(config)
    source = torch.Generator().manual_seed(seed)
    rows = []
    for part in z.split(16):
        steps = generator.hypercolumn(generator.map(part, psi=psi), largest=max(segmenter.resolution, *config.sources))
        logits = segmenter([step.map for step in steps if step.resolution <= segmenter.resolution])
        labels = F.adaptive_avg_pool2d(channel_softmax(logits), config.resolution).argmax(dim=1, keepdim=True)
        rows.append(_choose(torch.cat([clusters.join(steps), labels], dim=1).cpu(), cells, source))
    chosen = torch.cat(rows)
    return chosen[:, :-1].contiguous(), chosen[:, -1].long()


def _choose(maps: torch.Tensor, cells: int, source: torch.Generator) -> torch.Tensor:
    """Draw places of every map [B, C, h, w]: rows [B * cells, C]."""
    flat = maps.flatten(2).transpose(1, 2)  # [B, hw, C]
    chosen = torch.randint(flat.shape[1], (len(flat), cells, 1), generator=source).expand(-1, -1, flat.shape[2])
    return flat.gather(1, chosen).flatten(0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpConfig:
    """How far proxy masks and masks are warped, together."""

    p_flip: float = 0.3
    rotation: float = 12.0  # degrees either way
    scale: float = 0.2  # relative size change either way
    shift: float = 0.1  # share of the picture either way
    elastic: float = 0.03  # share of the picture
    bulge: float = 0.5  # strength of one local bulge or pinch


def warp_grid(sources: Sequence[torch.Generator], size: int, config: WarpConfig) -> torch.Tensor:
    """Draw one sampling grid a source: affine, elastic and one local bulge, [B, size, size, 2] in [-1, 1]."""
    u = torch.stack([torch.rand(8, generator=g) for g in sources])
    bumps = torch.stack([torch.rand(2, 5, 5, generator=g) for g in sources])
    around = 2 * u - 1

    # Affine.
    angle = around[:, 0] * config.rotation * torch.pi / 180
    factor = 1 + around[:, 1] * config.scale
    mirror = torch.where(u[:, 2] < config.p_flip, -1.0, 1.0)
    rows = [torch.stack([mirror * factor * angle.cos(), -factor * angle.sin(), around[:, 3] * 2 * config.shift], dim=1)]
    rows.append(torch.stack([mirror * factor * angle.sin(), factor * angle.cos(), around[:, 4] * 2 * config.shift], dim=1))
    grid = F.affine_grid(torch.stack(rows, dim=1), [len(sources), 1, size, size], align_corners=False)

    # Elastic.
    field = F.interpolate((2 * bumps - 1) * 2 * config.elastic, size=(size, size), mode="bicubic", align_corners=False)
    grid = grid + field.permute(0, 2, 3, 1)

    # Bulge around a place near the middle.
    centre = around[:, 5:7] * 0.5
    offset = grid - centre[:, None, None, :]
    near = torch.exp(-offset.square().sum(dim=3, keepdim=True) / (2 * 0.25**2))
    return grid - offset * near * (around[:, 7] * config.bulge)[:, None, None, None]


def warp_maps(maps: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample [B, C, h, w] on a grid of any size, which is brought to h x w; the border repeats beyond the edge."""
    size = maps.shape[-2:]
    if grid.shape[1:3] != size:
        grid = F.interpolate(grid.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    return F.grid_sample(maps, grid.to(maps), padding_mode="border", align_corners=False)


def warp_labels(labels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample labels int64 [B, H, W] on a grid [B, H, W, 2], the nearest one; the border repeats beyond the edge."""
    moved = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    return moved[:, 0].round().long()
