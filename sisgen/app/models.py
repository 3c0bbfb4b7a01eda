"""The models of the menu: told from their configs alone, so that nothing is loaded and nothing is fetched for a list."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.app.zero import is_zero
from sisgen.hub.places import find_local, list_models, read_summary

if TYPE_CHECKING:
    from sisgen.app.context import Context
    from sisgen.app.settings import Settings
    from sisgen.pipeline import Pipeline

PARTS = ("generator", "proxy", "rearranger", "mapper_mask", "reader")  # what a model needs to follow a drawing
FRESH = 2.0  # seconds for which a look at the disk holds
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LocalModels:
    """Name the models on this machine that can follow drawings; one that is trained while the page is open joins them.

    Args:
        known: names that are offered anyway; the same folder is not named twice.
    """

    def __init__(self, known: Sequence[str] = ()) -> None:
        self._known = known
        self._names: tuple[str, ...] = ()
        self._until = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> tuple[str, ...]:
        """Return the names, in the order of the places that hold them."""
        with self._lock:
            if time.monotonic() > self._until:
                self._names, self._until = self._look(), time.monotonic() + FRESH
            return self._names

    def _look(self) -> tuple[str, ...]:
        seen = {folder.path.resolve() for name in self._known if (folder := find_local(name)) is not None}
        names = []
        for name in list_models():
            folder = find_local(name)
            if folder is None or folder.path.resolve() in seen or not is_whole(read_summary(folder.path)):
                continue
            seen.add(folder.path.resolve())
            names.append(name)
        return tuple(names)


class Downloads:
    """How far the models are that are being fetched just now, for the page."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def report_for(self, name: str) -> Callable[[str, int, int], None]:
        """Make the report of one model's download."""

        def report(_: str, done: int, total: int) -> None:
            if total:
                self._shares[name] = min(1.0, done / total)

        return report

    def finish(self, name: str) -> None:
        """Forget a model that has come, or has not."""
        self._shares.pop(name, None)

    def share(self, name: str) -> float | None:
        """Part of a model that is here, in [0, 1]; `None` when it is not being fetched."""
        return self._shares.get(name)


def is_whole(content: Mapping[str, Any] | None) -> bool:
    """Whether a config is that of a model that has learned labels, not of a bare generator or a folder in the making."""
    files, mappers = (content or {}).get("files"), (content or {}).get("mappers")
    if not isinstance(files, Mapping) or not isinstance(mappers, Mapping):
        return False
    return "mask" in mappers and all(f"{part}.safetensors" in files for part in PARTS)


def is_private(settings: Settings, environment: Mapping[str, str] | None = None) -> bool:
    """Whether only people at this machine reach the page, so that all of its models may be listed."""
    environment = os.environ if environment is None else environment
    host = settings.host or environment.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    return host in _LOOPBACK and not settings.share and not environment.get("SPACE_ID") and settings.root_path is None


def why_no_training(settings: Settings, environment: Mapping[str, str] | None = None) -> str | None:
    """Say why visitors cannot train here, in one sentence; `None` where they can."""
    environment = os.environ if environment is None else environment
    if is_zero(environment):
        return "Models cannot be taught on this page: its graphics card is lent for seconds only; run sisgen on your own machine."
    if is_private(settings, environment) or settings.allow_training:
        return None
    return "Teaching a model is switched off on this public page, since it takes minutes of a whole machine; on your own it is on."


def describe_offer(name: str, loaded: bool) -> dict[str, Any]:
    """Tell the menu about a model without loading it; of one that is not on this machine little is known.

    Args:
        name: as the registry knows it.
        loaded: whether it is in memory.
    """
    folder = find_local(name)
    content = (read_summary(folder.path) if folder else None) or {}
    generator = content.get("generator")
    resolution = generator.get("resolution") if isinstance(generator, Mapping) else None
    return {
        "name": name,
        "title": _text(content.get("name")) or Path(name).name or name,
        "about": _text(content.get("description")),
        "license": _text(content.get("license")),
        "resolution": resolution if isinstance(resolution, int) else None,
        "source": folder.source if folder else f"the Hub ({name})" if "/" in name else "",
        "loaded": loaded,
    }


def list_offers(context: Context, chosen: str, pipe: Pipeline) -> list[dict[str, Any]]:
    """Tell the menu about every model on offer, and about the chosen one, which is loaded, even where it is on no list."""
    loaded = context.registry.loaded()
    offers = {name: describe_offer(name, name in loaded) for name in dict.fromkeys((*context.registry.names, chosen))}
    known = {"title": pipe.name, "about": pipe.description, "license": pipe.license, "resolution": pipe.resolution, "source": pipe.source}
    offers[chosen] |= {**known, "loaded": True}
    return list(offers.values())


def tell_download(context: Context, name: str | None) -> dict[str, Any]:
    """Say how far a model is that is being fetched: "share" in [0, 1], `None` when it is not."""
    return {"share": context.downloads.share(name or context.registry.default)}


def _text(value: object) -> str:
    return value[:300] if isinstance(value, str) else ""
