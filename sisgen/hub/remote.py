"""Models on the Hugging Face Hub: into its own cache, from which its own library and this one read alike.

The bytes come through `sisgen.hub.web` and not through `huggingface_hub`'s own download: that one throws a half-fetched file
away, and it has no checksum of ours to look at before a file enters the cache. Endpoint, token and cache are its settings.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from sisgen.errors import CheckpointError
from sisgen.hub.download import Report, Wanted, fetch
from sisgen.hub.places import CONFIG_FILE, MAX_MODEL_BYTES, ModelFolder, cache_folder, is_model, is_offline, is_paper, read_checksums
from sisgen.hub.web import FetchError, read_json_from
from sisgen.io.files import write_text

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,119}")
MAX_CONFIG_BYTES = 1_000_000
MAX_LISTING_BYTES = 8_000_000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """What the Hub says about one state of a repository: its commit, and size and hash (of the Hub's own kind) of each file."""

    commit: str
    sizes: Mapping[str, int]
    etags: Mapping[str, str]


def fetch_from_hub(hub_id: str, revision: str | None = None, report: Report | None = None) -> ModelFolder:
    """Bring a model from the Hub into its cache; only what is missing there is fetched.

    Args:
        hub_id: "user/name".
        revision: commit, tag or branch; `None` takes the default branch.
        report: told how far the whole model is.

    Raises:
        FetchError: the Hub does not answer or refuses, and the cache has no whole copy.
        CheckpointError: the repository holds no whole model, or a file with a wrong checksum.
    """
    revision = revision or "main"
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise FetchError(f"{revision[:60]!r} is no revision")
    repo = cache_of_hub() / f"models--{hub_id.replace('/', '--')}"
    source = f"the Hub ({hub_id})"
    cached = _cached(repo, revision)
    if is_offline() or (cached and _COMMIT.fullmatch(revision) and not _missing(cached, hub_id)):
        return ModelFolder(path=_whole(cached, hub_id, "since HF_HUB_OFFLINE is set"), source=source)
    try:
        listing = _list(hub_id, revision)
    except FetchError as problem:
        if cached and problem.status not in (401, 403, 404) and not _missing(cached, hub_id):
            _log.warning("The Hub cannot be asked for news of '%s' (%s); the copy in the cache is used.", hub_id, problem)
            return ModelFolder(path=cached, source=source)
        raise
    folder = _complete(repo, hub_id, listing, report)
    if revision != listing.commit:
        _write_reference(repo / "refs" / revision, listing.commit)
    return ModelFolder(path=folder, source=source)


def fetch_file(hub_id: str, name: str, *, allow_network: bool = True, report: Report | None = None) -> Path | None:
    """Bring one file of another project's repository; as `fetch_files`, but returns the file."""
    folder = fetch_files(hub_id, (name,), allow_network=allow_network, report=report)
    return None if folder is None else folder / name


def fetch_files(hub_id: str, names: Sequence[str], *, allow_network: bool = True, report: Report | None = None) -> Path | None:
    """Bring files of another project's repository into the Hub's cache, each checked against the hash that the Hub names.

    Args:
        hub_id: "user/name".
        names: the files' plain names.
        allow_network: False only looks into the cache.
        report: told how far all of them are.

    Returns:
        The folder that holds them, all of one state; `None` when they are not in the cache and nothing may be fetched.

    Raises:
        FetchError: the Hub does not answer, refuses, or lacks one of the files.
        CheckpointError: what came has another hash.
    """
    repo = cache_of_hub() / f"models--{hub_id.replace('/', '--')}"
    cached = sorted(repo.glob(f"snapshots/*/{names[0]}"), key=lambda path: path.lstat().st_mtime)
    whole = [path.parent for path in cached if all((path.parent / name).is_file() for name in names)]
    if whole:
        return whole[-1]
    if is_offline() or not allow_network:
        return None
    listing = _list(hub_id, "main")
    absent = [name for name in names if name not in listing.sizes]
    if absent:
        raise FetchError(f"'{hub_id}' has no file '{absent[0]}'")
    done, total = 0, sum(listing.sizes[name] for name in names)
    for name in names:
        _bring(repo, hub_id, listing, name, None, None if report is None else _shifted(report, hub_id, done, total))
        done += listing.sizes[name]
    _write_reference(repo / "refs" / "main", listing.commit)
    return repo / "snapshots" / listing.commit


def endpoint() -> str:
    """Name the Hub's address: HF_ENDPOINT, else the public one."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def cache_of_hub() -> Path:
    """Name the Hub's cache folder, as HF_HUB_CACHE or HF_HOME set it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def read_hub_link(url: str) -> tuple[str, str | None] | None:
    """Read id and revision from the address of a model's page on the Hub; `None` when it is another address."""
    from huggingface_hub import constants

    for base in (endpoint(), constants._HF_DEFAULT_ENDPOINT):
        if url.startswith(f"{base}/"):
            match = re.fullmatch(r"([^/]+/[^/]+?)/?(?:/tree/(.+?)/?)?", urlsplit(url[len(base) + 1 :]).path)
            if match and HUB_ID.fullmatch(match[1]) and match[1].split("/")[0] not in ("api", "datasets", "spaces"):
                return match[1], match[2]
    return None


def _headers() -> dict[str, str]:
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _list(hub_id: str, revision: str) -> _Listing:
    url = f"{endpoint()}/api/models/{hub_id}/revision/{quote(revision, safe='')}?blobs=true"
    answer = read_json_from(url, _headers(), max_bytes=MAX_LISTING_BYTES)
    try:
        files = {str(file["rfilename"]): file for file in answer["siblings"]}
        commit = str(answer["sha"])
        sizes = {name: int(file.get("size") or 0) for name, file in files.items()}
        etags = {name: str((file.get("lfs") or {}).get("sha256") or file.get("blobId") or "") for name, file in files.items()}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise FetchError("its answer is not that of a Hub; check HF_ENDPOINT") from None
    if not _COMMIT.fullmatch(commit):
        raise FetchError("its answer names no commit; check HF_ENDPOINT")
    return _Listing(commit=commit, sizes=sizes, etags=etags)


def _complete(repo: Path, hub_id: str, listing: _Listing, report: Report | None) -> Path:
    """Fetch the config, then what it lists, then cards and licences; return the folder of this commit."""
    folder = repo / "snapshots" / listing.commit
    if CONFIG_FILE not in listing.sizes or listing.sizes[CONFIG_FILE] > MAX_CONFIG_BYTES:
        raise CheckpointError(f"The Hub's '{hub_id}' must be a sisgen model, but it has no {CONFIG_FILE} of one; choose another one.")
    _bring(repo, hub_id, listing, CONFIG_FILE, None, None)
    checksums = read_checksums(folder, f"The Hub's '{hub_id}'")
    absent = [name for name in checksums if name not in listing.sizes]
    if absent:
        raise CheckpointError(
            f"The Hub's '{hub_id}' must hold '{absent[0]}', which its {CONFIG_FILE} lists, but does not; tell its author."
        )
    papers = [name for name in listing.sizes if is_paper(name) and listing.sizes[name] <= MAX_CONFIG_BYTES]
    missing = [name for name in (*checksums, *papers) if not (folder / name).is_file()]
    total = sum(listing.sizes[name] for name in missing)
    if total > MAX_MODEL_BYTES:
        raise CheckpointError(f"The Hub's '{hub_id}' has {total / 1e6:,.0f} MB, but at most {MAX_MODEL_BYTES / 1e6:,.0f} MB are fetched.")
    done = 0
    for name in missing:
        told = None if report is None else _shifted(report, hub_id, done, total)
        _bring(repo, hub_id, listing, name, checksums.get(name), told)
        done += listing.sizes[name]
    return folder


def _shifted(report: Report, hub_id: str, before: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: report(hub_id, before + done, total)


def _bring(repo: Path, hub_id: str, listing: _Listing, name: str, sha256: str | None, told: Callable[[int, int], None] | None) -> None:
    """Bring one file into the Hub's cache: the bytes under their hash in `blobs`, a link to them in `snapshots`."""
    pointer = repo / "snapshots" / listing.commit / name
    if pointer.is_file():
        return
    etag = listing.etags[name]
    if not _ETAG.fullmatch(etag):
        raise FetchError(f"it names no hash of '{name}'")
    blob = repo / "blobs" / etag
    if not blob.is_file():
        url = f"{endpoint()}/{hub_id}/resolve/{listing.commit}/{name}"
        # A large file's hash is a SHA-256 too, which stands in for the config's where that says nothing.
        checksum = sha256 or (etag if len(etag) == 64 else None)
        fetched = cache_folder() / "downloads" / f"{hub_id.replace('/', '--')}-{etag}"
        limit = max(1, listing.sizes[name])
        fetch(Wanted(url=url, path=fetched, headers=_headers(), sha256=checksum, max_bytes=limit, report=told))
        _move(fetched, blob)
    _link(blob, pointer)


def _move(path: Path, target: Path) -> None:
    """Move a file, perhaps to another disk, so that it appears whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.incomplete")
    shutil.move(path, beside)
    os.replace(beside, target)
    for left in path.parent.glob(f"{path.name}.*"):
        left.unlink(missing_ok=True)


def _link(blob: Path, pointer: Path) -> None:
    pointer.parent.mkdir(parents=True, exist_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except FileExistsError:
        pass  # another process was faster
    except OSError:  # a disk without links: the Hub's library puts the file itself there, too
        os.replace(blob, pointer)


def _cached(repo: Path, revision: str) -> Path | None:
    """Find the folder of a revision in the cache."""
    commit = revision
    if not _COMMIT.fullmatch(revision):
        try:
            commit = (repo / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    folder = repo / "snapshots" / commit
    return folder if _COMMIT.fullmatch(commit) and is_model(folder) else None


def _missing(folder: Path, hub_id: str) -> list[str]:
    return [name for name in read_checksums(folder, f"The Hub's '{hub_id}'") if not (folder / name).is_file()]


def _whole(folder: Path | None, hub_id: str, why: str) -> Path:
    """Return a cached folder that needs nothing more.

    Raises:
        FetchError: it is not there or lacks files.
    """
    missing = [CONFIG_FILE] if folder is None else _missing(folder, hub_id)
    if folder is None or missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FetchError(f"only its cache, {why}, and that lacks '{missing[0]}'{more}")
    return folder


def _write_reference(path: Path, commit: str) -> None:
    write_text(path, commit)
