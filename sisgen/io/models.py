"""Model folders: `config.json` with the checksums of its parts, and one safetensors file a part."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from sisgen.errors import CheckpointError
from sisgen.io.configs import read_json, write_json
from sisgen.io.files import sha256_of
from sisgen.io.weights import save_weights

CONFIG = "config.json"
CARD = "CARD.md"
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of <fcntl.h> and <linux/fs.h>


def export_parts(folder: str | Path, parts: Mapping[str, nn.Module], config: Mapping[str, Any], *, half: bool = True) -> None:
    """Add parts to a model folder, or replace them.

    Args:
        folder: made where it lacks.
        parts: file stem -> module, written as safetensors.
        config: keys of `config.json` to set.
        half: store floats as fp16; False keeps their type.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG
    content: dict[str, Any] = read_json(path) if path.exists() else {"format": 1, "name": folder.name}
    files = dict(content.get("files", {}))
    for stem, module in parts.items():
        files[f"{stem}.safetensors"] = save_weights(folder / f"{stem}.safetensors", module, half)
    write_json(path, {**content, **config, "files": dict(sorted(files.items()))})


def remove_parts(folder: Path, stems: Collection[str], content: Mapping[str, Any]) -> None:
    """Take parts out of a model folder.

    Args:
        folder: of the model.
        stems: file stems of the parts; those that are not there are passed over.
        content: what `config.json` shall hold, but for the checksums of these parts, which go.
    """
    gone = {f"{stem}.safetensors" for stem in stems}
    files = {name: sha256 for name, sha256 in content.get("files", {}).items() if name not in gone}
    write_json(folder / CONFIG, {**content, "files": files})  # first, so that no kill leaves a name without its file
    for name in gone:
        (folder / name).unlink(missing_ok=True)


def fitted_elsewhere(training: Mapping[str, Any], files: Mapping[str, str], part: str) -> bool:
    """Tell whether a part was trained for another generator than its folder holds now; what is not noted counts as belonging.

    Args:
        training: the notes of `config.json`, of which `fitted_to` names the generator's checksum.
        files: file name -> checksum, of the same config.
        part: key of its notes.
    """
    notes = training.get(part)
    fitted_to = notes.get("fitted_to") if isinstance(notes, Mapping) else None
    own = files.get("generator.safetensors")
    return fitted_to is not None and own is not None and fitted_to != own


def copy_parts(source: Path, folder: Path, config: Mapping[str, Any]) -> None:
    """Copy a whole model folder: the files that its config names, each checked, and its card.

    Args:
        source: the folder to copy.
        folder: an empty folder.
        config: keys of `config.json` to set in the copy.

    Raises:
        CheckpointError: a file is missing, altered, or named so that it would lie elsewhere.
    """
    content = read_json(source / CONFIG)
    files = content.get("files")
    if not isinstance(files, dict) or not files:
        raise CheckpointError(f"The model '{source}' must list its files in {CONFIG}, but it lists none; get it again.")
    for name, sha256 in files.items():
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"The model '{source}' must name its files plainly, but it names {name[:80]!r}; get it again.")
        if not (source / name).is_file():
            raise CheckpointError(f"The file '{source / name}' belongs to the model, but it does not exist; get it again.")
        shutil.copyfile(source / name, folder / name)
        if sha256_of(folder / name) != str(sha256).lower():
            raise CheckpointError(f"The file '{source / name}' is not the one that the model's {CONFIG} names; get it again.")
    if (source / CARD).is_file():
        shutil.copyfile(source / CARD, folder / CARD)
    write_json(folder / CONFIG, {**content, **config})


@contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Lend an empty folder beside `path`; at the end it takes that name, and what was there before is gone.

    After an exception the old folder, if any, is still the whole old one.

    Args:
        path: the folder to make or replace; its parent is made when missing.

    Yields:
        a temporary folder in the same parent.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    staged, old = target.with_name(f".{target.name}-{token}-new"), target.with_name(f".{target.name}-{token}-old")
    staged.mkdir()
    try:
        yield staged
        if not (target.exists() and _exchange(staged, target)):
            if target.exists():
                target.rename(old)
            staged.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Let two names change places at once, so that no kill finds either missing; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL("libc.so.6", use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(AT_FDCWD, os.fsencode(first.absolute()), AT_FDCWD, os.fsencode(second.absolute()), RENAME_EXCHANGE) == 0)
