"""What a drawing leaves open leans on the style sample: Bayes' rule by hand."""

import pytest
import torch

from sisgen.proxy.leaning import LIMIT, RARE, TRUST, lean_on
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig


def flat(*shares: float) -> torch.Tensor:
    """One proxy mask [1, K, 2, 2] that is the same everywhere."""
    return torch.tensor(shares).reshape(1, -1, 1, 1).expand(-1, -1, 2, 2)


def test_factors_compare_the_sample_with_the_average() -> None:
    found = lean_on(flat(0.6, 0.3, 0.1), torch.tensor([0.2, 0.3, 0.5]))
    by_hand = torch.tensor([(0.6 + RARE) / (0.2 + RARE), 1.0, (0.1 + RARE) / (0.5 + RARE)]) ** TRUST
    assert torch.allclose(found[0].exp(), by_hand)


def test_factors_are_bounded_and_say_nothing_where_nothing_is_known() -> None:
    found = lean_on(flat(1.0, 0.0), torch.tensor([0.001, 0.999]))
    assert torch.allclose(found.exp(), torch.tensor([[LIMIT**TRUST, LIMIT**-TRUST]]))
    assert torch.equal(lean_on(flat(1.0, 0.0), torch.zeros(2)), torch.zeros(1, 2))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_mapper_multiplies_what_it_found_by_the_factors(batch: int) -> None:
    torch.manual_seed(0)
    mapper = MaskMapper(MaskMapperConfig(num_labels=3, num_clusters=4, resolution=16, proxy_resolution=16, width=8)).eval()
    mask = torch.rand(1, 3, 16, 16).softmax(dim=1)
    factors = torch.rand(batch, 4) + 0.2
    with torch.no_grad():
        plain, leaned = mapper.read(mask).probs, mapper.read(mask, factors.log()).probs
    by_hand = plain * factors[:, :, None, None]
    assert torch.allclose(leaned, by_hand / by_hand.sum(dim=1, keepdim=True), atol=1e-6)
