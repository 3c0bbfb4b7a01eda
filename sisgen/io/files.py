"""Files that appear whole or not at all, and bytes that are read only when their number is bearable."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sisgen.errors import InputError

Source = str | os.PathLike[str] | bytes


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path beside `path`; what was written there takes the name `path` at the end.

    After an exception or a kill the old file, if any, is still the whole old file.

    Args:
        path: the file to make or replace; its folder is made when missing.

    Yields:
        a temporary path in the same folder, with the same suffix.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically."""
    with replace_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def read_source(source: Source, max_bytes: int) -> tuple[bytes, str]:
    """Read a path or take bytes as they are.

    Args:
        source: a path, or the content itself.
        max_bytes: the size that is still accepted; a larger file is not read.

    Returns:
        the content, and words that name it in messages.

    Raises:
        InputError: the path is missing, is no plain file, cannot be read, or the content is too large.
    """
    if isinstance(source, bytes):
        data, name = source, "The uploaded file"
        size = len(data)
    else:
        path = Path(source)
        name = f"The file '{path}'"
        if path.is_dir():
            raise InputError(f"A file was expected, but '{path}' is a folder; name one of its files.")
        if not path.is_file():
            raise InputError(f"{name} does not exist or is no plain file; check the path.")
        size = path.stat().st_size
        if size <= max_bytes:
            data = _read(path, name)
    if size > max_bytes:
        raise InputError(f"{name} must be at most {max_bytes / 1e6:.0f} MB, but it has {size / 1e6:.1f} MB; make it smaller.")
    if size == 0:
        raise InputError(f"{name} is empty; choose another one.")
    return data, name


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a file as 64 hexadecimal digits, without holding the file in memory."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); check its permissions.") from None
