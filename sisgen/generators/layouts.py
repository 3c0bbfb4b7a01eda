"""Finds the StyleGAN2 networks in a file of any known layout: official, rosinality's, TensorFlow's, or flat official names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from sisgen.errors import CheckpointError
from sisgen.generators import rosinality, tensorflow
from sisgen.generators.foreign import Changed, Foreign, Stored, as_state, as_stored, changed, flatten
from sisgen.io.standins import Record
from sisgen.io.torch_files import read_foreign
from sisgen.io.weights import is_safetensors, read_header, read_tensor

T = TypeVar("T")
# What a TensorFlow network was built with, as attributes of the official PyTorch layers.
OPTIONS = {
    "conv_clamp": "conv_clamp",
    "architecture": "architecture",
    "nonlinearity": "activation",
    "mapping_lrmul": "mapping.lr_multiplier",
}
CONST = "synthesis.b4.const"  # a tensor that tells the official layout


def read_networks(path: str | os.PathLike[str]) -> Foreign:
    """Find the networks in a file of any known layout.

    Raises:
        CheckpointError: the file is refused or holds no network of a known layout.
    """
    file = Path(path)
    found = _read_safetensors(file) if is_safetensors(file) else _find(file)
    tensors = [*found.generator.values(), *(found.discriminator or {}).values()]
    # Tensors may share their numbers in the file, but not in memory.
    if sum(math.prod(tensor.shape) for tensor in tensors) > file.stat().st_size:
        raise CheckpointError(f"The file '{file}' has tensors that are larger together than the file itself; choose another file.")
    return found


def _find(file: Path) -> Foreign:
    data = read_foreign(file)
    if isinstance(data, Record) and "_modules" in data.fields:
        data = {"G_ema": data}
    nets = data if isinstance(data, (tuple, list)) else (data,)
    if nets and len(nets) <= 3 and all(tensorflow.is_network(net) for net in nets):
        return _read_tensorflow(nets)
    if isinstance(data, dict):
        averaged = data.get("G_ema") or data.get("G")
        if isinstance(averaged, Record):
            return _read_official(averaged, data.get("D"))
        for state in (data.get("g_ema"), data.get("params_ema"), data.get("G_ema"), data):
            found = _read_state(as_state(state), as_state(data.get("d")), as_stored(data.get("latent_avg")))
            if found is not None:
                return found
    raise CheckpointError(f"The file '{file}' was read, but it holds no StyleGAN2 of a known layout; choose another file.")


def _read_official(generator: Record, discriminator: Any) -> Foreign:
    tensors, facts = flatten(generator)
    others, other_facts = (_optional(lambda: flatten(discriminator)) if isinstance(discriminator, Record) else None) or (None, {})
    kind = "official StyleGAN2 pickle (PyTorch)"
    return Foreign(kind=kind, generator=tensors, discriminator=others, facts=facts, discriminator_facts=other_facts)


def _read_tensorflow(nets: Any) -> Foreign:
    tensors = tensorflow.to_official(tensorflow.variables(nets[-1]))
    options = nets[-1].fields.get("static_kwargs")
    options = options if isinstance(options, dict) else {}
    others = _optional(lambda: tensorflow.discriminator_to_official(tensorflow.variables(nets[1]))) if len(nets) == 3 else None
    facts = {OPTIONS[name]: value for name, value in options.items() if name in OPTIONS and isinstance(value, (str, int, float))}
    return Foreign(kind="StyleGAN2 pickle (TensorFlow)", generator=tensors, discriminator=others, facts=facts)


def _optional(read: Callable[[], T]) -> T | None:
    """Do without a discriminator that cannot be read."""
    try:
        return read()
    except CheckpointError:
        return None


def _read_state(state: dict[str, Any], other: dict[str, Any], average: Stored | None) -> Foreign | None:
    """Tell the layout of a flat state dict."""
    if CONST in state:
        return Foreign(kind="official StyleGAN2 state dict", generator=state)
    if rosinality.MARK in state:
        discriminator = _optional(lambda: rosinality.discriminator_to_official(other)) if rosinality.D_MARK in other else None
        generator = rosinality.to_official(state)
        if average is not None:
            generator["mapping.w_avg"] = changed(average, torch.flatten)
        return Foreign(kind="rosinality StyleGAN2 file", generator=generator, discriminator=discriminator)
    return None


def _read_safetensors(file: Path) -> Foreign:
    shapes, facts = read_header(file)
    prefix = next((name.removesuffix(CONST) for name in shapes if name.endswith(CONST)), None)
    if prefix is None:
        raise CheckpointError(f"The safetensors file '{file}' must hold the tensor '{CONST}', but it lacks it; choose another file.")

    def stored(name: str, shape: tuple[int, ...]) -> Changed:
        return Changed(shape=shape, load=lambda: read_tensor(file, name))

    # Without a prefix the file may still hold other things beside the network.
    wanted = ("mapping.", "synthesis.")
    names = {name.removeprefix(prefix): name for name in shapes if name.startswith(prefix)}
    tensors = {short: stored(name, shapes[name]) for short, name in names.items() if short.startswith(wanted)}
    return Foreign(kind="safetensors file with official names", generator=tensors, facts=facts)
