"""Plain arguments: what passes, and the sentence that refuses the rest."""

import math

import numpy as np
import pytest

from sisgen.engines.checks import MAX_SEED, MAX_SEEDS, check_number, check_seeds
from sisgen.errors import InputError


def test_numbers_of_numpy_are_numbers() -> None:
    assert check_seeds(np.array([1, MAX_SEED])) == [1, MAX_SEED]
    assert check_number("truncation", np.float32(0.5), 0, 1) == 0.5


@pytest.mark.parametrize("seeds", [[-1], [MAX_SEED + 1], [True], [0.5], ["1"]])
def test_a_bad_seed_is_named(seeds: list) -> None:
    with pytest.raises(InputError, match=f"whole number in 0..{MAX_SEED}, but it is {seeds[0]}"):
        check_seeds(seeds)


@pytest.mark.parametrize("count", [0, MAX_SEEDS + 1])
def test_seeds_are_counted(count: int) -> None:
    with pytest.raises(InputError, match=f"Between 1 and {MAX_SEEDS} seeds are needed, but {count} came"):
        check_seeds(range(count))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, True, "0.5", None])
def test_a_bad_number_is_named(value: object) -> None:
    with pytest.raises(InputError, match=r"strength must be a number in 0\.\.1, but it is"):
        check_number("strength", value, 0.0, 1.0)  # type: ignore[arg-type]
