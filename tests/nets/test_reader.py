"""The reader: shapes, refusals, cost, and that it learns four tiny pictures by heart."""

import pytest
import torch
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.nets.reader import Reader, ReaderConfig, count_macs, preset


def test_logits_have_the_pictures_size() -> None:
    reader = Reader(ReaderConfig(num_labels=5, width=4)).eval()
    assert reader(torch.zeros(2, 3, 32, 48)).shape == (2, 5, 32, 48)
    assert reader.read(torch.zeros(2, 3, 32, 48)).dtype == torch.int64


def test_a_picture_reads_the_same_alone_and_in_a_batch() -> None:
    torch.manual_seed(0)
    reader, images = Reader(ReaderConfig(num_labels=3, width=4)).eval(), torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.allclose(reader(images)[2:3], reader(images[2:3]), atol=1e-5)


def test_a_careful_look_is_the_mean_of_several_and_takes_mirror_images_for_what_they_are() -> None:
    torch.manual_seed(0)
    reader, images = Reader(ReaderConfig(num_labels=3, width=4)).eval(), torch.rand(2, 3, 64, 64) * 2 - 1
    probs = reader.read_carefully(images)
    assert probs.shape == (2, 3, 64, 64) and torch.allclose(probs.sum(dim=1), torch.ones(2, 64, 64), atol=1e-5)
    assert torch.allclose(reader.read_carefully(images.flip(3)), probs.flip(3), atol=1e-5)
    assert not torch.allclose(probs, reader(images).softmax(dim=1), atol=1e-3)
    light = Reader(ReaderConfig(num_labels=3, width=4, most=32)).eval()
    assert light.read_carefully(images).shape == (2, 3, 32, 32)
    with pytest.raises(InputError, match="multiples of 16"):
        reader.read_carefully(images[:, :, :30])


def test_live_preset_is_light() -> None:
    assert count_macs(Reader(preset("live", 12)), 128) <= 0.25e9


def test_refusals() -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        Reader(ReaderConfig(num_labels=3, width=4))(torch.zeros(1, 3, 30, 32))
    with pytest.raises(InputError, match="width must be in"):
        ReaderConfig(num_labels=3, width=10**9)
    with pytest.raises(InputError, match="'c'"):
        preset("c", 12)


def test_overfits_four_pictures() -> None:
    """Thin random lines must come out exactly, which a reader that loses resolution cannot do."""
    torch.manual_seed(1)
    labels = torch.zeros(4, 32, 32, dtype=torch.int64)
    for i in range(4):
        labels[i, 4 + 6 * i, 3:29] = 1
        labels[i, 8:25, 5 + 7 * i] = 2
    images = F.one_hot(labels, 3).permute(0, 3, 1, 2).float() * 1.6 - 0.8
    reader = Reader(ReaderConfig(num_labels=3, width=12))
    optimizer = torch.optim.Adam(reader.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        F.cross_entropy(reader(images), labels).backward()
        optimizer.step()
    assert float((reader.eval().read(images) == labels).float().mean()) > 0.98
