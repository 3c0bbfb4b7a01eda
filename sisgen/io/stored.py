"""Tensors and numpy arrays that are still in their file: checked against the bytes that are really there, read when they are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from sisgen.errors import CheckpointError
from sisgen.io.blobs import Blob, RefusedError

MAX_DIMS = 8
MAX_SIZE = 1 << 40  # of one dimension, stride or offset

ARRAY_TYPES = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.uint8,
}


@dataclass(slots=True, eq=False)
class Storage:
    """Numbers of one type in a row; `blob` is `None` until it is known where they lie."""

    dtype: torch.dtype
    count: int
    blob: Blob | None = None

    def place(self, blob: Blob) -> None:
        """Tell where the numbers lie."""
        if blob.size != self.count * self.dtype.itemsize:
            raise RefusedError(f"announces {self.count} numbers but holds {blob.size} bytes for them")
        self.blob = blob


@dataclass(slots=True, eq=False)
class StoredTensor:
    """A tensor that is still in its file: checked against the bytes that are really there, read by `load`."""

    storage: Storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def __post_init__(self) -> None:
        sizes = (*self.shape, *self.strides, self.offset)
        if len(self.shape) != len(self.strides) or len(self.shape) > MAX_DIMS or not all(_is_size(size) for size in sizes):
            raise RefusedError("holds a tensor of an impossible shape")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))
        # A stride of 0 could turn one number into billions.
        if self.numel and (last >= self.storage.count or self.numel > self.storage.count):
            raise RefusedError(f"holds a tensor of {self.numel} numbers that has only {self.storage.count} in the file")

    @property
    def numel(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def load(self) -> torch.Tensor:
        """Read it: contiguous, in its own type, in memory of its own."""
        if self.storage.blob is None:
            raise CheckpointError("The file lacks the numbers of a tensor that it names; get it again.")
        if not self.numel:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        span = 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))
        flat = self.storage.blob.read_tensor(self.storage.dtype, self.offset, span)
        return flat.as_strided(self.shape, self.strides).contiguous()


@dataclass(slots=True, eq=False)
class ArrayType:
    """A numpy type of plain numbers, little-endian."""

    code: str

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or self.code.lstrip("<|=") not in ARRAY_TYPES:
            raise RefusedError(f"holds numbers of the numpy type {self.code[:20] if isinstance(self.code, str) else 'unknown'!r}")
        self.code = self.code.lstrip("<|=")

    def build(self, state: Any) -> None:
        """Check what pickle adds to a type: version, byte order, and nothing that makes it a structure."""
        if (
            not isinstance(state, tuple)
            or len(state) < 5
            or state[1] not in ("<", "|", "=")
            or any(part is not None for part in state[2:5])
        ):
            raise RefusedError("holds numpy data that is big-endian or structured")


@dataclass(slots=True, eq=False)
class StoredArray:
    """A numpy array that is still in its file; `tensor` is `None` until pickle has given its content."""

    tensor: StoredTensor | None = None

    def build(self, state: Any) -> None:
        """Take (version, shape, type, Fortran order, bytes)."""
        shape, dtype, fortran, data = state[-4:]
        if not isinstance(dtype, ArrayType) or not isinstance(data, Blob) or not isinstance(shape, tuple) or len(shape) > MAX_DIMS:
            raise RefusedError("holds a numpy array of an unknown form")
        numbers = ARRAY_TYPES[dtype.code]
        storage = Storage(numbers, data.size // numbers.itemsize)
        storage.place(data)
        self.tensor = StoredTensor(storage, shape, _strides(shape, bool(fortran)), 0)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_SIZE


def _strides(shape: tuple[int, ...], fortran: bool) -> tuple[int, ...]:
    strides, step = [], 1
    for size in shape if fortran else reversed(shape):
        if not _is_size(size):
            raise RefusedError("holds a tensor of an impossible shape")
        strides.append(step)
        step *= size
    return tuple(strides if fortran else reversed(strides))
