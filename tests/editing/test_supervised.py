"""Attributes measured by hand, and directions that raise the attribute they were learned for."""

import pytest
import torch

from sisgen.editing.attributes import measure_attributes, sample_attributes
from sisgen.editing.supervised import attribute_directions
from sisgen.errors import InputError
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.types import LabelSet

LABELS = LabelSet(names=("sky", "sea"), colors=((0, 0, 0), (255, 255, 255)))


def test_attributes_by_hand():
    images = torch.full((2, 3, 8, 8), -1.0)
    images[0, :, :, 4:] = 1.0  # the right half is white
    images[1, 0] = 1.0  # all red
    labels = torch.zeros(2, 8, 8, dtype=torch.long)
    labels[0, :, 4:] = 1
    found = measure_attributes(images, labels, LABELS)
    assert found["light"].tolist() == pytest.approx([0.5, 0.299], abs=1e-5)
    assert found["warm"].tolist() == pytest.approx([0.0, 1.0])
    assert found["colorful"].tolist() == pytest.approx([0.0, 1.0])
    assert found["sea-size"].tolist() == [0.5, 0.0]
    assert float(found["sea-light"][0]) == pytest.approx(1.0) and torch.isnan(found["sea-light"][1])
    assert float(found["sky-light"][0]) == pytest.approx(0.0)


def test_a_direction_raises_its_attribute():
    source = torch.Generator().manual_seed(0)
    w = torch.randn(600, 6, generator=source) @ torch.diag(torch.tensor([3.0, 1.0, 1.0, 0.5, 0.5, 1e-6]))
    attributes = {"known": w[:, 1] + 0.1 * torch.randn(600, generator=source), "noise": torch.randn(600, generator=source)}
    attributes["rare"] = torch.where(torch.arange(600) < 5, w[:, 0], torch.nan)
    found = attribute_directions(w, attributes)
    assert [one.direction.name for one in found] == ["known"]
    assert found[0].accuracy > 0.9
    vector = found[0].direction.vector
    assert float(vector[1]) == pytest.approx(1.0, abs=0.15), "a step is a standard deviation"
    assert float(vector[[0, 2, 3, 4]].abs().max()) < 0.6
    with pytest.raises(InputError, match="at least 240 samples"):
        attribute_directions(w[:50], attributes)


def test_samples_are_measured_in_chunks(tiny_generator):
    torch.manual_seed(0)
    reader, told = Reader(ReaderConfig(num_labels=2, width=4)).eval(), []
    w, attributes = sample_attributes(tiny_generator, reader, LABELS, 20, report=lambda *at: told.append(at))
    again, _ = sample_attributes(tiny_generator, reader, LABELS, 20)
    assert w.shape == (20, 8) and torch.equal(w, again)
    assert attributes["light"].shape == (20,) and told == [(16, 20), (20, 20)]
