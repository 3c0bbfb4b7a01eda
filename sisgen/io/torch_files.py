"""Networks that others saved with pickle: plain pickles, and PyTorch's old and new containers around them.

`read_foreign` is the only door. What comes out is plain data; tensors stay in the file until `StoredTensor.load` reads them.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sisgen.errors import CheckpointError
from sisgen.io.blobs import Blob, Reader, RefusedError
from sisgen.io.pickle_machine import Budget
from sisgen.io.standins import NAMES, Name
from sisgen.io.stored import Storage
from sisgen.io.unpickle import unpickle

MAX_BYTES = 8 << 30
MAX_DIRECTORY = 1 << 20  # bytes that the list of files in a zip may take
MAX_MEMBERS = 10_000
MAGIC = 0x1950A86A20F9469CFC6C  # how PyTorch's old format begins
LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a file in a zip: signature, lengths of its name and of what follows that
LOADER = "torch.storage._load_from_bytes"


def read_foreign(path: str | os.PathLike[str]) -> Any:
    """Read a pickle, or a `.pt` file of either format, without running anything in it.

    Args:
        path: the file, of at most 8 GiB.

    Returns:
        plain data: dicts, lists, tuples, text and numbers; `StoredTensor`, `StoredArray`, `Record` and other stand-ins.

    Raises:
        CheckpointError: the file is missing, damaged, too large, of no known format, or names what no network needs.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"The file '{file}' does not exist or is no plain file; check the path.")
    try:
        return _read(file)
    except RefusedError as refused:
        words = "a pickle or a .pt file of a StyleGAN2 was expected, and nothing in it was run; get it again from a source you trust"
        raise CheckpointError(f"The file '{file}' is refused, since it {refused}: {words}.") from None


def _read(file: Path) -> Any:
    whole = Blob.of(file)
    if whole.size > MAX_BYTES:
        raise RefusedError(f"has {whole.size / 1e9:.1f} GB, more than a network needs")
    with whole.open() as opened:
        start = opened.read(4)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(file)
    if start[:1] != b"\x80":
        raise RefusedError("does not begin as a pickle or a .pt file does" if start else "is empty")
    budget = Budget()
    names = {**NAMES, LOADER: Name(name=LOADER, make=lambda blob: _read_storage(blob, budget))}
    with Reader(whole) as reader:
        first = unpickle(reader, names, budget)
        return _read_old(reader, budget) if type(first) is int and first == MAGIC else first


def _read_storage(blob: Any, budget: Budget) -> Storage:
    """Read a tensor's numbers as official pickles hold them: a file of the old format inside the pickle, with one storage."""
    if not isinstance(blob, Blob):
        raise RefusedError("holds a tensor of an unknown form")
    with Reader(blob) as reader:
        if unpickle(reader, {}, budget) != MAGIC:
            raise RefusedError("holds a tensor of an unknown form")
        storage = _read_old(reader, budget)
    if not isinstance(storage, Storage):
        raise RefusedError("holds a tensor of an unknown form")
    return storage


def _read_old(reader: Reader, budget: Budget) -> Any:
    """Read PyTorch's old format behind its magic number: version, machine, content, keys; then numbers, storage by storage."""
    storages: dict[str, Storage] = {}

    def find(reference: Any) -> Storage:
        view = reference[5] if len(reference) > 5 else None
        key, made = _storage(reference)
        if view is not None:
            raise RefusedError("holds storages inside storages, which PyTorch stopped writing in 2018")
        known = storages.setdefault(key, made)
        if (known.dtype, known.count) != (made.dtype, made.count):
            raise RefusedError("names one storage with two sizes")
        return known

    unpickle(reader, NAMES, budget)  # the version of the format
    machine = unpickle(reader, NAMES, budget)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise RefusedError("was written by a big-endian machine or is damaged")
    content = unpickle(reader, NAMES, budget, find)
    keys = unpickle(reader, NAMES, budget)
    if not isinstance(keys, list) or len(keys) != len(storages) or set(map(str, keys)) != set(storages):
        raise RefusedError("lacks numbers of its tensors")
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack("<q", reader.read(8))
        if count != storage.count:
            raise RefusedError(f"announces {storage.count} numbers but holds {count}")
        storage.place(reader.skip(count * storage.dtype.itemsize))
    return content


def _storage(reference: Any) -> tuple[str, Storage]:
    """Make a storage of ("storage", type, key, location, count, ...)."""
    word, kind, key, _location, count = reference[:5]
    if word != "storage" or not isinstance(kind, Name) or kind.dtype is None or type(count) is not int or not isinstance(key, str):
        raise RefusedError("refers to data outside itself")
    if not 0 <= count <= MAX_BYTES:
        raise RefusedError("holds a tensor of an impossible shape")
    return key, Storage(kind.dtype, count)


def _read_zip(file: Path) -> Any:
    """Read PyTorch's new format: a zip that compresses nothing, with `data.pkl` and one file a storage."""
    members = _members(file)
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError("is a zip but not one that PyTorch wrote")
    root = pickles[0].removesuffix("data.pkl")
    order = members.get(f"{root}byteorder")
    if order is not None and order.read(16) != b"little":
        raise RefusedError("was written by a big-endian machine")

    def find(reference: Any) -> Storage:
        key, storage = _storage(reference)
        if f"{root}data/{key}" not in members:
            raise RefusedError("lacks numbers of its tensors")
        storage.place(members[f"{root}data/{key}"])
        return storage

    with Reader(members[pickles[0]]) as reader:
        return unpickle(reader, NAMES, Budget(), find)


def _members(file: Path) -> Mapping[str, Blob]:
    """Find where the files of a zip lie; nothing is unpacked."""
    try:
        with _BoundedFile(file) as opened, zipfile.ZipFile(opened) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError, EOFError, struct.error, IndexError):
        raise RefusedError("is a damaged zip") from None
    if len(entries) > MAX_MEMBERS:
        raise RefusedError("holds more files than a network needs")
    size, total = file.stat().st_size, 0
    found: dict[str, Blob] = {}
    with file.open("rb") as raw:
        for entry in entries:
            found[_checked_name(entry, found)] = _place(entry, raw, file, size)
            total += entry.file_size
    # Files that lie over one another are how a small zip pretends to be a huge one.
    if total > size:
        raise RefusedError("is a zip bomb")
    return found


def _checked_name(entry: zipfile.ZipInfo, found: Mapping[str, Blob]) -> str:
    name = entry.filename
    if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        raise RefusedError(f"holds a file named {name[:80]!r}, which points out of the zip")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
        raise RefusedError(f"holds a compressed or encrypted file named {name[:80]!r}, which PyTorch never writes")
    if name in found:
        raise RefusedError(f"holds two files named {name[:80]!r}")
    return name


def _place(entry: zipfile.ZipInfo, opened: Any, file: Path, size: int) -> Blob:
    if not 0 <= entry.header_offset <= size - LOCAL_HEADER.size:
        raise RefusedError("is a damaged zip")
    opened.seek(entry.header_offset)
    signature, name, extra = LOCAL_HEADER.unpack(opened.read(LOCAL_HEADER.size))
    start = entry.header_offset + LOCAL_HEADER.size + name + extra
    if signature != b"PK\x03\x04" or start + entry.file_size > size:
        raise RefusedError("is a damaged zip")
    return Blob(source=file, start=start, size=entry.file_size)


class _BoundedFile(io.FileIO):
    """A file that refuses large reads, so that a zip's list of files cannot be a bomb itself."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > MAX_DIRECTORY:
            raise RefusedError("is a zip whose list of files is too long")
        return super().read(wanted) or b""
