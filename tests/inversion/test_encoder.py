"""The encoder's sizes: fitted to a generator, small, and refused where they cannot be."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from sisgen.errors import CheckpointError, InputError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.inversion.encoder import Encoder, EncoderConfig, encoder_config
from sisgen.io.configs import from_dict, to_dict


def test_it_is_small_and_fits_the_generators_that_ship() -> None:
    with torch.device("meta"):
        encoder = Encoder(encoder_config(StyleGAN2Config()))
    assert sum(p.numel() for p in encoder.parameters()) <= 1_500_000
    assert from_dict(EncoderConfig, to_dict(encoder.config)) == encoder.config


def test_large_generators_are_read_small() -> None:
    sizes = StyleGAN2Config(resolution=256, z_dim=16, w_dim=16, num_mapping_layers=1, channels=channels_by_rule(256, 1024, 16))
    config = encoder_config(sizes)
    assert config.resolution == 128 and config.channels["64"] == 16 and config.num_ws == 14
    torch.manual_seed(0)
    generator, encoder = StyleGAN2(sizes), Encoder(config)
    ws = encoder.encode(generator, torch.zeros(1, 3, 256, 256))
    assert ws.shape == (1, 14, 16)
    with pytest.raises(InputError, match="images must have the shape"):
        encoder.encode(generator, torch.zeros(1, 3, 128, 128))


def test_deltas_are_in_spreads_of_w(tiny_generator: StyleGAN2) -> None:
    torch.manual_seed(0)
    encoder = Encoder(encoder_config(tiny_generator.config))
    encoder.measure_spread(tiny_generator, torch.randn(500, 8))
    z, deltas = torch.randn(2, 8), torch.zeros(2, 8, 8)
    deltas[:, 0] = 1.0
    deltas[:, 3] = 0.5
    moved = (encoder.rows(tiny_generator, z, deltas) - tiny_generator.map(z)) / encoder.spread
    wanted = torch.ones(2, 8, 8)
    wanted[:, 3] = 1.5
    assert torch.allclose(moved, wanted, atol=1e-4)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an odd size": ({"resolution": 100}, r"power of two in 16..128, but it is 100"),
    "a missing width": ({"channels": {"64": 8, "32": 8}}, "but 16, 8, 4 lack"),
    "a giant": ({"hidden": 10**6}, r"hidden must be in 1..4096, but it is 1000000"),
    "no rank": ({"rank": 0}, r"rank must be in 1..4096"),
}


@pytest.mark.parametrize("kind", BAD)
def test_impossible_sizes_are_one_sentence(kind: str) -> None:
    changes, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        replace(EncoderConfig(), **changes)
    with pytest.raises(CheckpointError):
        from_dict(EncoderConfig, {**to_dict(EncoderConfig()), **changes})


def test_conditional_generators_are_refused() -> None:
    with pytest.raises(InputError, match="needs an unconditional generator"):
        encoder_config(StyleGAN2Config(c_dim=3))
