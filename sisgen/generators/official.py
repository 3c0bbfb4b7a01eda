"""From official tensor names to our networks: shapes decide every size, attributes of the file's modules what shapes cannot tell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch

from sisgen.errors import CheckpointError, InputError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.foreign import MAPPING_LR, Foreign, Stored, shown
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.weights import is_finite
from sisgen.nets.resample import fir_kernel

AVERAGE_OVER = 16_384  # styles whose mean stands in where a file has none
OTHER = "choose a file of a StyleGAN2 with the skip architecture"


def build_generator(foreign: Foreign) -> tuple[StyleGAN2, list[str]]:
    """Build our generator of a file's tensors.

    Returns:
        the generator, fp32 on the CPU, for evaluation; and sentences on what was added or changed.

    Raises:
        CheckpointError: the tensors are not those of a StyleGAN2 of the skip architecture, or not finite.
    """
    check_architecture(foreign)
    config = config_of(foreign)
    with torch.device("meta"):
        generator = StyleGAN2(config)
    want = {name: tuple(tensor.shape) for name, tensor in generator.state_dict().items()}
    notes: list[str] = []
    added = _added(want, foreign.generator)
    _compare(want, {name: stored.shape for name, stored in foreign.generator.items()}, set(added) | {"mapping.w_avg"})
    state = added | {name: _load(name, stored) for name, stored in foreign.generator.items()}
    _match_learning_rate(state, foreign.facts, notes)
    average = "mapping.w_avg" in state
    state.setdefault("mapping.w_avg", torch.zeros(config.w_dim))
    generator.load_state_dict(state, assign=True)
    generator = generator.eval().requires_grad_(False)
    if not average:
        generator.mapping.w_avg.copy_(_mean_style(generator))
        notes.append(f"The file has no mean style, so that it was computed over {AVERAGE_OVER:,} styles.")
    return generator, notes


def config_of(foreign: Foreign) -> StyleGAN2Config:
    """Read every size of a generator off its tensors' shapes.

    Raises:
        CheckpointError: a tensor that tells a size is missing, or the sizes are impossible.
    """
    shapes = {name: stored.shape for name, stored in foreign.generator.items()}
    sizes = [int(found.group(1)) for name in shapes if (found := re.fullmatch(r"synthesis\.b(\d{1,5})\.conv1\.weight", name))]
    layers = sum(re.fullmatch(r"mapping\.fc\d\d?\.weight", name) is not None for name in shapes)
    try:
        embedded, c_dim = shapes.get("mapping.embed.weight", (0, 0))
        return StyleGAN2Config(
            resolution=max(sizes),
            z_dim=shapes["mapping.fc0.weight"][1] - embedded,
            w_dim=shapes["synthesis.b4.conv1.affine.weight"][1],
            c_dim=c_dim,
            num_mapping_layers=layers,
            channels={str(size): shapes[f"synthesis.b{size}.conv1.weight"][0] for size in sorted(sizes)},
            clamp=_clamp(foreign.facts),
        )
    except (KeyError, IndexError, ValueError):
        raise CheckpointError(f"The file's generator lacks tensors that every StyleGAN2 has; {OTHER}.") from None
    except InputError as problem:
        raise CheckpointError(f"The file's generator has impossible sizes ({str(problem).split(';')[0]}); {OTHER}.") from None


def check_architecture(foreign: Foreign) -> None:
    """Tell other networks by what only they have.

    Raises:
        CheckpointError: it is a StyleGAN3, another architecture of StyleGAN2, or not for RGB pictures.
    """
    names, facts = foreign.generator, foreign.facts
    if any(name.startswith("synthesis.input.") for name in names):
        raise CheckpointError(f"The file holds a StyleGAN3 generator (its input is Fourier features), but sisgen runs StyleGAN2; {OTHER}.")
    kind = next((str(value) for name, value in facts.items() if name.endswith("architecture") and value != "skip"), None)
    if kind is None and any(re.fullmatch(r"synthesis\.b\d+\.skip\.weight", name) for name in names):
        kind = "resnet"
    if kind is not None:
        raise CheckpointError(f"The file's generator is of the architecture {shown(kind)}, but sisgen runs 'skip'; {OTHER}.")
    colours = names["synthesis.b4.torgb.bias"].shape if "synthesis.b4.torgb.bias" in names else (3,)
    if tuple(colours) != (3,):
        raise CheckpointError(f"The file's generator makes pictures of {math.prod(colours)} channels, but 3 were expected; {OTHER}.")
    odd = next((value for name, value in facts.items() if name.endswith("activation") and value not in ("lrelu", "linear")), None)
    if odd is not None:
        raise CheckpointError(f"The file's generator has the activation {shown(odd)}, but sisgen runs 'lrelu'; {OTHER}.")


def build_discriminator(foreign: Foreign, config: StyleGAN2Config) -> tuple[Discriminator | None, str]:
    """Build our discriminator of a file's tensors, where it has one of the residual architecture.

    Returns:
        the discriminator, or `None`; and a sentence that says what came of it.
    """
    if not foreign.discriminator:
        return None, "The file holds no discriminator that can be read."
    with torch.device("meta"):
        discriminator = Discriminator(config.resolution, _channels(foreign.discriminator, config), c_dim=config.c_dim)
    want = {name: tuple(tensor.shape) for name, tensor in discriminator.state_dict().items()}
    # Layers that resample nothing hold filters in the official layout too.
    have = {name: stored for name, stored in foreign.discriminator.items() if name in want or not name.endswith("resample_filter")}
    added = {name: fir_kernel() for name in want if name.endswith("resample_filter") and name not in have}
    try:
        _compare(want, {name: stored.shape for name, stored in have.items()}, set(added))
        discriminator.load_state_dict(added | {name: _load(name, stored) for name, stored in have.items()}, assign=True)
    except CheckpointError:
        return None, "The discriminator was left out, since it is not the official residual one of the generator's size."
    groups = foreign.discriminator_facts.get("b4.mbstd.group_size")
    odd = f" (its minibatch statistic took groups of {groups}, here it takes 4)" if groups not in (None, 4) else ""
    return discriminator.eval(), f"The discriminator was converted{odd}."


def _channels(names: Mapping[str, Stored], config: StyleGAN2Config) -> dict[str, int]:
    """Widths of a discriminator, which may differ from its generator's."""
    found = dict(config.channels)
    for size in config.resolutions:
        name = f"b{size}.conv0.weight" if size > 4 else "b4.fc.weight"
        if name in names and names[name].shape and 0 < names[name].shape[0] <= 4096:
            found[str(size)] = names[name].shape[0]
    return found


