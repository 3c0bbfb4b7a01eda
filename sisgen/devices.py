"""Where a model runs: the choice of a device, and the words in which the page tells it."""

from __future__ import annotations

import torch

from sisgen.errors import InputError


def pick_device(name: str | None = None) -> torch.device:
    """Choose the device: the named one, else CUDA where it works, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", ...; `None` chooses.

    Raises:
        InputError: the named device does not exist here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"The device must be cpu, cuda or cuda:N, but it is {name!r}; pass --device cpu.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"The device {name!r} was asked for, but {why_no_cuda()}; pass --device cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"The device {name!r} was asked for, but there are {torch.cuda.device_count()} GPUs; count from 0.")
    return device


def describe_device(device: torch.device) -> str:
    """Name a device in a visitor's words: "CPU" or the GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def why_no_cuda() -> str:
    """Say in half a sentence why CUDA is off; an empty string when it is on."""
    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return "this PyTorch is a CPU build"
    return "PyTorch finds no working NVIDIA driver"
