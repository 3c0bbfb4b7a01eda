"""The layout of StyleGAN2's first, TensorFlow, release: names and numpy arrays in a pickle, renamed and transposed to the official one.

TensorFlow keeps convolutions as [k, k, I, O] and dense layers as [I, O], turns upsampling filters round, and adds 1 to a modulation's
bias at run time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from sisgen.errors import CheckpointError
from sisgen.generators.foreign import MAX_TENSORS, Stored, as_number, as_stored, changed
from sisgen.io.standins import Record

MAX_PARTS = 4  # of a network, and how deep they nest

Change = Callable[[torch.Tensor], torch.Tensor]


def _convolution(x: torch.Tensor) -> torch.Tensor:
    return x.permute(3, 2, 0, 1)


def _dense(x: torch.Tensor) -> torch.Tensor:
    return x.t()


LAYER: Mapping[str, tuple[str, Change]] = {
    "weight": ("weight", _convolution),
    "bias": ("bias", lambda x: x),
    "noise_strength": ("noise_strength", lambda x: x.reshape([])),
    "mod_weight": ("affine.weight", _dense),
    "mod_bias": ("affine.bias", lambda x: x + 1),
}
LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}
D_LAYERS = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip", "Conv": "conv", "Dense0": "fc"}


def variables(network: Record) -> dict[str, Stored]:
    """List the arrays of a network and its parts by their TensorFlow names.

    Raises:
        CheckpointError: the record holds none, or is nested beyond what a network is.
    """
    found: dict[str, Stored] = {}
    _collect(network, "", 0, found)
    if not found:
        raise CheckpointError("The file's TensorFlow network holds no arrays that can be read; choose another file.")
    return found


def is_network(value: Any) -> bool:
    """Tell a TensorFlow network."""
    return isinstance(value, Record) and "variables" in value.fields


def _collect(network: Any, place: str, depth: int, found: dict[str, Stored]) -> None:
    fields: dict[str, Any] = network.fields if is_network(network) else {}
    parts, pairs = fields.get("components", {}), fields.get("variables")
    usable = isinstance(parts, dict) and len(parts) <= MAX_PARTS and depth <= MAX_PARTS
    if not usable or not isinstance(pairs, (list, dict)) or len(pairs) > MAX_TENSORS:
        raise CheckpointError("The file's TensorFlow network is no usable tree of variables; get the file again.")
    for pair in pairs.items() if isinstance(pairs, dict) else pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            continue
        tensor = as_stored(pair[1]) or as_number(pair[1])
        if tensor is not None and isinstance(pair[0], str):
            found[f"{place}{pair[0]}"] = tensor
    for name, part in parts.items():
        _collect(part, f"{place}{name}/", depth + 1, found)


def to_official(found: Mapping[str, Stored]) -> dict[str, Stored]:
    """Rename a generator's arrays; those that training alone needs are dropped.

    Raises:
        CheckpointError: it is a StyleGAN of the first version, or conditional in a way that the official PyTorch layout lacks.
    """
    if any("StyleMod" in name for name in found):
        raise CheckpointError("The file holds a StyleGAN of the first version, but sisgen runs StyleGAN2; choose another file.")
    if any("LabelConcat" in name for name in found):
        words = "whose class label is concatenated in the old way, which sisgen does not run"
        raise CheckpointError(f"The file holds a conditional TensorFlow StyleGAN2 {words}; choose another file.")
    renamed = dict(_rename(name, tensor) for name, tensor in found.items())
    return {name: tensor for name, tensor in renamed.items() if name != ""}


def _rename(name: str, tensor: Stored) -> tuple[str, Stored]:
    if name == "lod":
        return "", tensor
    if name == "dlatent_avg":
        return "mapping.w_avg", tensor
    if match := re.fullmatch(r"mapping/(?:Dense(\d\d?)|LabelEmbed)/(weight|bias)", name):
        place = "embed" if match.group(1) is None else f"fc{match.group(1)}"
        return f"mapping.{place}.{match.group(2)}", changed(tensor, _dense) if match.group(2) == "weight" else tensor
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", changed(tensor, lambda x: x.squeeze(0))
    if match := re.fullmatch(r"synthesis/noise(\d\d?)", name):
        index = int(match.group(1))
        place = f"b{4 << ((index + 1) // 2)}.conv{0 if index % 2 else 1}"
        return f"synthesis.{place}.noise_const", changed(tensor, lambda x: x.flatten(0, 2))
    match = re.fullmatch(r"synthesis/(\d+)x\1/(\w+)/(\w+)", name)
    if match and match.group(2) in LAYERS and match.group(3) in LAYER:
        last, change = LAYER[match.group(3)]
        flips = match.group(2) == "Conv0_up" and last == "weight"
        whole: Change = (lambda x: _convolution(x.flip(0, 1))) if flips else change
        return f"synthesis.b{match.group(1)}.{LAYERS[match.group(2)]}.{last}", changed(tensor, whole)
    return name, tensor


def discriminator_to_official(found: Mapping[str, Stored]) -> dict[str, Stored]:
    """Rename a discriminator's arrays; names that it should not have stay as they are."""
    renamed: dict[str, Stored] = {}
    for name, tensor in found.items():
        match = re.fullmatch(r"(?:(\d+)x\1/(\w+)|(Output))/(weight|bias)", name)
        if match and (match.group(3) or match.group(2) in D_LAYERS):
            place = "b4.out" if match.group(3) else f"b{match.group(1)}.{D_LAYERS[match.group(2)]}"
            turn = _dense if len(tensor.shape) == 2 else _convolution
            renamed[f"{place}.{match.group(4)}"] = changed(tensor, turn) if match.group(4) == "weight" else tensor
        elif name != "lod":
            renamed[name] = tensor
    return renamed
