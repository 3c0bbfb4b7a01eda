"""Stretches of bytes inside a file that are read when they are needed, never past their end, never more than was asked for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import torch

from sisgen.errors import CheckpointError

MAX_LINE = 512  # bytes of a line in the header-like parts of a file


class RefusedError(Exception):
    """Something in a file is not what a network's file holds; the text goes on after "it"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """A stretch of a file, or of bytes in memory.

    Attributes:
        source: the file, or the bytes themselves.
        start: where the stretch begins.
        size: its length.
    """

    source: Path | bytes
    start: int
    size: int

    @classmethod
    def of(cls, source: Path | bytes) -> Blob:
        """Take a whole file or all bytes."""
        return cls(source=source, start=0, size=len(source) if isinstance(source, bytes) else source.stat().st_size)

    def open(self) -> BinaryIO:
        """Open the source; the position is that of the source, not of the stretch."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    def read(self, limit: int) -> bytes:
        """Read all of it, which may be at most `limit` bytes."""
        if self.size > limit:
            raise RefusedError(f"holds {self.size} bytes where at most {limit} were expected")
        with self.open() as file:
            file.seek(self.start)
            return file.read(self.size)

    def read_tensor(self, dtype: torch.dtype, first: int, count: int) -> torch.Tensor:
        """Read `count` numbers from the `first` one on, into memory of their own: [count].

        Raises:
            CheckpointError: the file became shorter since it was looked at.
        """
        made = torch.empty(count, dtype=dtype)
        into = memoryview(made.view(torch.uint8).numpy().data) if count else memoryview(b"")
        with self.open() as file:
            file.seek(self.start + first * dtype.itemsize)
            done = 0
            while done < len(into):
                step = file.readinto(into[done:])  # type: ignore[attr-defined]
                if not step:
                    raise CheckpointError("The file became shorter while it was read; wait until it is written, then try again.")
                done += step
        return made


class Reader:
    """Reads a blob from its beginning; use it as a context manager."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.file = blob.open()
        self.file.seek(blob.start)
        self.left = blob.size

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.file.close()

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes; nothing is allocated for bytes that are not there."""
        self._take(size)
        data = self.file.read(size)
        if len(data) != size:
            raise RefusedError("is cut off")
        return data

    def skip(self, size: int) -> Blob:
        """Step over `size` bytes and give them as a blob."""
        self._take(size)
        start = self.blob.start + self.blob.size - self.left - size
        self.file.seek(size, io.SEEK_CUR)
        return Blob(source=self.blob.source, start=start, size=size)

    def read_line(self) -> bytes:
        """Read a short line without its end."""
        line = self.file.readline(min(self.left, MAX_LINE))
        if not line.endswith(b"\n"):
            raise RefusedError("is cut off" if self.left < MAX_LINE else "holds a name that is too long")
        self.left -= len(line)
        return line[:-1]

    def _take(self, size: int) -> None:
        if size > self.left:
            raise RefusedError(f"is cut off or damaged ({size} bytes are announced where {self.left} are left)")
        self.left -= size
