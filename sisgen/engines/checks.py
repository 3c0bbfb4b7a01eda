"""Checks of plain arguments at public doors; those of tensors are in `shapes.py`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

from sisgen.errors import InputError

MAX_SEED = 2**32 - 1
MAX_SEEDS = 4096  # pictures of one call


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """Check seeds: at least one, integers in 0..2^32 - 1.

    Raises:
        InputError: otherwise.
    """
    seeds = list(seeds)
    if not 1 <= len(seeds) <= MAX_SEEDS:
        raise InputError(f"Between 1 and {MAX_SEEDS} seeds are needed, but {len(seeds)} came.")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed <= MAX_SEED:
            raise InputError(f"A seed must be a whole number in 0..{MAX_SEED}, but it is {str(seed)[:40]}; choose a smaller one.")
    return [int(seed) for seed in seeds]


def check_number(name: str, value: float, low: float, high: float) -> float:
    """Check a finite number in [low, high].

    Raises:
        InputError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"{name} must be a number in {low:g}..{high:g}, but it is {str(value)[:40]}.")
    return float(value)
