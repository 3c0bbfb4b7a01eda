"""Seeds as latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def latents(seeds: Sequence[int], z_dim: int) -> torch.Tensor:
    """Draw the latents of seeds [B, D] as the official tools do, on the CPU, one seed at a time."""
    rows = [np.random.RandomState(seed).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate(rows)).float()
