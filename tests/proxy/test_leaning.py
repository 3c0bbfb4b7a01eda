"""What a drawing leaves open leans on the style sample: Bayes' rule by hand."""

import pytest
import torch

from sisgen.proxy.leaning import LIMIT, RARE, TRUST, lean, lean_on


def flat(*shares: float) -> torch.Tensor:
    """One proxy mask [1, K, 2, 2] that is the same everywhere."""
    return torch.tensor(shares).reshape(1, -1, 1, 1).expand(-1, -1, 2, 2)


def test_factors_compare_the_sample_with_the_average() -> None:
    found = lean_on(flat(0.6, 0.3, 0.1), torch.tensor([0.2, 0.3, 0.5]))
    by_hand = torch.tensor([(0.6 + RARE) / (0.2 + RARE), 1.0, (0.1 + RARE) / (0.5 + RARE)]) ** TRUST
    assert torch.allclose(found[0], by_hand)


def test_factors_are_bounded_and_1_where_nothing_is_known() -> None:
    found = lean_on(flat(1.0, 0.0), torch.tensor([0.001, 0.999]))
    assert torch.allclose(found, torch.tensor([[LIMIT**TRUST, LIMIT**-TRUST]]))
    assert torch.equal(lean_on(flat(1.0, 0.0), torch.zeros(2)), torch.ones(1, 2))


def test_what_the_drawing_decides_stays_and_what_it_leaves_open_follows_the_sample() -> None:
    probs = torch.tensor([[1.0, 0.5], [0.0, 0.5]]).reshape(1, 2, 1, 2)  # a place that is certain, one that is not
    leaned = lean(probs, torch.tensor([[1.0, 3.0]]))
    assert torch.allclose(leaned[0, :, 0], torch.tensor([[1.0, 0.25], [0.0, 0.75]]))
    assert torch.equal(lean(probs, torch.ones(1, 2)), probs)


@pytest.mark.parametrize("batch", [1, 3])
def test_leaned_proxy_masks_are_probabilities(batch: int) -> None:
    torch.manual_seed(0)
    probs = torch.randn(batch, 5, 4, 4).softmax(dim=1)
    leaned = lean(probs, torch.rand(batch, 5) + 0.2)
    assert torch.allclose(leaned.sum(dim=1), torch.ones(batch, 4, 4)) and float(leaned.min()) >= 0
