"""ControlNet's HED: the names and sizes of its file, its arithmetic, and what is refused."""

from collections import OrderedDict

import pytest
import torch

from sisgen.errors import CheckpointError
from sisgen.nets.hed import BLOCKS, HED, load_hed

TINY = ((2, 1), (3, 2))


def test_names_and_sizes_are_those_of_controlnets_file():
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in HED(BLOCKS).state_dict().items()}
    assert shapes["norm"] == (1, 3, 1, 1)
    assert shapes["block1.convs.0.weight"] == (64, 3, 3, 3)
    assert shapes["block3.convs.2.weight"] == (256, 256, 3, 3)
    assert shapes["block5.projection.weight"] == (1, 512, 1, 1)
    assert len(shapes) == 1 + 2 * (13 + 5)


def test_a_file_of_the_same_names_is_read(tmp_path):
    torch.manual_seed(0)
    net = HED(TINY)
    net.norm.data.fill_(100.0)
    torch.save(OrderedDict((name, tensor.half()) for name, tensor in net.state_dict().items()), tmp_path / "hed.pth")
    loaded = load_hed(tmp_path / "hed.pth", blocks=TINY)
    images = torch.rand(1, 3, 200, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1

    # By hand: pixels 0..255 minus the norm, two blocks, the mean of the enlarged logits.
    x = (images + 1) * 127.5 - 100
    first = torch.relu(loaded.block1.convs[0](x))
    second = torch.nn.functional.max_pool2d(first, 2)
    for conv in loaded.block2.convs:
        second = torch.relu(conv(second))
    side = torch.nn.functional.interpolate(loaded.block2.projection(second), scale_factor=2, mode="bilinear")
    wanted = torch.sigmoid((loaded.block1.projection(first) + side) / 2)

    assert torch.allclose(loaded.read(images), wanted, atol=1e-5)
    assert loaded.read(torch.zeros(1, 3, 20, 30)).shape == (1, 1, 20, 30)  # small ones are enlarged on the way


def test_other_files_are_refused(tmp_path):
    torch.save({"norm": torch.zeros(1, 3, 1, 1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="must hold ControlNet's HED"):
        load_hed(tmp_path / "other.pth", blocks=TINY)
    (tmp_path / "text.pth").write_text("not a network")
    with pytest.raises(CheckpointError, match="is refused"):
        load_hed(tmp_path / "text.pth", blocks=TINY)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_hed(tmp_path / "none.pth", blocks=TINY)
