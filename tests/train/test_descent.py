"""How the length of a step follows the run."""

import math

import pytest

from sisgen.errors import TrainingError
from sisgen.train.descent import check_rate, rate_factor


@pytest.mark.parametrize(("progress", "last", "wanted"), [(0.0, 0.1, 0.05), (0.019, 0.1, 0.9829), (0.5, 0.1, 0.55), (0.5, 0.05, 0.525)])
def test_the_learning_rate_rises_over_two_percent_and_falls_to_its_last_share(progress: float, last: float, wanted: float) -> None:
    assert rate_factor(progress, last) == pytest.approx(wanted)


@pytest.mark.parametrize("lr", [1e-6, 0.02, 1.0])
def test_a_rate_in_range_passes(lr: float) -> None:
    check_rate(lr, 0.02)


@pytest.mark.parametrize("lr", [0.0, -1e-3, 1.01, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused_with_a_usual_one(lr: float) -> None:
    with pytest.raises(TrainingError, match=r"--lr must lie in \(0, 1\], but it is .*; give a rate such as 0.003."):
        check_rate(lr, 0.003)
