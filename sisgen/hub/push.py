"""A model folder to the Hugging Face Hub: weights, card and licence in one commit, or nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisgen.errors import CheckpointError, InputError, SisgenError
from sisgen.hub.archive import verify
from sisgen.hub.places import CONFIG_FILE, is_model, is_offline, is_paper, read_checksums
from sisgen.hub.remote import HUB_ID, endpoint
from sisgen.hub.web import words_for_network, words_for_status
from sisgen.io.configs import read_json

CARDS = ("CARD.md", "README.md")  # the first one that is there
HUB_CARD = "README.md"  # the name by which the Hub shows it
_FRONT = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
_KNOWN_LICENCES = re.compile(
    r"(apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|(a|l)?gpl-[23]\.0|openrail(\+\+)?)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """What goes to the Hub.

    Attributes:
        files: name there -> file here.
        card: the text of the Hub's README.md.
        name: the model's own name.
        revision: its own revision, for the commit's message.
    """

    files: Mapping[str, Path]
    card: str
    name: str
    revision: str

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        return sum(path.stat().st_size for path in self.files.values())


def pack(folder: str | os.PathLike[str]) -> Parcel:
    """Check a model folder and choose what of it goes to the Hub.

    Raises:
        CheckpointError: it is no whole model, or has no licence or no card.
    """
    folder = Path(folder)
    if not is_model(folder):
        raise CheckpointError(f"'{folder}' must be a model folder, but it has no {CONFIG_FILE}; name the folder of a trained model.")
    content = read_json(folder / CONFIG_FILE)
    licence = str(content.get("license") or "unknown").strip()
    if licence.lower() == "unknown":
        raise CheckpointError(f"The model in '{folder}' has no licence; run `python -m sisgen release` with --license, then push it.")
    card = next((folder / name for name in CARDS if (folder / name).is_file()), None)
    text = card.read_text(encoding="utf-8", errors="replace").strip() if card else ""
    if not text:
        raise CheckpointError(f"The model in '{folder}' has no card ({CARDS[0]}); run `python -m sisgen release`, then push it.")
    verify(folder, f"The folder '{folder}'")
    names = [CONFIG_FILE, *read_checksums(folder, f"The folder '{folder}'")]
    names += sorted(path.name for path in folder.iterdir() if is_paper(path.name) and path.name != HUB_CARD)
    files = {name: folder / name for name in names}
    front = write_front_matter(licence, content)
    name, revision = str(content.get("name") or folder.name), str(content.get("revision") or "local")
    return Parcel(files=files, card=front + _FRONT.sub("", text) + "\n", name=name, revision=revision)


def write_front_matter(licence: str, content: Mapping[str, Any]) -> str:
    """Write the head of a card by which the Hub sorts and filters models; every value is quoted as JSON, which is YAML too."""
    known = licence.lower().replace(" ", "-")
    lines = ["---", "library_name: sisgen", "pipeline_tag: image-to-image"]
    if _KNOWN_LICENCES.fullmatch(known):
        lines.append(f"license: {known}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(licence)}"]
    lines += ["tags:", "- semantic-image-synthesis", "- stylegan2"]
    return "\n".join([*lines, "---", "", ""])


def push(folder: str | os.PathLike[str], hub_id: str, *, private: bool = False, branch: str | None = None) -> str:
    """Upload a model folder; a repository that is not there yet is made, and what is there already is not sent again.

    Args:
        folder: with `config.json`, weights, licence and card.
        hub_id: "user/name".
        private: whether a new repository is for its owner's eyes only; one that exists stays as it is.
        branch: where the commit goes; it must exist. `None` takes the main branch.

    Returns:
        The address of the model's page.

    Raises:
        InputError: the id is none.
        CheckpointError: the folder is no whole model, or has no licence or no card; nothing was sent.
        SisgenError: the Hub refuses or cannot be reached.
    """
    if not HUB_ID.fullmatch(hub_id) or ".." in hub_id:
        raise InputError(f"A model on the Hub is called USER/NAME, but {hub_id[:60]!r} came; write both, with a slash between them.")
    if is_offline():
        raise SisgenError("Nothing can be pushed while HF_HUB_OFFLINE is set; unset it.")
    parcel = pack(folder)
    try:
        return _send(parcel, hub_id, private, branch)
    except Exception as problem:
        words = _words(problem)
        if words is None:
            raise
        raise SisgenError(f"The Hub did not take '{hub_id}': {words}.") from None


def _send(parcel: Parcel, hub_id: str, private: bool, branch: str | None) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint=endpoint(), library_name="sisgen")
    api.create_repo(hub_id, private=private, exist_ok=True)
    parts = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in parcel.files.items()]
    parts.append(CommitOperationAdd(path_in_repo=HUB_CARD, path_or_fileobj=parcel.card.encode()))
    api.create_commit(hub_id, parts, commit_message=f"Push {parcel.name} {parcel.revision}", revision=branch)
    return f"{endpoint()}/{hub_id}"


def _words(problem: BaseException) -> str | None:
    """Put a failure of the Hub's library into words; `None` when it is none of the network's."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    if isinstance(problem, LocalTokenNotFoundError):
        return "it needs a token; set HF_TOKEN to one that may write"
    if isinstance(problem, HfHubHTTPError):
        status = problem.response.status_code if problem.response is not None else 0
        if status in (401, 403):
            return f"it answers {status}: set HF_TOKEN to a token that may write there"
        said = " ".join((problem.server_message or "").split())[:160]
        return words_for_status(status) + (f" ({said})" if said else "")
    if type(problem).__module__.startswith("httpx"):  # its number differs from release to release
        return words_for_network(TimeoutError() if "Timeout" in type(problem).__name__ else problem)
    if isinstance(problem, RuntimeError) and problem.__cause__ is not None:  # an upload in one of its threads
        return _words(problem.__cause__)
    return None
