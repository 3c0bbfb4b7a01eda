"""Files from web servers: resumed where they broke off, and checked before they are taken."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sisgen.errors import CheckpointError
from sisgen.hub.places import MAX_MODEL_BYTES
from sisgen.hub.web import PAUSE, FetchError, check_address, open_url, timeout
from sisgen.io.files import sha256_of

Report = Callable[[str, int, int], None]  # what is fetched, bytes so far, bytes in all (0 when unknown)

PART = ".part"  # what came so far; with PART + ".tag" it says of which version
BLOCK = 1 << 18
PATIENCE = 3  # attempts in a row that bring hardly anything
HARDLY = 1 << 16  # bytes
_GOES_ON = "the same command goes on where it stopped"


class _BrokenError(Exception):
    """The connection ended early or stood still; the rest may be asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A file to fetch.

    Attributes:
        url: its address.
        path: where it goes.
        headers: for the server of `url` only, not for those that it redirects to.
        sha256: what it must hash to; `None` where nobody said.
        max_bytes: more is refused.
        report: told the bytes of this file so far and in all.
    """

    url: str
    path: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    max_bytes: int = MAX_MODEL_BYTES
    report: Callable[[int, int], None] | None = None

    @property
    def name(self) -> str:
        """The file's own name, as the address gives it."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])[:80]


def fetch(wanted: Wanted) -> None:
    """Fetch a file; a broken connection is taken up again, in this call and in the next one.

    A file that is there already is asked for again only when the server has another version. The file takes its name once it
    is whole and its checksum is right.

    Raises:
        FetchError: the server gives no answer, refuses, or stops half-way for good.
        CheckpointError: the checksum is wrong or the file too large.
    """
    check_address(wanted.url)
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    part = wanted.path.with_name(wanted.path.name + PART)
    with _alone(part):
        failures, before = 0, _size(part)
        while True:
            try:
                if not _transfer(wanted, part):
                    return
                break
            except _BrokenError as broken:
                failures = 1 if _size(part) > before + HARDLY else failures + 1
                before = _size(part)
                if failures >= PATIENCE:
                    raise FetchError(str(broken)) from None
                time.sleep(PAUSE * 2 ** (failures - 1))
        _accept(wanted, part)


def _transfer(wanted: Wanted, part: Path) -> bool:
    """Fetch what is missing; return False when the file that is there already is the server's newest."""
    tag_file = part.with_name(part.name + ".tag")
    have, tag = _size(part), _read_text(tag_file)
    if have and not (tag or wanted.sha256):
        have = 0  # nothing says that the rest would belong to it
    asked: dict[str, str] = {"Range": f"bytes={have}-"} if have else {}
    if have and tag:
        asked["If-Range"] = tag
    known = _read_text(_tag_of(wanted.path)) if wanted.path.exists() else ""
    if known and not have:
        asked["If-None-Match" if known.startswith(('"', "W/")) else "If-Modified-Since"] = known
    with open_url(wanted.url, wanted.headers, asked) as answer:
        if answer.status == 304:
            return False
        if answer.status == 416:  # there is no rest: all is here, or the file has become another one
            if f"/{have}" not in (answer.headers.get("Content-Range") or ""):
                part.unlink(missing_ok=True)
                raise _BrokenError("the file changed while it was fetched; try again")
            return True
        start, total = _span(answer, have)
        if total > wanted.max_bytes:
            raise CheckpointError(
                f"'{wanted.name}' may have {wanted.max_bytes / 1e6:,.1f} MB, but it has {total / 1e6:,.1f} MB; it is not fetched."
            )
        _check_space(part.parent, total - start)
        tag_file.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "", encoding="utf-8")
        _receive(wanted, answer, part, start, total)
    return True


def _span(answer: Any, have: int) -> tuple[int, int]:
    """Read where an answer begins and how long the whole file is (0 when unknown)."""
    length = answer.headers.get("Content-Length") or ""
    size = int(length) if re.fullmatch(r"\d{1,18}", length) else 0
    if answer.status != 206:
        return 0, size
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", answer.headers.get("Content-Range") or "")
    if not match or int(match[1]) != have:
        raise FetchError("it answers with another part of the file than was asked for")
    return have, 0 if match[2] == "*" else int(match[2])


def _receive(wanted: Wanted, answer: Any, part: Path, start: int, total: int) -> None:
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        while True:
            try:
                block = answer.read1(BLOCK)
            except TimeoutError:
                raise _BrokenError(f"it fell silent for {timeout():g} s after {_amount(done, total)}; {_GOES_ON}") from None
            except (OSError, http.client.HTTPException):
                raise _BrokenError(f"the connection broke after {_amount(done, total)}; {_GOES_ON}") from None
            if not block:
                break
            file.write(block)
            done += len(block)
            if done > wanted.max_bytes:
                raise CheckpointError(f"'{wanted.name}' may have {wanted.max_bytes / 1e6:,.1f} MB, but more came; it is not fetched.")
            if wanted.report:
                wanted.report(done, total)
    if done < total:
        raise _BrokenError(f"the connection ended after {_amount(done, total)}; {_GOES_ON}")


def _accept(wanted: Wanted, part: Path) -> None:
    """Give a whole file its name, when its checksum is right."""
    tag_file = part.with_name(part.name + ".tag")
    if wanted.sha256 is not None and (came := sha256_of(part)) != wanted.sha256:
        part.unlink()
        tag_file.unlink(missing_ok=True)
        raise CheckpointError(
            f"'{wanted.name}' must have the SHA-256 {wanted.sha256[:12]}..., but what came from {urlsplit(wanted.url).netloc} has "
            f"{came[:12]}... and was thrown away; try again, and tell the model's author if it happens twice."
        )
    os.replace(part, wanted.path)
    if tag_file.exists():
        os.replace(tag_file, _tag_of(wanted.path))


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes and threads away from a file that is being fetched; they wait and then find it there."""
    try:
        import fcntl
    except ImportError:  # Windows: two downloads at once would spoil each other, and the checksum tells
        yield
        return
    with part.with_name(part.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FetchError(f"it needs {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free in '{folder}'")


def _tag_of(path: Path) -> Path:
    return path.with_name(path.name + ".tag")


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return text if text.isprintable() else ""  # it becomes a header


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _amount(done: int, total: int) -> str:
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
