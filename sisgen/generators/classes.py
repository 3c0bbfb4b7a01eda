"""One class of a conditional generator as an unconditional one: the same pictures, without a label to pass.

The first mapping layer sees normalised z beside the normalised embedding of the class. Of a fixed class that embedding is a
constant, and what the layer makes of it belongs to its bias. The discriminator's projection on a class is folded into its last layer.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch

from sisgen.errors import InputError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.layers import EqualLinear, normalize_second_moment

AVERAGE_OVER = 16_384  # styles whose mean becomes the class's own


@torch.no_grad()
def keep_class(generator: StyleGAN2, number: int) -> StyleGAN2:
    """Fix the class of a conditional generator.

    Its truncation pulls towards the mean style of this class, not towards that of all classes.

    Args:
        generator: conditional, on the CPU, for evaluation; it is not changed, and shares its synthesis with the result.
        number: of the class, 0..c_dim - 1.

    Returns:
        an unconditional generator with `map(z)` of what was `map(z, c)` with the one-hot c of the class.

    Raises:
        InputError: the generator has no classes, or not this one.
    """
    sizes = generator.config
    check_class(sizes.c_dim, number)
    with torch.device("meta"):
        single = StyleGAN2(replace(sizes, c_dim=0))
    state = {name: tensor for name, tensor in generator.state_dict().items() if not name.startswith("mapping.embed.")}

    # fc0 scales by 1 / sqrt of its width, which shrinks with the embedding.
    old, new = generator.mapping.fc0, single.mapping.fc0
    assert isinstance(old, EqualLinear) and isinstance(new, EqualLinear)
    embedding = normalize_second_moment(generator.mapping.embed(_one_hot(sizes.c_dim, number)))[0]  # [D]
    weight = old.weight.float() * old.weight_gain
    state["mapping.fc0.weight"] = weight[:, : sizes.z_dim] / new.weight_gain
    state["mapping.fc0.bias"] = old.bias + weight[:, sizes.z_dim :] @ embedding / new.bias_gain
    single.load_state_dict(state, assign=True)
    single = single.eval().requires_grad_(False)
    z = torch.randn(AVERAGE_OVER, sizes.z_dim, generator=torch.Generator().manual_seed(0))
    single.mapping.w_avg = single.mapping.embed_latent(z).double().mean(dim=0).float()
    return single


@torch.no_grad()
def keep_class_of_discriminator(discriminator: Discriminator, number: int) -> Discriminator:
    """Fix the class of a conditional discriminator: the same logits, without a label.

    Args:
        discriminator: conditional, on the CPU; it is not changed, and shares all blocks but the last with the result.
        number: of the class.
    """
    embed = discriminator.mapping.embed
    check_class(embed.weight.shape[1], number)
    target = discriminator.mapping(_one_hot(embed.weight.shape[1], number))[0]  # [cmap]
    share = target / math.sqrt(len(target))
    last = discriminator.b4.out
    out = EqualLinear(last.weight.shape[1], 1)
    out.load_state_dict({"weight": (share @ last.weight)[None], "bias": (share @ last.bias)[None]})
    single = copy.copy(discriminator)  # blocks are held in dicts, of which it gets its own
    single._modules = {name: module for name, module in discriminator._modules.items() if name != "mapping"}
    single.b4 = copy.copy(discriminator.b4)
    single.b4._modules = {**discriminator.b4._modules, "out": out}
    return single.eval()


def check_class(c_dim: int, number: int) -> None:
    """Check a class against a generator's.

    Raises:
        InputError: the generator has none, or not this one.
    """
    if not c_dim:
        raise InputError(f"Class {number} was asked for, but the generator has no classes; leave --class away.")
    if not 0 <= number < c_dim:
        raise InputError(f"The generator has the classes 0..{c_dim - 1}, but class {number} was asked for; choose one of them.")


def _one_hot(c_dim: int, number: int) -> torch.Tensor:
    return torch.eye(c_dim)[number : number + 1]  # [1, c_dim]
