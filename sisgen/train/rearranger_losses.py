"""Losses of the rearranger: on proxy masks (eq. 2), on features (eq. 3) and on the prototype tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sisgen.rearrange.rearranger import Rearranger, cluster_sums
from sisgen.types import Features


def cross_entropy(log_probs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft cross-entropy [B, K, h, w], balanced: a cluster counts by the square root of its share."""
    share = target.mean(dim=(0, 2, 3))  # [K]
    weight = (share + 1e-3).rsqrt()
    weight = weight / (weight * share).sum()
    return -(target * log_probs * weight[:, None, None]).sum(dim=1).mean()


def feature_distance(a: Features, b: Features) -> torch.Tensor:
    """Mean absolute difference, in units of the reference's own spread, skip-RGB included."""
    first = (a.map - b.map).abs().mean() / b.map.std().clamp_min(1e-4)
    return first + 0.3 * (a.rgb - b.rgb).abs().mean() / b.rgb.std().clamp_min(1e-4)


def token_loss(rearranger: Rearranger, steps: Mapping[int, Features], own: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Prototypes predicted from w against the sample's own cluster means, weighted by how much of a cluster there is."""
    sizes = rearranger.config
    loss = torch.zeros([], device=w.device)
    for size, head in ((sizes.resolution, rearranger.tokens), (sizes.fine_resolution, rearranger.fine_tokens)):
        if head.mean.numel() == 0:
            continue
        sums, mass = cluster_sums(steps[size], own)
        mean = (sums / mass.clamp_min(1e-3) - rearranger.base(steps[size])[:, None])[:, :, None]  # [B, K, 1, C + 3]
        weight = mass.clamp(max=16.0)[:, :, None]
        scale = steps[size].map.square().mean().clamp_min(1e-8)
        loss = loss + ((head(w) - mean).square() * weight).sum() / (weight.sum() * mean.shape[-1] * head.shape[1] * scale)
    return loss
