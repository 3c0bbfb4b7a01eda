"""The edge network: sizes, alignment of its levels, small pictures, and its folder."""

from pathlib import Path

import pytest
import torch

from sisgen.errors import CheckpointError, InputError
from sisgen.io.configs import to_dict
from sisgen.io.models import export_parts
from sisgen.nets.edges import EdgeConfig, EdgeNet, Trunk, load_edges, start_from_squeezenet
from sisgen.nets.squeezenet import load_squeezenet

SQUEEZENET = Path(__file__).parents[2] / "checkpoints" / "squeezenet"
TINY = EdgeConfig(full=4, half=4, quarter=4, deep=4)


@pytest.fixture(scope="module")
def tiny() -> EdgeNet:
    torch.manual_seed(0)
    return EdgeNet(TINY).eval()


def test_every_level_has_its_own_output(tiny):
    logits = tiny(torch.zeros(2, 3, 48, 64))
    assert [tuple(x.shape) for x in logits] == [(2, 1, 48, 64)] * 4


def test_any_size_is_read_and_small_ones_enlarged(tiny):
    images = torch.rand(1, 3, 37, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = tiny.read(images)
    assert found.shape == (1, 1, 37, 50)
    assert 0 <= float(found.min()) < float(found.max()) <= 1
    large = torch.nn.functional.interpolate(images, size=(200, 224))
    assert tiny.read(large).shape == (1, 1, 200, 224)
    with pytest.raises(InputError, match="at least 16 pixels"):
        tiny.read(torch.zeros(1, 3, 8, 40))


def test_levels_lie_over_the_picture():
    trunk = Trunk()
    start_from_squeezenet_weights = load_squeezenet(SQUEEZENET).state_dict()
    trunk.load_state_dict({name: start_from_squeezenet_weights[name] for name in trunk.state_dict()})
    image = torch.full((1, 3, 64, 64), -0.5)
    image[..., 32:] = 0.5  # a step in the middle
    with torch.no_grad():
        levels = trunk(image)
    for reduction, features in levels.items():
        assert features.shape[-2:] == (64 // reduction, 64 // reduction)
    for reduction in (2, 4):
        across = (levels[reduction][..., 1:] - levels[reduction][..., :-1]).abs().sum(dim=(0, 1, 2))
        inner = across[2:-2]  # borders are mirrored
        assert abs((float(inner.argmax()) + 3) * reduction - 32) <= reduction


def test_it_starts_from_squeezenet():
    net = EdgeNet(TINY)
    start_from_squeezenet(net, SQUEEZENET)
    assert torch.equal(net.trunk.conv1.weight, load_squeezenet(SQUEEZENET).conv1.weight)


def test_a_folder_gives_the_same_network_back(tiny, tmp_path):
    export_parts(tmp_path, {"edges": tiny}, {"edges": to_dict(TINY)}, half=False)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.allclose(load_edges(tmp_path).read(images), tiny.read(images), atol=1e-6)
    (tmp_path / "edges.safetensors").unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        load_edges(tmp_path)


def test_widths_are_checked():
    with pytest.raises(InputError, match="deep must be in"):
        EdgeConfig(deep=0)
