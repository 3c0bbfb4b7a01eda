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
        moved = warp_labels(others, warp_grid(sources, size, config.warp).to(labels.device))
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


def _shares(labels: torch.Tensor, num_labels: int) -> torch.Tensor:
    counts = torch.stack([torch.bincount(mask.flatten(), minlength=num_labels) for mask in labels.cpu()])
    return counts / labels[0].numel()
