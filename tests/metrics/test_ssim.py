"""Structural similarity against numbers worked out by hand."""

import pytest
import torch

from sisgen.errors import InputError
from sisgen.metrics.ssim import ssim


def test_equal_pictures_are_one_and_noise_lowers_it() -> None:
    source = torch.Generator().manual_seed(0)
    a = torch.rand(2, 3, 24, 24, generator=source) * 2 - 1
    noise = torch.randn(a.shape, generator=source)
    assert torch.allclose(ssim(a, a), torch.ones(2))
    little, much = ssim(a, a + 0.1 * noise), ssim(a, a + 0.6 * noise)
    assert bool((much < little).all()) and bool((little < 1).all()) and ssim(a, -a).max() < 0


def test_flat_pictures_differ_by_their_means_alone() -> None:
    dark, light = torch.full((1, 3, 16, 16), -0.5), torch.full((1, 3, 16, 16), 0.5)  # 0.25 and 0.75 in [0, 1]
    c1 = 0.01**2
    assert float(ssim(dark, light)) == pytest.approx((2 * 0.25 * 0.75 + c1) / (0.25**2 + 0.75**2 + c1), rel=1e-5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="to be compared"):
        ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 8))
    with pytest.raises(InputError, match="at least 11"):
        ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
