"""A generator whose finest block or latents get wider and that still makes the same pictures: what is new learns afterwards.

After Net2Net (Chen et al., ICLR 2016): whatever was there before gives the new channels no weight, and StyleGAN2's demodulation counts
weights, so that it does not see them either. Only to-RGB has a gain that goes by the number of channels.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from sisgen.errors import InputError
from sisgen.generators.stylegan2 import MappingNetwork, StyleGAN2, StyleGAN2Config


@torch.no_grad()
def widen_last(generator: StyleGAN2, width: int, *, seed: int = 0) -> StyleGAN2:
    """Copy a generator with more channels in the block of its own resolution.

    Args:
        generator: is left as it is.
        width: of that block, at least what it has.
        seed: of the new channels' weights.

    Returns:
        A generator of the same pictures up to rounding.

    Raises:
        InputError: the block is that wide already, or wider.
    """
    config = generator.config
    last = str(config.resolution)
    old = config.channels[last]
    if width < old:
        raise InputError(f"The width of the block of {last} px must be at least {old}, which it has, but {width} was asked for.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wide = StyleGAN2(replace(config, channels={**config.channels, last: width}))
    state = wide.state_dict()
    for name, tensor in generator.state_dict().items():
        state[name][tuple(slice(size) for size in tensor.shape)] = tensor
    block = f"synthesis.b{last}"
    state[f"{block}.conv1.weight"][:old, old:] = 0
    state[f"{block}.torgb.weight"][:, old:] = 0
    state[f"{block}.torgb.weight"].mul_(math.sqrt(width / old))
    wide.load_state_dict(state)
    return wide.to(generator.mapping.w_avg.device)


@torch.no_grad()
def widen_latent(mapping: MappingNetwork, config: StyleGAN2Config) -> MappingNetwork:
    """Copy a mapping for longer latents, whose new numbers come last and change nothing yet but the latent's length.

    Args:
        mapping: is left as it is.
        config: of the new mapping; only `z_dim` may differ, and only be larger.

    Returns:
        A mapping that can learn from the new numbers.

    Raises:
        InputError: the new latents would be shorter.
    """
    state = mapping.state_dict()
    with torch.random.fork_rng(devices=[]):
        wide = MappingNetwork(config)
    old, new = state["fc0.weight"], wide.state_dict()["fc0.weight"]
    added = new.shape[1] - old.shape[1]
    if added < 0:
        raise InputError(f"Latents may only grow, but they would lose {-added} of their numbers; ask for as many or more.")
    latent = old.shape[1] - (config.w_dim if config.c_dim else 0)
    weight = torch.cat([old[:, :latent], old.new_zeros(len(old), added), old[:, latent:]], dim=1)
    wide.load_state_dict({**state, "fc0.weight": weight * math.sqrt(new.shape[1] / old.shape[1])})
    return wide
