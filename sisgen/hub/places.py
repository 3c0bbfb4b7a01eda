"""The folders on this machine that may hold models, and what a model folder consists of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisgen.errors import CheckpointError, SisgenError
from sisgen.io.configs import read_json

DEFAULT_MODEL = "portraits"  # what looks best of the models that ship
CONFIG_FILE = "config.json"
GENERATOR_FILE = "generator.safetensors"  # what tells a model from another folder of weights
MAX_MODEL_BYTES = 8 * 2**30  # of one model: no more is fetched or unpacked
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_WEIGHTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}\.safetensors")
_PAPERS = re.compile(r"(CARD|README)\.md|(LICENSE|LICENCE|NOTICE)(\.md|\.txt)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFolder:
    """Where a model was found.

    Attributes:
        path: the folder with `config.json`.
        source: the same in words for the page: "the folder ...", "the Hub (...)".
    """

    path: Path
    source: str


def local_places() -> list[tuple[str, Path]]:
    """List the folders on this machine that may hold models, each with the words that name it."""
    package = Path(__file__).resolve().parents[1]
    places = [("./checkpoints", Path("checkpoints"))]
    if os.environ.get("SISGEN_CHECKPOINTS"):
        places.insert(0, ("$SISGEN_CHECKPOINTS", Path(os.environ["SISGEN_CHECKPOINTS"]).expanduser()))
    # A clone has them beside the package, a wheel inside it.
    places.append(("the checkpoints beside the package", package.parent / "checkpoints"))
    places.append(("the checkpoints inside the package", package / "_checkpoints"))
    return [*places, ("the user's cache", cache_folder() / "checkpoints")]


def cache_folder() -> Path:
    """Name the user's cache folder of this project; it need not exist."""
    root = os.environ.get("SISGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    base = Path(root).expanduser() if root else Path("~/.cache").expanduser()
    return base if os.environ.get("SISGEN_CACHE") else base / "sisgen"


def list_models() -> list[str]:
    """Name the models on this machine that can make pictures, in the order of the places that hold them."""
    names: list[str] = []
    for _, root in local_places():
        found = sorted(path.parent.name for path in root.glob(f"*/{GENERATOR_FILE}")) if root.is_dir() else []
        names.extend(name for name in found if name not in names)
    return names


def find_local(name: str) -> ModelFolder | None:
    """Find a folder by its path or a model by its plain name on this machine; `None` when there is none."""
    if name and is_model(Path(name)):
        return ModelFolder(path=Path(name), source=f"the folder '{name}'")
    if NAME.fullmatch(name) and ".." not in name:
        for place, root in local_places():
            if is_model(root / name):
                return ModelFolder(path=root / name, source=place)
    return None


def shipped_folder(name: str) -> Path | None:
    """Find a folder that ships beside the models, such as "squeezenet" or "readers"; `None` when it is nowhere."""
    for _, root in local_places():
        if is_model(root / name) or is_model(root / name / "a"):
            return root / name
    return None


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model's config; never raises, whatever the path is."""
    try:
        return (folder / CONFIG_FILE).is_file()
    except (OSError, ValueError):  # a name that is too long, or with a null character
        return False


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def is_model_file(name: str) -> bool:
    """Whether a plain file name belongs into a model folder: the config, weights, the card, the licence."""
    return name == CONFIG_FILE or bool(_WEIGHTS.fullmatch(name) or _PAPERS.fullmatch(name))


def is_paper(name: str) -> bool:
    """Whether a plain file name is that of a card or a licence."""
    return bool(_PAPERS.fullmatch(name))


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Read a model folder's config for a menu; `None` where it is missing or no JSON object."""
    try:
        return read_json(folder / CONFIG_FILE)
    except SisgenError:
        return None


def read_checksums(folder: Path, called: str) -> dict[str, str]:
    """Read which weights a model's config names.

    Args:
        folder: holds `config.json`.
        called: words that name the model in messages.

    Returns:
        file name -> SHA-256, at least one; each name is a plain one that ends in `.safetensors`.

    Raises:
        CheckpointError: it is no model of this project, or a name or a checksum is impossible.
    """
    files = read_json(folder / CONFIG_FILE).get("files")
    if not isinstance(files, Mapping) or not files:
        raise CheckpointError(f"{called} must be a sisgen model, but its {CONFIG_FILE} lists no files of one; choose another one.")
    for name, checksum in files.items():
        if not _WEIGHTS.fullmatch(name) or not isinstance(checksum, str) or not _SHA256.fullmatch(checksum.lower()):
            raise CheckpointError(
                f"{called} lists the file {name[:60]!r}, which is no plain .safetensors name with a SHA-256; export it again."
            )
    return {name: checksum.lower() for name, checksum in files.items()}
