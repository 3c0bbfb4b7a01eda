"""From a model's name to its folder: on this machine first, on the Hugging Face Hub last (PRODUCT.md, "Models and seeds")."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sisgen.errors import ModelNotFoundError

DEFAULT_MODEL = "portraits"
CONFIG_FILE = "config.json"
GENERATOR_FILE = "generator.safetensors"  # what tells a model from another folder of weights
DEFAULT_ORGANISATION = "sisgen"
MODEL_FILES = ("*.json", "*.safetensors", "*.md")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFolder:
    """Where a model was found.

    Attributes:
        path: the folder with `config.json`.
        source: the same in words for the page: "the folder ...", "the Hub (...)".
    """

    path: Path
    source: str


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL, *, revision: str | None = None) -> ModelFolder:
    """Find a model by folder, name or Hub id; nothing touches the network when it lies on this machine.

    Tried in this order: an existing path, `$SISGEN_CHECKPOINTS`, `./checkpoints`, the checkpoints beside the package, the
    user's cache, then the Hub (`$SISGEN_HUB_ORG/sisgen-NAME`; an id with one slash is taken as it is).

    Args:
        name: a folder, a plain name such as "portraits", or a Hub id.
        revision: commit, tag or branch on the Hub; `None` takes the default branch. Local folders have none.

    Raises:
        ModelNotFoundError: nowhere; the message lists the places that were tried.
    """
    text = os.fspath(name)
    as_path = Path(text)
    tried = [f"the folder '{text}'"]
    if text and _is_model(as_path):
        return ModelFolder(path=as_path, source=f"the folder '{text}'")
    if NAME.fullmatch(text) and ".." not in text:
        for place, root in local_places():
            tried.append(place)
            if _is_model(root / text):
                return ModelFolder(path=root / text, source=place)
    hub_id = _hub_id(text, isinstance(name, os.PathLike))
    if hub_id is not None:
        return _download(hub_id, revision, text, tried)
    raise ModelNotFoundError(_not_found(text, tried))


def local_places() -> list[tuple[str, Path]]:
    """List the folders on this machine that may hold models, each with the words that name it."""
    package = Path(__file__).resolve().parent
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


def _is_model(folder: Path) -> bool:
    try:
        return (folder / CONFIG_FILE).is_file()
    except (OSError, ValueError):  # a name that is too long, or with a null character
        return False


def _hub_id(text: str, is_path: bool) -> str | None:
    # "checkpoints/portrats" is a slip of the pen, not somebody's model on the Hub.
    if is_path or ("/" in text and Path(text).parent.is_dir()):
        return None
    if HUB_ID.fullmatch(text) and ".." not in text:
        return text
    if NAME.fullmatch(text) and ".." not in text:
        return f"{os.environ.get('SISGEN_HUB_ORG') or DEFAULT_ORGANISATION}/sisgen-{text}"
    return None


def _download(hub_id: str, revision: str | None, text: str, tried: Sequence[str]) -> ModelFolder:
    """Take a model from the Hub's cache or from the Hub itself."""
    offline = _is_offline()
    # Imported only here: it is slow, and nothing else needs the network.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(MODEL_FILES), local_files_only=offline))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as problem:
        unknown = "404" in str(problem) or "401" in str(problem)
        reason = "only its cache, since HF_HUB_OFFLINE is set" if offline else "no such model" if unknown else "it cannot be reached"
        raise ModelNotFoundError(_not_found(text, [*tried, f"the Hub ('{hub_id}', {reason})"])) from None
    if not (path / CONFIG_FILE).is_file():
        raise ModelNotFoundError(_not_found(text, [*tried, f"the Hub ('{hub_id}', which has no {CONFIG_FILE})"]))
    return ModelFolder(path=path, source=f"the Hub ({hub_id})")


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def _not_found(text: str, tried: Sequence[str]) -> str:
    short = text if len(text) <= 80 else text[:77] + "..."
    here = list_models()
    advice = f"choose one of {', '.join(here)}" if here else "set SISGEN_CHECKPOINTS to the folder that holds your models"
    return f"There is no model '{short}' in any of the places tried ({'; '.join(tried)}); {advice}."
