"""Augmentation: which transformations come, that they are what they claim, and how p follows the discriminator."""

import math
from collections.abc import Callable

import pytest
import torch

from sisgen.train.augment import NUM_DRAWS, AdaptiveAugment, _grid, _recolor


def sources(num: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(num)]


def ramp(batch: int = 4, size: int = 16) -> torch.Tensor:
    """Smooth pictures without symmetry."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    return torch.stack([x, y, x * y / 2 + 0.3])[None].repeat(batch, 1, 1, 1)


def transform(images: torch.Tensor, **chosen: float) -> torch.Tensor:
    """Apply chosen transformations, `n7=0.3` is the seventh with the draw 0.3; the others are off."""
    on, value = torch.zeros(len(images), NUM_DRAWS, dtype=torch.bool), torch.full((len(images), NUM_DRAWS), 0.9)
    for name, draw in chosen.items():
        on[:, int(name[1:])] = True
        value[:, int(name[1:])] = draw
    grid = _grid(images, on, value)
    return _recolor(torch.nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False), on, value)


def test_nothing_happens_at_p_0() -> None:
    images = ramp()
    assert AdaptiveAugment()(images, sources(4)) is images


def test_all_off_is_the_identity() -> None:
    images = ramp(1)
    assert torch.allclose(transform(images), images, atol=1e-5)


def grey(images: torch.Tensor) -> torch.Tensor:
    return images.mean(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ({"n0": 0.2}, lambda x: x.flip(3)),
        ({"n0": 0.7}, lambda x: x),  # half of the flips are none
        ({"n1": 0.3}, lambda x: x.rot90(1, (2, 3))),
        ({"n1": 0.6}, lambda x: x.flip(2, 3)),
        ({"n9": 1.0}, lambda x: x + 0.4),
        ({"n10": 1.0}, lambda x: x * 2**0.8),
        ({"n11": 0.2}, lambda x: x - 2 * grey(x)),  # the luma changes its sign, the colour stays
        ({"n12": 0.5}, lambda x: x),  # hue turned by nothing
        ({"n12": 1.0}, lambda x: 2 * grey(x) - x),  # hue turned by half a circle
        ({"n13": 0.0}, lambda x: grey(x) + (x - grey(x)) * 2**-1.4),
    ],
)
def test_each_transformation_is_what_it_claims(chosen: dict[str, float], wanted: Callable[[torch.Tensor], torch.Tensor]) -> None:
    images = ramp(1)
    assert torch.allclose(transform(images, **chosen), wanted(images), atol=1e-4)


def test_a_scale_enlarges_around_the_middle() -> None:
    images = ramp(1)
    made = transform(images, n4=1.0)[:, :2, 4:-4, 4:-4]
    assert torch.allclose(made, images[:, :2, 4:-4, 4:-4] * 2**-0.4, atol=1e-4)


def test_a_shift_moves_by_whole_pixels() -> None:
    images = ramp(1)
    moved = transform(images, n2=1.0, n3=0.0)  # by an eighth of 16 pixels, one way along x and the other along y
    assert torch.allclose(moved[..., 2:, :-2], images[..., :-2, 2:], atol=1e-4)


def test_a_sample_does_not_depend_on_its_batch_and_gradients_flow() -> None:
    augment, images = AdaptiveAugment(), ramp().requires_grad_()
    augment.p.fill_(0.8)
    together = augment(images, sources(4))
    assert torch.allclose(together[2:3], augment(images[2:3], sources(4)[2:3]), atol=1e-6)
    assert not torch.allclose(together, images, atol=0.1)
    together.square().sum().backward()
    assert images.grad is not None and bool(images.grad.abs().sum() > 0)


def test_p_follows_the_sign_of_the_real_logits() -> None:
    augment = AdaptiveAugment(target=0.6, images_to_one=1000.0)
    augment.adapt(0.9, 100)
    assert math.isclose(float(augment.p), 0.1, rel_tol=1e-6)
    augment.adapt(0.2, 30)
    assert math.isclose(float(augment.p), 0.07, rel_tol=1e-5)
    for _ in range(20):
        augment.adapt(-1.0, 100)
    assert float(augment.p) == 0.0
    for _ in range(20):
        augment.adapt(1.0, 100)
    assert float(augment.p) == 1.0


def test_without_a_target_p_stays() -> None:
    augment = AdaptiveAugment(target=None)
    augment.adapt(1.0, 10**9)
    assert float(augment.p) == 0.0
