"""How the length of a step follows the run."""

import pytest

from sisgen.train.descent import rate_factor


@pytest.mark.parametrize(("progress", "last", "wanted"), [(0.0, 0.1, 0.05), (0.019, 0.1, 0.9829), (0.5, 0.1, 0.55), (0.5, 0.05, 0.525)])
def test_the_learning_rate_rises_over_two_percent_and_falls_to_its_last_share(progress: float, last: float, wanted: float) -> None:
    assert rate_factor(progress, last) == pytest.approx(wanted)
