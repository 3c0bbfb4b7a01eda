"""Several looks at the same pictures: in other sizes and as mirror images."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch.nn import functional as F


def mean_of_looks(read: Callable[[torch.Tensor], torch.Tensor], scaled: Iterable[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
    """Read every picture as it is and mirrored, and take the mean (after RCF, Liu et al., CVPR 2017).

    Args:
        read: maps pictures [B, 3, h, w] to maps [B, C, h, w].
        scaled: the same pictures in one or several sizes.
        size: (H, W) of what comes back.

    Returns:
        [B, C, H, W].
    """
    found = []
    for images in scaled:
        both = (read(images) + read(images.flip(3)).flip(3)) / 2
        found.append(both if both.shape[-2:] == size else F.interpolate(both, size=size, mode="bilinear", align_corners=False))
    return torch.stack(found).mean(dim=0)
