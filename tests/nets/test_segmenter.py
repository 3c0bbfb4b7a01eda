"""The few-shot segmenter: shapes, calibration, refusals, and that it learns from two samples."""

import pytest
import torch
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.nets.segmenter import Segmenter, SegmenterConfig

CONFIG = SegmenterConfig(num_labels=3, channels=(6, 4, 3), width=8)


def hypercolumn(batch: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, c, 4 * 2**i, 4 * 2**i, generator=generator) * 5 + 2 for i, c in enumerate(CONFIG.channels)]


def test_shapes_and_types() -> None:
    segmenter = Segmenter(CONFIG)
    assert segmenter(hypercolumn(2)).shape == (2, 3, 16, 16)
    assert segmenter.read(hypercolumn(2)).dtype == torch.int64


def test_calibration_standardises_every_channel() -> None:
    segmenter, features = Segmenter(CONFIG), hypercolumn(4)
    segmenter.calibrate(features)
    flat = segmenter.steps[1].standardise(features[1]).transpose(0, 1).flatten(1)
    assert torch.allclose(flat.mean(1), torch.zeros(4), atol=1e-5) and torch.allclose(flat.std(1), torch.ones(4), atol=1e-4)


def test_refuses_another_generators_features() -> None:
    with pytest.raises(InputError, match="train it on this generator"):
        Segmenter(CONFIG)(hypercolumn(1)[:2])
    with pytest.raises(InputError, match="width must be in"):
        SegmenterConfig(num_labels=3, channels=(4,), width=10**9)


def test_learns_from_two_samples() -> None:
    torch.manual_seed(0)
    features = hypercolumn(2)
    labels = features[2].argmax(dim=1)
    segmenter = Segmenter(CONFIG)
    segmenter.calibrate(features)
    optimizer = torch.optim.Adam(segmenter.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        F.cross_entropy(segmenter(features), labels).backward()
        optimizer.step()
    assert float((segmenter.read(features) == labels).float().mean()) > 0.95
