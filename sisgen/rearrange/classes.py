"""Attention within classes, for photographs: hair that is drawn longer takes the hair that is there, not what is common for hair.

A place that shall show a class sees the tokens of that class in the photograph, by a bias of log(share); the prototype tokens are left
for classes that the photograph lacks, or has too little of. No training: the bias is added to what the rearranger learned.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sisgen.rearrange.rearranger import Rearranger

FLOOR = 3e-3  # what other tokens count
LEAST_SHARE = 0.04  # of the picture; smaller classes are free: on validation masks noses and mouths were followed less with a bias


def class_bias(rearranger: Rearranger, wanted: torch.Tensor, own: torch.Tensor, num_labels: int) -> torch.Tensor:
    """Add up the bias of every query and token.

    Args:
        rearranger: whose own bias it is added to.
        wanted: classes that the places shall show, int64 [B, H, W].
        own: classes of the photograph, int64 [B, H, W].
        num_labels: L.

    Returns:
        [B, 1, T, T + KM], for `Rearranger.forward`.
    """
    size = rearranger.config.resolution
    target, source = (_shares(labels, num_labels, size) for labels in (wanted, own))  # [B, L, T]
    lacking = (source.mean(dim=2, keepdim=True) < LEAST_SHARE).to(target.dtype)
    free = (target * lacking).sum(dim=1)[:, :, None]  # [B, T, 1], how far a place shows what the photograph hardly has
    same = torch.maximum(target.transpose(1, 2) @ source, free)  # [B, T, T]
    near = rearranger.attention_bias()  # [T, T + KM]
    prototypes = free.expand(-1, -1, near.shape[1] - near.shape[0])
    return (near + torch.cat([same, prototypes], dim=2).clamp_min(FLOOR).log())[:, None]


def _shares(labels: torch.Tensor, num_labels: int, size: int) -> torch.Tensor:
    hard = F.one_hot(labels, num_labels).permute(0, 3, 1, 2).float()
    return F.adaptive_avg_pool2d(hard, size).flatten(2)
