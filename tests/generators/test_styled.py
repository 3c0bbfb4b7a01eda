"""A style folded into the weights behind the cut: the generator's own pictures."""

from dataclasses import replace

import pytest
import torch

from sisgen.generators import styled
from sisgen.generators.styled import StyledTail, folds
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 6, "32": 4})


def noisy(clamp: float | None) -> StyleGAN2:
    """A random generator whose noise and biases are not silent."""
    torch.manual_seed(0)
    generator = StyleGAN2(replace(TINY, clamp=clamp)).eval().requires_grad_(False)
    for name, tensor in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            tensor.normal_()
    return generator


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("cut", [4, 8, 16])
def test_a_folded_style_gives_the_generators_pictures(cut: int, clamp: float | None) -> None:
    generator = noisy(clamp)
    ws = generator.map(torch.randn(1, 8))
    ws = ws + torch.randn_like(ws)  # every row its own
    features = generator.head(ws, cut)
    before = features.map.clone()
    tail = StyledTail(generator, ws, cut)
    assert torch.allclose(tail.tail(features, ws), generator(ws), atol=1e-5)
    assert torch.allclose(tail.advance(features, ws, 2 * cut).map, generator.head(ws, 2 * cut).map, atol=1e-5)
    assert torch.equal(features.map, before)  # nothing that was given is written over


def test_it_goes_on_from_where_the_features_are() -> None:
    generator = noisy(None)
    ws = generator.map(torch.randn(1, 8))
    tail = StyledTail(generator, ws, 4)
    assert tail.advance(generator.head(ws, 8), ws, 8).resolution == 8
    assert torch.allclose(tail.tail(generator.head(ws, 16), ws), generator(ws), atol=1e-5)
    image = generator(ws)
    assert torch.equal(tail.tail(generator.head(ws, 32), ws), image)


def test_wide_layers_are_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = noisy(None)
    size = StyledTail(generator, generator.map(torch.randn(1, 8)), 8).num_bytes
    assert size == 4 * 9 * (8 * 6 + 6 * 6 + 6 * 4 + 4 * 4) and folds(generator, 8)
    monkeypatch.setattr(styled, "MOST_BYTES", size - 1)
    assert not folds(generator, 8) and folds(generator, 16)
