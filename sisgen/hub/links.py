"""Models at plain https:// addresses: a zip file, or a folder of files with its `config.json`."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from sisgen.errors import ModelNotFoundError
from sisgen.hub.archive import unpack
from sisgen.hub.download import Report, Wanted, fetch
from sisgen.hub.places import CONFIG_FILE, ModelFolder, cache_folder, is_model, is_offline, read_checksums
from sisgen.hub.web import FetchError
from sisgen.io.files import sha256_of

MAX_CONFIG_BYTES = 1_000_000

_log = logging.getLogger(__name__)


def is_link(text: str) -> bool:
    """Whether a model's name is an address."""
    return text.startswith(("https://", "http://"))


def fetch_link(url: str, report: Report | None = None) -> ModelFolder:
    """Fetch a model from an address; what has not changed since the last time is not fetched again.

    Args:
        url: of a zip file, of a folder, or of a `config.json` or `.safetensors` file, which stands for its folder.
        report: told how far it is.

    Raises:
        ModelNotFoundError: the server gives no answer or refuses, and nothing is in the cache.
        CheckpointError: what came is no model, too large, or has a wrong checksum.
    """
    path = urlsplit(url).path
    source = f"{urlsplit(url).netloc} ({url})"
    if path.endswith(".zip"):
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.zip"
        archive = cache_folder() / "downloads" / name
        _get(url, archive, report=report)
        return ModelFolder(path=unpack(archive), source=source)
    base = _folder_of(url)
    folder = cache_folder() / "downloads" / hashlib.sha256(base.encode()).hexdigest()[:32]
    _get(_join(base, CONFIG_FILE), folder / CONFIG_FILE, report=None, max_bytes=MAX_CONFIG_BYTES)
    for name, checksum in read_checksums(folder, f"The model at '{base}'").items():
        _get(_join(base, name), folder / name, report=report, sha256=checksum)
    assert is_model(folder)
    return ModelFolder(path=folder, source=source)


def _get(url: str, path: Path, *, report: Report | None, sha256: str | None = None, max_bytes: int | None = None) -> None:
    """Fetch one file, or be content with the one in the cache where the server does not answer."""
    shown = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    if sha256 is not None and path.is_file() and _is_same(path, sha256):
        return
    if is_offline():
        if path.is_file() and sha256 is None:
            return
        raise ModelNotFoundError(f"'{shown}' of '{url}' is not in the cache, and HF_HUB_OFFLINE is set; unset it once to fetch the file.")
    told = None if report is None else lambda done, total: report(shown, done, total)
    wanted = Wanted(url=url, path=path, sha256=sha256, report=told)
    if max_bytes is not None:
        wanted = Wanted(url=url, path=path, max_bytes=max_bytes)
    try:
        fetch(wanted)
    except FetchError as problem:
        if path.is_file() and sha256 is None and problem.status == 0:
            _log.warning("'%s' cannot be asked for news (%s); the one in the cache is used.", url, problem)
            return
        raise ModelNotFoundError(f"'{shown}' cannot be fetched from '{url}': {problem}.") from None


def _is_same(path: Path, sha256: str) -> bool:
    return sha256_of(path) == sha256


def _folder_of(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith((".safetensors", f"/{CONFIG_FILE}")):
        path = path.rsplit("/", 1)[0]
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _join(base: str, name: str) -> str:
    parts = urlsplit(base)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path}/{name}", parts.query, ""))
