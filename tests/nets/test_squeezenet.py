"""SqueezeNet v1.0: the stages' sizes, the shipped weights, and what its features tell apart."""

from pathlib import Path

import pytest
import torch

from sisgen.data.degrade import blur
from sisgen.errors import CheckpointError
from sisgen.nets.squeezenet import NUM_FEATURES, SqueezeNet, crop_alike, load_squeezenet, perceptual_distance

FOLDER = Path(__file__).parents[2] / "checkpoints" / "squeezenet"


def picture(seed: int) -> torch.Tensor:
    """A smooth random picture [1, 3, 64, 64]."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(64, 64), mode="nearest")


def test_sides_follow_caffe_ceil_mode() -> None:
    stages = SqueezeNet().stages(torch.zeros(1, 3, 227, 227))
    assert {name: stages[name].shape[1:] for name in ("conv1", "fire2", "fire5", "fire9")} == {
        "conv1": (96, 111, 111),
        "fire2": (128, 55, 55),
        "fire5": (256, 27, 27),
        "fire9": (512, 13, 13),
    }


def test_shipped_weights_tell_a_blurred_picture_from_another_noise() -> None:
    net = load_squeezenet(FOLDER)
    with torch.no_grad():
        plain, again, blurred = (net.features(x) for x in (picture(0), picture(0), blur(picture(0), torch.tensor([3.0]))))
    assert plain.shape == (1, NUM_FEATURES)
    assert torch.equal(plain, again)
    assert float((plain - blurred).norm() / plain.norm()) > 0.3


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_squeezenet(tmp_path)


def test_perceptual_distance_is_zero_for_equal_pictures_and_grows_with_blur() -> None:
    torch.manual_seed(0)
    net = SqueezeNet().eval().requires_grad_(False)
    sharp = torch.rand(2, 3, 64, 64) * 2 - 1
    soft = torch.nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
    softer = torch.nn.functional.avg_pool2d(sharp, 7, stride=1, padding=3)
    assert float(perceptual_distance(net, sharp, sharp)) == 0.0
    assert 0 < float(perceptual_distance(net, soft, sharp)) < float(perceptual_distance(net, softer, sharp))
    soft.requires_grad_()
    perceptual_distance(net, soft, sharp).backward()
    assert soft.grad is not None and float(soft.grad.abs().sum()) > 0


def test_crops_of_several_pictures_lie_at_one_place_that_the_source_draws() -> None:
    a = torch.arange(2 * 3 * 16 * 16.0).reshape(2, 3, 16, 16)
    seen = set()
    for seed in range(64):
        one, two = crop_alike(a, a + 1, torch.Generator().manual_seed(seed))
        assert one.shape == two.shape == (2, 3, 13, 13)
        assert torch.equal(one + 1, two)
        seen.add(float(one[0, 0, 0, 0]))
    assert seen == {float(16 * y + x) for y in range(4) for x in range(4)}
