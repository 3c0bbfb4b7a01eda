"""Model folders in zip files, unpacked as if every archive were hostile: plain names, no links, no bombs."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from sisgen.errors import CheckpointError
from sisgen.hub.places import CONFIG_FILE, MAX_MODEL_BYTES, cache_folder, is_model, is_model_file, read_checksums
from sisgen.io.files import sha256_of

MAX_ENTRIES = 1000
MAX_RATIO = 200  # weights hardly shrink; only a bomb grows by this
SMALL = 2**20  # below this the ratio says nothing
BLOCK = 1 << 20


def unpack(archive: Path) -> Path:
    """Unpack a model's zip file into the cache, once for each content.

    Only the files of a model folder are taken, from the top of the archive or from the one folder in it; what else lies there
    is passed over.

    Args:
        archive: the zip file.

    Returns:
        The folder, its files checked against its config.

    Raises:
        CheckpointError: it is no zip file, damaged, hostile, too large, or holds no model.
    """
    try:
        target = cache_folder() / "archives" / sha256_of(archive)[:32]
        if not is_model(target):
            _unpack_whole(archive, target)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, ValueError):
        raise CheckpointError(f"'{archive}' must be the zip file of a model folder, but it is damaged or none; get it again.") from None
    verify(target, f"The archive '{archive}'")
    return target


def verify(folder: Path, called: str) -> None:
    """Check a folder's weights against the checksums in its config.

    Raises:
        CheckpointError: a file is missing or has another SHA-256.
    """
    for name, checksum in read_checksums(folder, called).items():
        if not (folder / name).is_file():
            raise CheckpointError(f"{called} must hold '{name}', which its {CONFIG_FILE} lists, but it lacks it; get it again.")
        if sha256_of(folder / name) != checksum:
            raise CheckpointError(f"{called} holds a '{name}' whose SHA-256 is not the one in its {CONFIG_FILE}; get it again.")


def _unpack_whole(archive: Path, target: Path) -> None:
    """Unpack beside the target, which appears whole or not at all."""
    beside = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    beside.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as content:
            for name, entry in _choose(content, archive).items():
                _extract(content, entry, beside / name, archive)
        if not is_model(target):  # another process may have been faster
            os.replace(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _choose(content: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """Check all entries and pick those of the model: plain name -> entry."""
    entries = content.infolist()
    if len(entries) > MAX_ENTRIES:
        raise CheckpointError(f"'{archive}' may hold at most {MAX_ENTRIES} entries, but it holds {len(entries)}; pack the model alone.")
    for entry in entries:
        _check_entry(entry, archive)
    configs = [PurePosixPath(entry.filename) for entry in entries if PurePosixPath(entry.filename).name == CONFIG_FILE]
    shallow = [path for path in configs if len(path.parts) <= 2]
    if len(shallow) != 1:
        raise CheckpointError(f"'{archive}' must hold one {CONFIG_FILE}, at its top or in one folder, but it holds {len(shallow)}.")
    top = shallow[0].parent
    paths = [(PurePosixPath(entry.filename), entry) for entry in entries if not entry.is_dir()]
    inside = [(path, entry) for path, entry in paths if path.parent == top and is_model_file(path.name)]
    chosen = {path.name: entry for path, entry in inside}
    total = sum(entry.file_size for entry in chosen.values())
    if len(chosen) < len(inside):
        raise CheckpointError(f"'{archive}' holds two files of one name; pack the model again.")
    if total > MAX_MODEL_BYTES:
        raise CheckpointError(f"'{archive}' would unpack to {total / 1e9:.1f} GB, but at most {MAX_MODEL_BYTES / 1e9:.1f} GB are accepted.")
    return chosen


def _check_entry(entry: zipfile.ZipInfo, archive: Path) -> None:
    name = entry.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise CheckpointError(f"'{archive}' holds the path {name[:80]!r}, which leads out of its folder; do not use this archive.")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise CheckpointError(f"'{archive}' holds {name[:80]!r}, which is a link or a device and no file; do not use this archive.")
    if entry.flag_bits & 1:
        raise CheckpointError(f"'{archive}' is locked by a password; unpack it and name the folder instead.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CheckpointError(f"'{archive}' is packed by another method than deflate; pack the model again as a plain zip file.")
    if entry.file_size > SMALL and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        raise CheckpointError(f"'{archive}' holds {name[:80]!r}, which would grow more than {MAX_RATIO} times; do not use this archive.")


def _extract(content: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, archive: Path) -> None:
    """Write one entry; its own words about its size are not believed."""
    left = entry.file_size
    with content.open(entry) as source, path.open("xb") as file:
        while block := source.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise CheckpointError(f"'{archive}' holds {path.name!r}, which is larger than it says; do not use this archive.")
            file.write(block)
