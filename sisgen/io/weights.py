"""Weights in and out as safetensors: half precision on disk, checked tensor by tensor before a module sees them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from sisgen.errors import CheckpointError
from sisgen.io.files import replace_file, sha256_of

AGAIN = "get or export the model again"
MAX_HEADER = 100 << 20  # bytes of a safetensors header, as the format allows
MAX_NETWORK_HEADER = 4 << 20  # of a network: names and shapes of some thousand tensors
HALF_MAX = torch.finfo(torch.float16).max

M = TypeVar("M", bound=nn.Module)
Shapes = dict[str, tuple[int, ...]]


def save_weights(
    path: str | os.PathLike[str],
    state: nn.Module | Mapping[str, torch.Tensor],
    half: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Write weights atomically.

    Args:
        path: the .safetensors file to make or replace.
        state: a module or its state dict.
        half: store floats as fp16, which halves the file; False keeps their type.
        metadata: strings for the file's header; `None` for none.

    Returns:
        the SHA-256 of the file.

    Raises:
        CheckpointError: a tensor is not finite, or not in fp16.
    """
    tensors = state.state_dict() if isinstance(state, nn.Module) else state
    stored = {name: _storable(name, tensor, half) for name, tensor in tensors.items()}
    with replace_file(path) as temporary:
        save_file(stored, str(temporary), metadata=dict(metadata or {}))
        return sha256_of(temporary)


def read_weights(path: str | os.PathLike[str], *, sha256: str | None = None) -> dict[str, torch.Tensor]:
    """Read every tensor of a file, in the types it has there.

    Args:
        path: a .safetensors file.
        sha256: what the file must hash to; `None` skips that check.

    Raises:
        CheckpointError: the file is missing, altered, no safetensors, or holds a value that is not finite.
    """
    file = _checked_file(path, sha256)
    with _open(file) as reader:
        names = list(reader.keys())
        tensors = {name: reader.get_tensor(name) for name in names}
    for name, tensor in tensors.items():
        _check_finite(file, name, tensor)
    return tensors


def read_shapes(path: str | os.PathLike[str]) -> Shapes:
    """Read names and shapes from a file's header, without its tensors.

    Raises:
        CheckpointError: the file is missing or no safetensors.
    """
    with _open(_checked_file(path, None)) as reader:
        names = list(reader.keys())
        return {name: tuple(reader.get_slice(name).get_shape()) for name in names}


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Tell a safetensors file by how it begins: the length of its header, then JSON."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= MAX_HEADER


