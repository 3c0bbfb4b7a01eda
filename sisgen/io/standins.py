"""What the names in a foreign pickle stand for here: plain data, never the thing itself.

A pickle is a program that names functions and calls them. Here a name is looked up in `NAMES` alone; what it finds is a few lines of
this module that check their arguments and keep them. Nothing is imported, and no function from outside is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sisgen.io.blobs import Blob, RefusedError
from sisgen.io.stored import ARRAY_TYPES, ArrayType, Storage, StoredArray, StoredTensor

MAX_LITERAL = 1 << 20  # bytes of text-encoded literals and scalars

STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.uint8,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """An allowed name: what it makes of arguments, or what it means by itself.

    Attributes:
        name: as the file has it, dotted.
        make: makes plain data of checked arguments; `None` when the name may not be called.
        dtype: type of the numbers that a storage of this name holds.
    """

    name: str
    make: Callable[..., Any] | None = None
    dtype: torch.dtype | None = None


@dataclass(slots=True, eq=False)
class Record:
    """An object of a class that does not exist here: the name of its class and its attributes."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)

    def build(self, state: Any) -> None:
        """Take attributes over, as pickle gives them: a dict, or a pair of dicts."""
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if part is not None and not isinstance(part, dict):
                raise RefusedError("holds an object whose attributes are no dict")
            self.fields.update(part or {})


def _mapping(*args: Any) -> dict[Any, Any]:
    """OrderedDict and the like: of nothing, or of a list of pairs."""
    if not args:
        return {}
    made: dict[Any, Any] = {}
    for key, value in args[0].items() if isinstance(args[0], dict) else args[0]:
        made[check_key(key)] = value
    return made


def check_key(key: Any) -> Any:
    """Allow plain keys only: hashing a deeply nested one could exhaust the stack."""
    if key is not None and type(key) not in (str, int, float, bool):
        raise RefusedError("holds a dict whose keys are neither text nor numbers")
    return key


def _members(items: Any = ()) -> list[Any]:
    return [check_key(item) for item in items]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise RefusedError("holds a tensor of an unknown form")
    return StoredTensor(storage, shape, strides, offset)


def _parameter(tensor: Any, *_rest: Any) -> StoredTensor:
    if not isinstance(tensor, StoredTensor):
        raise RefusedError("holds a parameter that is no tensor")
    return tensor


def _network(meta: Any) -> Record:
    """An object of the official repositories: the source code in it is left unread."""
    kind, state = meta.get("class_name"), meta.get("state")
    if not isinstance(kind, str) or not isinstance(state, dict):
        raise RefusedError("holds a network without a class name or a state")
    return Record(kind[:80], dict(state))


def _record(kind: str) -> Callable[..., Record]:
    def make(*_args: Any) -> Record:
        return Record(kind)

    return make


def _scalar(dtype: Any, data: Any) -> float | int:
    if not isinstance(dtype, ArrayType) or not isinstance(data, Blob) or data.size != ARRAY_TYPES[dtype.code].itemsize:
        raise RefusedError("holds a numpy scalar of an unknown form")
    value: float | int = np.frombuffer(data.read(16), dtype=f"<{dtype.code}")[0].item()
    return value


def _encode(text: Any, encoding: Any) -> Blob:
    """Bytes as old protocols write them: text in Latin-1."""
    if encoding != "latin1" or not isinstance(text, str) or len(text) > MAX_LITERAL:
        raise RefusedError("holds encoded text of an unknown form")
    return Blob.of(text.encode("latin1"))


def _dtype(code: Any, *_rest: Any) -> ArrayType:
    return ArrayType(code)


def _empty_array(*_args: Any) -> StoredArray:
    return StoredArray()


def _filled_array(data: Any, dtype: Any, shape: Any, order: Any) -> StoredArray:
    array = StoredArray()
    array.build((shape, dtype, order == "F", data))
    return array


def _inert(*_args: Any) -> None:
    """A device and the like: of no interest."""


def _shape(sizes: Any = ()) -> tuple[Any, ...]:
    return tuple(sizes)


_MAKERS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "dnnlib.util.EasyDict": _mapping,
    "dnnlib.EasyDict": _mapping,
    "builtins.set": _members,
    "builtins.frozenset": _members,
    "__builtin__.set": _members,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _shape,
    "torch.device": _inert,
    "torch_utils.persistence._reconstruct_persistent_obj": _network,
    "dnnlib.tflib.network.Network": _record("dnnlib.tflib.network.Network"),
    "argparse.Namespace": _record("argparse.Namespace"),
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray._reconstruct": _empty_array,
    "numpy.core.numeric._frombuffer": _filled_array,
    "numpy._core.numeric._frombuffer": _filled_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "_codecs.encode": _encode,
}
# Types and memory formats that layers keep as attributes.
_WORDS = (
    *("numpy.ndarray", "numpy.float32", "numpy.float64", "numpy.int64"),
    *("torch.float16", "torch.float32", "torch.float64", "torch.bfloat16"),
    *("torch.contiguous_format", "torch.channels_last", "torch.preserve_format"),
)
NAMES: Mapping[str, Name] = {
    **{name: Name(name=name, make=make) for name, make in _MAKERS.items()},
    **{f"torch.{name}": Name(name=f"torch.{name}", dtype=dtype) for name, dtype in STORAGES.items()},
    **{name: Name(name=name) for name in _WORDS},
}
