"""The layout of rosinality's StyleGAN2 `.pt` files (`g_ema`, `d`), renamed to the official one.

Both store weights at unit variance and filters alike, so that tensors only change names and lose dimensions of size 1. Its blur of an
upsampling convolution holds the filter times 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch

from sisgen.generators.foreign import Stored, changed

MARK = "conv1.conv.weight"  # a tensor that tells this layout
D_MARK = "final_conv.0.weight"

Change = Callable[[torch.Tensor], torch.Tensor]
CONV = {
    "conv.weight": ("weight", lambda x: x.squeeze(0)),
    "conv.modulation.weight": ("affine.weight", lambda x: x),
    "conv.modulation.bias": ("affine.bias", lambda x: x),
    "noise.weight": ("noise_strength", lambda x: x.reshape([])),
    "activate.bias": ("bias", lambda x: x),
    "conv.blur.kernel": ("resample_filter", lambda x: x / 4),
}
TO_RGB = {
    "conv.weight": ("torgb.weight", lambda x: x.squeeze(0)),
    "conv.modulation.weight": ("torgb.affine.weight", lambda x: x),
    "conv.modulation.bias": ("torgb.affine.bias", lambda x: x),
    "bias": ("torgb.bias", lambda x: x.flatten()),
    "upsample.kernel": ("resample_filter", lambda x: x / 4),
}
D_LAYERS = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.0.kernel": "conv1.resample_filter",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.0.kernel": "skip.resample_filter",
    "skip.1.weight": "skip.weight",
}
D_LAST = {
    "final_conv.0.weight": "b4.conv.weight",
    "final_conv.1.bias": "b4.conv.bias",
    "final_linear.0.weight": "b4.fc.weight",
    "final_linear.0.bias": "b4.fc.bias",
    "final_linear.1.weight": "b4.out.weight",
    "final_linear.1.bias": "b4.out.bias",
}


def to_official(state: Mapping[str, Stored]) -> dict[str, Stored]:
    """Rename a generator's tensors; names that this layout does not have stay as they are."""
    return dict(_rename(name, tensor) for name, tensor in state.items())


def discriminator_to_official(state: Mapping[str, Stored]) -> dict[str, Stored]:
    """Rename a discriminator's tensors; the resolution follows from the number of blocks."""
    blocks = [int(found.group(1)) for name in state if (found := re.fullmatch(r"convs\.(\d+)\.conv1\.0\.weight", name))]
    last = max(blocks, default=0)
    if not 1 <= last <= 10:
        return {}
    renamed: dict[str, Stored] = {}
    for name, tensor in state.items():
        found = re.fullmatch(r"convs\.(\d+)\.(.+)", name)
        if name in D_LAST:
            renamed[D_LAST[name]] = tensor
        elif found and found.group(1) == "0":
            renamed[f"b{4 << last}.fromrgb.{ {'0.weight': 'weight', '1.bias': 'bias'}.get(found.group(2), name) }"] = tensor
        elif found:
            renamed[f"b{8 << (last - int(found.group(1)))}.{D_LAYERS.get(found.group(2), name)}"] = tensor
        else:
            renamed[name] = tensor
    return renamed


def _rename(name: str, tensor: Stored) -> tuple[str, Stored]:
    if name == "input.input":
        return "synthesis.b4.const", changed(tensor, lambda x: x.squeeze(0))
    if found := re.fullmatch(r"style\.([1-9]\d?)\.(weight|bias)", name):
        return f"mapping.fc{int(found.group(1)) - 1}.{found.group(2)}", tensor
    if found := re.fullmatch(r"noises\.noise_(\d\d?)", name):
        return f"{_convolution(int(found.group(1)))}.noise_const", changed(tensor, lambda x: x.flatten(0, 2))
    if (found := re.fullmatch(r"(?:conv1|convs\.(\d\d?))\.(.+)", name)) and found.group(2) in CONV:
        last, change = CONV[found.group(2)]
        return f"{_convolution(0 if found.group(1) is None else int(found.group(1)) + 1)}.{last}", changed(tensor, change)
    if (found := re.fullmatch(r"(?:to_rgb1|to_rgbs\.(\d\d?))\.(.+)", name)) and found.group(2) in TO_RGB:
        last, change = TO_RGB[found.group(2)]
        return f"synthesis.b{4 << (0 if found.group(1) is None else int(found.group(1)) + 1)}.{last}", changed(tensor, change)
    return name, tensor


def _convolution(index: int) -> str:
    """Place of the convolution of an index: 0 at 4 px, then two a resolution."""
    return f"synthesis.b{4 << ((index + 1) // 2)}.conv{0 if index % 2 else 1}"
