"""Frechet distance: hand-made Gaussians, streaming, few pictures."""

import pytest
import torch

from sisgen.errors import InputError
from sisgen.metrics.frechet import FeatureMoments, frechet_distance


def moments(features: torch.Tensor, batch: int = 7) -> FeatureMoments:
    result = FeatureMoments(features.shape[1])
    for part in features.split(batch):
        result.add(part)
    return result


def test_streaming_equals_torch_cov() -> None:
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1e3
    streamed = moments(features)
    assert torch.allclose(streamed.covariance(), features.double().t().cov(), atol=1e-9)
    assert torch.allclose(streamed.mean, features.double().mean(0))


def test_by_hand() -> None:
    """Variances 2 and 8, means 0 and 3: 9 + 2 + 8 - 2 * sqrt(16) = 11."""
    first, second = torch.tensor([[-1.0], [1.0]]), torch.tensor([[1.0], [5.0]])
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(11.0)


def test_equal_sets_are_at_zero_even_when_rank_deficient() -> None:
    features = torch.randn(5, 64, generator=torch.Generator().manual_seed(1))
    assert frechet_distance(moments(features), moments(features)) == pytest.approx(0.0, abs=1e-6)


def test_symmetric() -> None:
    generator = torch.Generator().manual_seed(2)
    first, second = moments(torch.randn(40, 6, generator=generator)), moments(2 * torch.randn(40, 6, generator=generator))
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first))


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least 2"):
        frechet_distance(moments(torch.zeros(1, 3)), moments(torch.zeros(4, 3)))
    with pytest.raises(InputError, match="finite"):
        moments(torch.full((2, 3), torch.nan))
    with pytest.raises(InputError, match=r"\[any, 3\]"):
        FeatureMoments(3).add(torch.zeros(2, 4))
