"""Self-agreement of pictures with a drawing."""

import pytest
import torch

from sisgen.metrics.agreement import agreement

NAMES = ("sky", "sea", "sun")


def test_painted_pixels_only_and_one_drawing_for_all() -> None:
    drawn = torch.tensor([[[0, 0], [1, -1]]])
    read = torch.tensor([[[0, 0], [1, 2]], [[0, 1], [1, 2]]])
    exact, partly = agreement(drawn, read, NAMES)
    assert (exact.miou, exact.accuracy) == (1.0, 1.0)
    assert partly.accuracy == pytest.approx(2 / 3)
    assert dict(partly.per_class) == pytest.approx({"sky": 0.5, "sea": 0.5})


def test_blank_drawing_has_no_agreement() -> None:
    assert agreement(torch.full((1, 2, 2), -1), torch.zeros(3, 2, 2, dtype=torch.int64), NAMES) == ()