def read_header(path: str | os.PathLike[str]) -> tuple[Shapes, dict[str, Any]]:
    """Read names and shapes, and the strings of the header; those that hold a JSON object are merged into one.

    Raises:
        CheckpointError: the file is missing or no safetensors, or its header is longer than a network's.
    """
    with Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > MAX_NETWORK_HEADER:
        raise CheckpointError(f"The file '{path}' has a header of {size / 1e6:.1f} MB, more than a network needs; {AGAIN}.")
    shapes, options = read_shapes(path), {}
    with _open(Path(path)) as reader:
        metadata = reader.metadata() or {}
    for text in metadata.values():
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        options.update(value if isinstance(value, dict) else {})
    return shapes, options


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the strings of a file's header; see `save_weights`.

    Raises:
        CheckpointError: the file is missing or no safetensors.
    """
    with _open(_checked_file(path, None)) as reader:
        return {str(name): str(value) for name, value in (reader.metadata() or {}).items()}


def read_tensor(path: str | os.PathLike[str], name: str) -> torch.Tensor:
    """Read one tensor of a file, into memory of its own.

    Raises:
        CheckpointError: the file is missing, no safetensors, or lacks the tensor.
    """
    try:
        with _open(_checked_file(path, None)) as reader:
            tensor: torch.Tensor = reader.get_tensor(name).clone()
    except SafetensorError:
        raise CheckpointError(f"The tensor '{name}' in '{path}' cannot be read; {AGAIN}.") from None
    return tensor


def load_weights(path: str | os.PathLike[str], module: M, *, sha256: str | None = None) -> M:
    """Fill a module from a file; either all of it changes or nothing.

    Names and shapes are compared through the file's header, before a tensor is read; no more than one tensor is in memory at a time.

    Args:
        path: a .safetensors file.
        module: the module to fill in place; its own types and device stay.
        sha256: what the file must hash to; `None` skips that check.

    Returns:
        the same module.

    Raises:
        CheckpointError: the file is missing, altered or no safetensors; a tensor is missing, extra, of another shape or
            not finite.
    """
    check_shapes(path, module)
    file = _checked_file(path, sha256)
    for name, tensor in _stream(file):
        _check_finite(file, name, tensor)
    state = module.state_dict()
    with torch.no_grad():
        for name, tensor in _stream(file):
            state[name].copy_(tensor)
    return module


def load_module(path: str | os.PathLike[str], build: Callable[[], M], *, sha256: str | None = None) -> M:
    """Build a module and fill it from a file, without trusting the config that `build` was made from.

    The module is first built on PyTorch's meta device, which takes no memory, and compared with the file's header: a config
    that claims sizes which the file does not have is refused before anything is allocated.

    Args:
        path: a .safetensors file.
        build: makes the module on the default device.
        sha256: what the file must hash to; `None` skips that check.

    Returns:
        the module, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: as `load_weights`.
    """
    with torch.device("meta"):
        check_shapes(path, build())
    return load_weights(path, build(), sha256=sha256).eval()


def check_shapes(path: str | os.PathLike[str], module: nn.Module) -> None:
    """Compare a file's header with a module, which may be on the meta device.

    Raises:
        CheckpointError: a tensor is missing, extra or of another shape.
    """
    have = read_shapes(path)
    want = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    missing, extra = sorted(want.keys() - have.keys()), sorted(have.keys() - want.keys())
    if missing:
        raise CheckpointError(f"The file '{path}' must hold the tensor '{missing[0]}'{_more(missing)}, but it lacks it; {AGAIN}.")
    if extra:
        raise CheckpointError(f"The file '{path}' holds the tensor '{extra[0]}'{_more(extra)} that the model does not have; {AGAIN}.")
    for name, shape in want.items():
        if have[name] != shape:
            words = f"must have the shape {list(shape)}, but it has {list(have[name])}"
            raise CheckpointError(f"The tensor '{name}' in '{path}' {words}; {AGAIN}.")


def _checked_file(path: str | os.PathLike[str], sha256: str | None) -> Path:
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"The file '{file}' belongs to the model, but it does not exist; {AGAIN}.")
    if sha256 is not None and sha256_of(file) != sha256.lower():
        raise CheckpointError(f"The file '{file}' is not the one that the model's config.json names (its SHA-256 differs); {AGAIN}.")
    return file


def _open(file: Path) -> Any:
    try:
        return safe_open(str(file), framework="pt")
    except (SafetensorError, OSError, ValueError, MemoryError):
        raise CheckpointError(f"The file '{file}' must be a safetensors file, but its header cannot be read; {AGAIN}.") from None


def _stream(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Read tensor by tensor; opened anew for each, since what was read stays in memory until the file is closed."""
    with _open(file) as reader:
        names = list(reader.keys())
    for name in names:
        with _open(file) as reader:
            yield name, reader.get_tensor(name)


def _storable(name: str, tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        if not is_finite(tensor):
            raise CheckpointError(f"The tensor '{name}' must be finite to be saved, but it is not; go back to an earlier snapshot.")
        if half and tensor.numel() and float(tensor.abs().max()) > HALF_MAX:
            raise CheckpointError(f"The tensor '{name}' must be within fp16's range to be saved, but it is not; save it with half=False.")
        tensor = tensor.half() if half else tensor
    return tensor.clone(memory_format=torch.contiguous_format)  # tied weights may not share memory in a file


def is_finite(tensor: torch.Tensor) -> bool:
    """Tell whether all values are finite, without memory for an answer a value: a NaN is passed on to the extremes."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    tensor = tensor.float() if tensor.element_size() == 1 else tensor  # 8-bit floats have no order in PyTorch
    return all(math.isfinite(float(extreme)) for extreme in torch.aminmax(tensor))


def _check_finite(file: Path, name: str, tensor: torch.Tensor) -> None:
    if not is_finite(tensor):
        raise CheckpointError(f"The tensor '{name}' in '{file}' must be finite, but it holds NaN or infinity; {AGAIN}.")


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
