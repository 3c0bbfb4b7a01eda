"""A wider last block: the same pictures, other widths refused, and new channels that learn."""

import pytest
import torch

from sisgen.errors import InputError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.generators.widen import widen_last


def test_a_wider_generator_makes_the_same_pictures(tiny_generator: StyleGAN2) -> None:
    wide = widen_last(tiny_generator, 12)
    assert wide.config.channels["32"] == 12 and wide.config.channels["16"] == 8
    ws = tiny_generator.map(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    wanted = tiny_generator(ws)
    assert torch.allclose(wide(ws), wanted, atol=1e-5 * float(wanted.abs().max()))
    assert torch.equal(wide.head(ws, 16).map, tiny_generator.head(ws, 16).map)


def test_new_channels_take_part_once_they_learn(tiny_generator: StyleGAN2) -> None:
    wide = widen_last(tiny_generator, 12)
    ws = wide.map(torch.randn(2, 8, generator=torch.Generator().manual_seed(0)))
    wide(ws).square().mean().backward()
    gradient = wide.synthesis.block(32).torgb.weight.grad
    assert gradient is not None and bool((gradient[:, 8:].abs() > 0).all())


def test_seeds_give_the_same_weights_and_leave_the_global_source_alone(tiny_generator: StyleGAN2) -> None:
    torch.manual_seed(4)
    wanted = torch.rand(1)
    torch.manual_seed(4)
    first = widen_last(tiny_generator, 10, seed=1)
    assert torch.equal(torch.rand(1), wanted)
    again = widen_last(tiny_generator, 10, seed=1)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())


def test_a_narrower_block_is_refused(tiny_generator: StyleGAN2) -> None:
    with pytest.raises(InputError, match="must be at least 8, which it has, but 4 was asked for"):
        widen_last(tiny_generator, 4)
