"""From seeds to latents, as the official StyleGAN tools do it: a seed is one picture, alone or in a batch, on every device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sisgen.errors import InputError

MAX_SEED = 2**32 - 1


def seed_latents(seeds: Sequence[int], z_dim: int) -> torch.Tensor:
    """Draw the latent of every seed on the CPU.

    Args:
        seeds: whole numbers in [0, 2**32 - 1].
        z_dim: length of a latent.

    Returns:
        float [B, z_dim], standard normal.

    Raises:
        InputError: no seed, or one out of range.
    """
    if not len(seeds):
        raise InputError("At least one seed is needed, but none came; pass seeds=[0].")
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise InputError(f"A seed must be a whole number from 0 to {MAX_SEED}, but it is {seed}; choose a smaller one.")
    rows = [np.random.RandomState(int(seed)).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate(rows)).float()
