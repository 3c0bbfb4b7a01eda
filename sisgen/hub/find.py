"""From a model's name to its folder: on this machine first, on the Hugging Face Hub last (PRODUCT.md, "Models and seeds")."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sisgen.errors import InputError, ModelNotFoundError
from sisgen.hub.archive import unpack
from sisgen.hub.download import Report
from sisgen.hub.links import fetch_link, is_link
from sisgen.hub.places import DEFAULT_MODEL, NAME, ModelFolder, find_local, list_models, local_places, read_summary
from sisgen.hub.remote import HUB_ID, fetch_from_hub, read_hub_link
from sisgen.hub.web import FetchError

DEFAULT_ORGANISATION = "sisgen"
FOREIGN = (".pkl", ".pt", ".pth")  # checkpoints of other projects


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL, *, revision: str | None = None, report: Report | None = None) -> ModelFolder:
    """Find a model by folder, zip file, address, name or Hub id; nothing touches the network when it lies on this machine.

    Tried in this order: an existing path, `$SISGEN_CHECKPOINTS`, `./checkpoints`, the checkpoints beside the package, the
    user's cache, then the Hub (`$SISGEN_HUB_ORG/sisgen-NAME`; an id with one slash is taken as it is).

    Args:
        name: a folder, a zip file, an `https://` address, a plain name such as "portraits", or a Hub id.
        revision: commit, tag or branch on the Hub, or the revision in a local model's config; `None` takes what is newest.
        report: told how far a download is: what is fetched, bytes so far, bytes in all (0 when unknown).

    Raises:
        ModelNotFoundError: nowhere, or out of reach; the message lists the places that were tried.
        CheckpointError: what was found is damaged or no model.
    """
    text = os.fspath(name)
    if is_link(text):
        return _from_link(text, revision, report)
    tried = [f"the folder '{text}'"]
    local = find_local(text)
    if local is not None and revision in (None, (read_summary(local.path) or {}).get("revision")):
        return local
    if _is_file(text):
        return _from_file(Path(text), revision)
    if local is not None:
        tried = [f"{local.source}, which holds another revision"]
    elif NAME.fullmatch(text) and ".." not in text:
        tried += [place for place, _ in local_places()]
    hub_id = _hub_id(text, isinstance(name, os.PathLike))
    if hub_id is None:
        raise ModelNotFoundError(_not_found(text, tried))
    try:
        return fetch_from_hub(hub_id, revision, report)
    except FetchError as problem:
        at = f", revision {revision[:60]!r}" if revision else ""
        raise ModelNotFoundError(_not_found(text, [*tried, f"the Hub ('{hub_id}'{at}, {problem})"])) from None


def _from_link(url: str, revision: str | None, report: Report | None) -> ModelFolder:
    on_hub = read_hub_link(url)
    if on_hub is not None:
        return find_model(on_hub[0], revision=revision or on_hub[1], report=report)
    if revision is not None:
        raise InputError(f"Only models on the Hub have revisions, but {revision[:60]!r} was asked of '{url}'; leave the revision away.")
    return fetch_link(url, report)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a name that is too long, or with a null character
        return False


def _from_file(path: Path, revision: str | None) -> ModelFolder:
    if path.suffix.lower() in FOREIGN:
        raise ModelNotFoundError(f"'{path}' is another project's file; convert it first: python -m sisgen convert {path} --out FOLDER.")
    if path.suffix.lower() != ".zip":
        raise ModelNotFoundError(f"A model is a folder with its config.json or a zip file of one, but '{path}' is another file.")
    if revision is not None:
        raise InputError(f"Only models on the Hub have revisions, but {revision[:60]!r} was asked of '{path}'; leave the revision away.")
    return ModelFolder(path=unpack(path), source=f"the archive '{path}'")


def _hub_id(text: str, is_path: bool) -> str | None:
    # "checkpoints/portrats" is a slip of the pen, not somebody's model on the Hub.
    if is_path or ("/" in text and Path(text).parent.is_dir()):
        return None
    if HUB_ID.fullmatch(text) and ".." not in text:
        return text
    if NAME.fullmatch(text) and ".." not in text:
        return f"{os.environ.get('SISGEN_HUB_ORG') or DEFAULT_ORGANISATION}/sisgen-{text}"
    return None


def _not_found(text: str, tried: Sequence[str]) -> str:
    short = text if len(text) <= 80 else text[:77] + "..."
    here = list_models()
    advice = f"choose one of {', '.join(here)}" if here else "set SISGEN_CHECKPOINTS to the folder that holds your models"
    return f"There is no model '{short}' in any of the places tried ({'; '.join(tried)}); {advice}."
