"""Where a model runs: the choice of a device, and the words in which the page tells it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sisgen.errors import InputError

MALLOC_OPTIONS = (  # numbers of <malloc.h>, bytes
    (-3, 32 * 2**20),  # M_MMAP_THRESHOLD: map only what is larger on its own; the largest value that glibc takes
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: give back only beyond this
    (-2, 64 * 2**20),  # M_TOP_PAD: grow by this much at a time
)


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


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next tensor instead of giving it back to the system page by page.

    glibc maps every larger tensor anew and the system clears its pages each time: a third of a CPU's training time. A matter
    of the whole process, so only its owner calls it (the command, the app), never the library.

    Returns:
        False where the C library is not glibc; nothing changes then.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return all(set_option(option, value) == 1 for option, value in MALLOC_OPTIONS)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take tiny numbers for zero in this thread, which a CPU is faster with, and put the thread's arithmetic back afterwards."""
    before = sys.float_info.min / 2 == 0.0  # torch does not tell
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


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
