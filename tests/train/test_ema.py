"""The moving average, by hand-computed numbers."""

import torch
from torch import nn

from sisgen.train.ema import update_ema


def pair() -> tuple[nn.Module, nn.Module]:
    average, network = nn.Linear(1, 1), nn.Linear(1, 1)
    for module, value in ((average, 0.0), (network, 1.0)):
        module.register_buffer("mean", torch.tensor(value))
        for parameter in module.parameters():
            nn.init.constant_(parameter, value)
    return average, network


def test_after_a_half_life_an_old_weight_counts_half() -> None:
    average, network = pair()
    for _ in range(10):
        update_ema(average, network, batch=100, images_seen=10**9, half_life=1000.0)
    assert torch.allclose(average.weight, torch.tensor(0.5))
    assert torch.equal(network.weight, torch.ones(1, 1))


def test_buffers_are_copied() -> None:
    average, network = pair()
    update_ema(average, network, batch=1, images_seen=10**9)
    assert float(average.mean) == 1.0 and 0 < average.weight.item() < 0.01


def test_early_on_the_half_life_is_short() -> None:
    average, network = pair()
    update_ema(average, network, batch=10, images_seen=200, half_life=1000.0)  # half-life 200 * 0.05 = 10 images
    assert torch.allclose(average.weight, torch.tensor(0.5))
    update_ema(average, network, batch=10, images_seen=0)
    assert torch.equal(average.weight, network.weight)
