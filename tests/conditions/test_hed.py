"""Soft contours as a condition, and which detector is taken."""

import numpy as np
import pytest
import torch

from sisgen.conditions.hed import hed_condition, load_detector, read_carefully
from sisgen.errors import InputError, ModelNotFoundError
from sisgen.io.configs import to_dict
from sisgen.io.models import export_parts
from sisgen.nets.edges import EdgeConfig, EdgeNet
from sisgen.nets.hed import HED

TINY = EdgeConfig(full=4, half=4, quarter=4, deep=4)


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """The only checkpoints of this machine, with a small edge network; the Hub is out of reach."""
    for name, value in (("SISGEN_CHECKPOINTS", tmp_path), ("SISGEN_CACHE", tmp_path / "none"), ("HF_HUB_OFFLINE", "1")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("sisgen.hub.remote.cache_of_hub", lambda: tmp_path / "hub")
    torch.manual_seed(0)
    export_parts(tmp_path / "edges", {"edges": EdgeNet(TINY)}, {"edges": to_dict(TINY)})
    return tmp_path


def test_a_wide_picture_is_padded_not_stretched(checkpoints):
    detector = load_detector()
    picture = np.zeros((40, 80, 3), dtype=np.uint8)
    picture[10:30, 20:60] = (200, 90, 40)
    condition = hed_condition(picture, 64, detector)
    assert condition.kind == "hed" and condition.labels is None
    assert condition.map.shape == (1, 1, 64, 64)
    assert float(condition.map[..., :16, :].max()) == float(condition.map[..., 48:, :].max()) == 0, "no contours around the picture"
    assert float(condition.map[..., 16:48, :].max()) > 0
    assert float(hed_condition(picture[:2], 64, detector).map.min()) > 0, "a narrow strip is read with its padding"
    assert float(condition.map.min()) >= 0 and float(condition.map.max()) <= 1


class Brightness:
    """Stands in for a network: remembers what it saw, and finds what is bright, on the left half twice."""

    def __init__(self):
        self.seen = []

    def read(self, images):
        self.seen.append(tuple(images.shape[-2:]))
        weights = torch.ones(images.shape[-1])
        weights[: len(weights) // 2] = 2
        return (images.mean(dim=1, keepdim=True) + 1) / 2 * weights


def test_a_careful_look_is_the_mean_of_sizes_and_mirror_images():
    net, images = Brightness(), torch.zeros(2, 3, 64, 96)
    images[:, :, :, :48] = 1
    found = read_carefully(net, images)
    assert net.seen == [(32, 48)] * 2 + [(64, 96)] * 2 + [(96, 144)] * 2 and found.shape == (2, 1, 64, 96)
    assert torch.allclose(found[..., :40], torch.tensor(1.5)) and torch.allclose(found[..., 56:], torch.tensor(0.75))
    assert torch.allclose(read_carefully(net, images.flip(3)), found.flip(3), atol=1e-6)


def test_a_careful_look_leaves_out_sizes_that_are_too_small():
    net = Brightness()
    read_carefully(net, torch.zeros(1, 3, 20, 40))
    assert net.seen == [(20, 40)] * 2 + [(30, 60)] * 2


def test_a_map_of_contours_is_taken_as_it_is():
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    picture[16, :] = 255
    condition = hed_condition(picture, 32, None, edges=True)
    assert torch.allclose(condition.map[0, 0, 16], torch.ones(32), atol=1e-5) and float(condition.map.sum()) == pytest.approx(32, abs=1e-3)


def test_the_small_network_serves_until_hed_lies_here(checkpoints):
    assert load_detector().name == "edges"
    assert "BSDS500" in load_detector(prefer="edges").source
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE"):
        load_detector(prefer="hed")
    (checkpoints / "hed").mkdir()
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in HED().state_dict().items()}
    torch.save({name: torch.zeros(shape, dtype=torch.half) for name, shape in shapes.items()}, checkpoints / "hed" / "ControlNetHED.pth")
    assert load_detector().name == "hed"
    assert load_detector(prefer="edges").name == "edges"


def test_refusals(checkpoints):
    with pytest.raises(InputError, match="must be one of hed, edges"):
        load_detector(prefer="canny")
    with pytest.raises(InputError, match="needs a detector"):
        hed_condition(np.zeros((32, 32, 3), dtype=np.uint8), 32, None)
