"""How the length of a step follows the run."""

import math

import pytest
import torch

from sisgen.errors import TrainingError
from sisgen.train.descent import check_rate, cosine_factor, rate_factor, risen, set_rates


@pytest.mark.parametrize(("progress", "last", "wanted"), [(0.0, 0.1, 0.05), (0.019, 0.1, 0.9829), (0.5, 0.1, 0.55), (0.5, 0.05, 0.525)])
def test_the_learning_rate_rises_over_two_percent_and_falls_to_its_last_share(progress: float, last: float, wanted: float) -> None:
    assert rate_factor(progress, last) == pytest.approx(wanted)


@pytest.mark.parametrize(("progress", "wanted"), [(0.0, 1.0), (0.5, 0.505), (1.0, 0.01)])
def test_a_learning_rate_may_fall_along_half_a_cosine(progress: float, wanted: float) -> None:
    assert cosine_factor(progress) == pytest.approx(wanted)


@pytest.mark.parametrize(("images_seen", "warmup", "wanted"), [(0, 100, 0.08), (42, 100, 0.5), (400, 100, 1.0), (0, 0, 1.0)])
def test_a_learning_rate_may_rise_over_so_many_images(images_seen: int, warmup: int, wanted: float) -> None:
    assert risen(images_seen, 8, warmup) == pytest.approx(wanted)


def test_every_group_of_an_optimizer_keeps_its_own_rate() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = torch.optim.Adam(groups)
    set_rates(optimizer, [0.2, 0.01], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.005]


@pytest.mark.parametrize("lr", [1e-6, 0.02, 1.0])
def test_a_rate_in_range_passes(lr: float) -> None:
    check_rate(lr, 0.02)


@pytest.mark.parametrize("lr", [0.0, -1e-3, 1.01, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused_with_a_usual_one(lr: float) -> None:
    with pytest.raises(TrainingError, match=r"--lr must lie in \(0, 1\], but it is .*; give a rate such as 0.003."):
        check_rate(lr, 0.003)
