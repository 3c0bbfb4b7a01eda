from pathlib import Path

import pytest
import torch

from sisgen.errors import InputError, SisgenError
from sisgen.io.configs import to_dict
from sisgen.io.models import export_parts
from sisgen.nets.depth import DepthConfig, DepthNet, load_depth, normalise_depth


def test_depth_is_read_from_any_size_and_survives_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = DepthNet(DepthConfig(width=4)).eval()
    images = torch.rand(2, 3, 40, 56) * 2 - 1
    found = net.read(images)
    assert found.shape == (2, 1, 40, 56)
    assert torch.equal(found.amin(dim=(1, 2, 3)), torch.zeros(2)) and torch.equal(found.amax(dim=(1, 2, 3)), torch.ones(2))
    export_parts(tmp_path / "depth", {"depth": net}, {"depth": to_dict(net.config)})
    assert torch.allclose(load_depth(tmp_path / "depth").read(images), found, atol=0.05)


def test_depth_of_any_unit_becomes_0_to_1() -> None:
    ramp = torch.arange(100.0).reshape(1, 1, 10, 10)
    assert torch.allclose(normalise_depth(ramp * 7 - 300), normalise_depth(ramp), atol=1e-5)
    assert torch.equal(normalise_depth(torch.full((1, 1, 4, 4), 9.0)), torch.zeros(1, 1, 4, 4))


def test_what_is_no_depth_network_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="width must be in"):
        DepthConfig(width=0)
    with pytest.raises(SisgenError, match="does not exist"):
        load_depth(tmp_path / "nowhere")
