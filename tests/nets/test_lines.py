"""Classical lines against kornia and by hand."""

import kornia
import pytest
import torch

from sisgen.data.portraits import render
from sisgen.nets.lines import canny, edge_strength, gaussian_blur, gradients, luminance, soft_edges


@pytest.fixture(scope="module")
def gray() -> torch.Tensor:
    """Two small portraits."""
    return luminance(render([1, 2], 64).images)


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.2, 0.5)])
def test_canny_is_kornias(gray: torch.Tensor, low: float, high: float) -> None:
    ours, theirs = canny(gray, low, high), kornia.filters.canny(gray, low, high)[1]
    assert 0.01 < float(ours.mean()) < 0.2
    assert float((ours != theirs).float().sum() / theirs.sum()) < 0.01


def test_canny_takes_thresholds_of_each_pictures_own_and_stops_in_time(gray: torch.Tensor) -> None:
    low = torch.tensor([0.1, 0.3])[:, None, None, None]
    both = canny(gray, low, 2 * low)
    for i, value in enumerate((0.1, 0.3)):
        assert torch.equal(both[i : i + 1], canny(gray[i : i + 1], value, 2 * value))
    short, whole = canny(gray, 0.05, 0.6, rounds=1), canny(gray, 0.05, 0.6)
    assert float(short.sum()) < float(whole.sum()) and bool((whole >= short).all())


def test_a_step_gives_one_line(gray: torch.Tensor) -> None:
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1
    edges = canny(step)
    assert torch.equal(edges.sum(dim=3), torch.ones(1, 1, 16)) and float(edges[..., 7].sum()) == 16
    along_x, along_y = gradients(step)
    assert float(along_x.max()) == 4.0 and float(along_y.abs().max()) == 0.0
    assert float(edge_strength(step)[0, 0, 5, 7]) == pytest.approx(4.0, abs=1e-4)


def test_blurring_and_soft_edges_keep_their_range(gray: torch.Tensor) -> None:
    theirs = kornia.filters.gaussian_blur2d(gray, (5, 5), (1.0, 1.0))
    assert torch.allclose(gaussian_blur(gray, 1.0, radius=2), theirs, atol=1e-6)
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert float(soft_edges(flat).max()) < 1e-2
    found = soft_edges(render([3], 64).images)
    assert float(found.min()) >= 0 and 0.8 < float(found.max()) <= 1 and float(found.mean()) < 0.4


def test_luminance_of_the_primaries() -> None:
    colors = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]])[:, :, None, None]
    assert torch.allclose(luminance(colors).flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0]))