def _clamp(facts: Mapping[str, Any]) -> float | None:
    value = facts.get("synthesis.b4.conv1.conv_clamp", facts.get("conv_clamp"))
    return float(value) if isinstance(value, (int, float)) and 0 < value < math.inf else None


def _added(want: Mapping[str, tuple[int, ...]], have: Mapping[str, Stored]) -> dict[str, torch.Tensor]:
    """What a file may lack: filters, of which one serves all, and the noise of a generator that was trained without."""
    added = {}
    known = next((name for name in have if name.endswith("resample_filter") and have[name].shape == (4, 4)), None)
    kernel = fir_kernel() if known is None else have[known].load().float()
    noisy = any(name.endswith(("noise_strength", "noise_const")) for name in have)
    for name, shape in want.items():
        if name.endswith("resample_filter") and name not in have:
            added[name] = kernel.clone()
        elif name.endswith(("noise_strength", "noise_const")) and not noisy:
            added[name] = torch.zeros(shape)
    return added


def _compare(want: Mapping[str, tuple[int, ...]], have: Mapping[str, tuple[int, ...]], optional: set[str]) -> None:
    missing = sorted(want.keys() - have.keys() - optional)
    extra = sorted(have.keys() - want.keys())
    if extra or missing:
        odd = f"has the tensor {shown(extra[0])}, which" if extra else f"lacks the tensor '{missing[0]}', which"
        raise CheckpointError(f"The file's network {odd} a StyleGAN2 {'has not' if extra else 'has'}; {OTHER}.")
    for name, shape in have.items():
        if tuple(shape) != want[name]:
            words = f"the shape {list(want[name])} was expected but {list(shape)} came"
            raise CheckpointError(f"The tensor '{name}' of the file's network is of another size: {words}; {OTHER}.")


def _load(name: str, stored: Stored) -> torch.Tensor:
    tensor = stored.load().float()
    if not is_finite(tensor):
        raise CheckpointError(f"The tensor '{name}' of the file's network must be finite, but it holds NaN or infinity; get it again.")
    return tensor


def _match_learning_rate(state: dict[str, torch.Tensor], facts: Mapping[str, Any], notes: list[str]) -> None:
    """Fold another learning-rate multiplier of the mapping layers into their weights."""
    for name in [name for name in state if re.fullmatch(r"mapping\.fc\d+\.(weight|bias)", name)]:
        rate = facts.get(f"{name.rpartition('.')[0]}.bias_gain", facts.get("mapping.lr_multiplier", MAPPING_LR))
        if isinstance(rate, (int, float)) and math.isfinite(rate) and rate > 0 and not math.isclose(rate, MAPPING_LR, rel_tol=1e-6):
            state[name] = state[name] * (rate / MAPPING_LR)
            if name == "mapping.fc0.weight":
                notes.append(f"The mapping's learning-rate multiplier of {rate:g} was folded into its weights.")


@torch.no_grad()
def _mean_style(generator: StyleGAN2, batch: int = 2048) -> torch.Tensor:
    """Average w over many latents (and classes) [D]."""
    source = torch.Generator().manual_seed(0)
    total = torch.zeros(generator.config.w_dim, dtype=torch.float64)
    for _ in range(AVERAGE_OVER // batch):
        z = torch.randn(batch, generator.config.z_dim, generator=source)
        c = None
        if generator.config.c_dim:
            c = torch.eye(generator.config.c_dim)[torch.randint(generator.config.c_dim, (batch,), generator=source)]
        total += generator.mapping.embed_latent(z, c).double().sum(dim=0)
    return (total / AVERAGE_OVER).float()
