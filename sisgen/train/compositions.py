"""Masks that no sample has: warped parts of other samples, laid over a sample's own mask.

People draw what a generator shows seldom or never: hair to the waist, ears as large as the head, a face without a mouth. Proxy masks of
such drawings are not known, yet the picture can still be asked to show the drawn classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from sisgen.train.proxies import WarpConfig, warp_grid, warp_labels


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeConfig:
    """How masks are composed."""

    parts: int = 2  # laid over every mask
    small: float = 0.05  # of the picture: what is smaller may stay on top, as eyes do when hair grows
    p_keep: float = 0.7  # of staying on top
    p_stretch: float = 0.5  # of a part being stretched about its own middle, and moved, as caricatures and third eyes want
    shrinks: float = 0.7  # least factor of stretching, of either axis
    grows: float = 2.5  # greatest one
    cover: float = 0.2  # of the picture that a part is not stretched beyond
    stray: float = 0.3  # share of the picture that a stretched part moves by at most, either way
    warp: WarpConfig = field(default_factory=lambda: WarpConfig(p_flip=0.5, rotation=20, scale=0.4, shift=0.15, elastic=0.05, bulge=0.8))


def compose_masks(
    labels: torch.Tensor, num_labels: int, sources: Sequence[torch.Generator], config: ComposeConfig | None = None
) -> torch.Tensor:
    """Lay parts over masks; every part is one class of another mask of the batch, warped.

    Args:
        labels: int64 [B, H, W]; a batch of one takes its parts from itself.
        num_labels: L.
        sources: one random generator a mask, on the CPU.
        config: how; `None` takes the defaults.

    Returns:
        int64 [B, H, W].
    """
    config = config or ComposeConfig()
    size = labels.shape[-1]
    shares = _shares(labels, num_labels)  # [B, L], on the CPU
    composed = labels
    for turn in range(config.parts):
        others, weights = labels.roll(turn + 1, dims=0), shares.roll(turn + 1, dims=0).sqrt()
        chosen = torch.stack([torch.multinomial(row, 1, generator=g) for row, g in zip(weights, sources)])  # [B, 1]
        grid = warp_grid(sources, size, config.warp)
        grid = _stretch(grid, (others == chosen.to(labels.device)[:, :, None]).cpu(), sources, config)
        moved = warp_labels(others, grid.to(labels.device))
        chosen = chosen.to(labels.device)[:, :, None]
        composed = torch.where(moved == chosen, chosen, composed)

    # Small parts come back on top.
    drawn = torch.stack([torch.rand(num_labels, generator=g) for g in sources])
    stays = ((shares < config.small) & (drawn < config.p_keep)).to(labels.device)  # [B, L]
    on_top = stays.gather(1, labels.flatten(1)).view_as(labels)
    return torch.where(on_top, labels, composed)


def compose_some(labels: torch.Tensor, num_labels: int, sources: Sequence[torch.Generator], chosen: Sequence[bool]) -> torch.Tensor:
    """Compose the chosen masks of a batch int64 [B, H, W] as `compose_masks` does; the others stay as they are."""
    if not any(chosen):
        return labels
    anew = torch.tensor(chosen, device=labels.device)
    return torch.where(anew[:, None, None], compose_masks(labels, num_labels, sources), labels)


def _stretch(grid: torch.Tensor, part: torch.Tensor, sources: Sequence[torch.Generator], config: ComposeConfig) -> torch.Tensor:
    """Stretch a sampling grid [B, H, W, 2] about the middle of a part bool [B, H, W], and move it, where chance says so."""
    u = torch.stack([torch.rand(5, generator=g) for g in sources])
    share = part.float().mean(dim=(1, 2)).clamp_min(1e-6)
    along = torch.linspace(-1, 1, part.shape[-1])
    middle = torch.stack([(part.float().mean(dim=axis) * along).sum(dim=1) for axis in (1, 2)], dim=1) / (share * len(along))[:, None]
    most = (config.cover / share).sqrt().clamp(1, config.grows)[:, None]
    factor = config.shrinks * (most / config.shrinks) ** u[:, 1:3]
    shift = (2 * u[:, 3:5] - 1) * 2 * config.stray
    chosen = u[:, 0] < config.p_stretch
    factor, shift = (torch.where(chosen[:, None], value, neutral)[:, None, None] for value, neutral in ((factor, 1.0), (shift, 0.0)))
    middle = middle[:, None, None]
    return middle + (grid - middle - shift) / factor


def _shares(labels: torch.Tensor, num_labels: int) -> torch.Tensor:
    counts = torch.stack([torch.bincount(mask.flatten(), minlength=num_labels) for mask in labels.cpu()])
    return counts / labels[0].numel()
