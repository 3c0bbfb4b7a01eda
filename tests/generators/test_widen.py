"""A wider last block and longer latents: the same pictures, other sizes refused, and what is new learns."""

from dataclasses import replace

import pytest
import torch

from sisgen.errors import InputError
from sisgen.generators.stylegan2 import MappingNetwork, StyleGAN2, StyleGAN2Config
from sisgen.generators.widen import widen_last, widen_latent


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


SIZES = StyleGAN2Config(resolution=16, z_dim=6, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8})


@pytest.mark.parametrize("c_dim", [0, 3])
def test_longer_latents_of_the_same_length_give_the_same_styles(c_dim: int) -> None:
    sizes = replace(SIZES, c_dim=c_dim)
    old = MappingNetwork(sizes)
    wide = widen_latent(old, replace(sizes, z_dim=9))
    source = torch.Generator().manual_seed(0)
    z, new = torch.randn(4, 6, generator=source), torch.randn(4, 3, generator=source)
    new *= (z.square().mean(dim=1) / new.square().mean(dim=1)).sqrt()[:, None]  # so that normalization sees no difference
    c = torch.eye(4, 3) if c_dim else None
    ws = wide(torch.cat([z, new], dim=1), c)
    assert torch.allclose(ws, old(z, c), atol=1e-5)
    ws.square().mean().backward()
    gradient = dict(wide.named_parameters())["fc0.weight"].grad
    assert gradient is not None and bool((gradient[:, 6:9].abs().sum(dim=0) > 0).all())


def test_shorter_latents_are_refused() -> None:
    with pytest.raises(InputError, match="would lose 2 of their numbers"):
        widen_latent(MappingNetwork(SIZES), replace(SIZES, z_dim=4))
