"""What all tabs share: the settings of this server, the models it holds and the lane that paints."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sisgen.app.models import Downloads
from sisgen.app.photos import Photos
from sisgen.app.training.runner import Trainings
from sisgen.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from sisgen.app.serve.live import Lane
    from sisgen.app.settings import Settings
    from sisgen.app.zero import Loans
    from sisgen.pipeline import Pipeline


_PUBLIC_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)  # a plain name or a Hub id; visitors name no folders


@dataclass(slots=True)
class _Shelf:
    """One model's place in the registry."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pipe: Pipeline | None = None
    num_bytes: int = 0
    users: int = 0
    last_used: int = 0


class Registry:
    """Hold loaded models, each of them immutable, and let go of the least recently used ones.

    Args:
        names: the models that visitors may choose; the first is the default one.
        load: name -> pipeline; it raises a `SisgenError` when that fails.
        max_bytes: idle models are let go while all together exceed this.
        allow_any: whether names outside the list may be loaded.
        more: names further models that visitors may choose just now, such as those on this machine; `None` for none.
    """

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[str], Pipeline],
        *,
        max_bytes: int = 2**32,
        allow_any: bool = False,
        more: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._names = tuple(names)
        self._more = more or tuple
        self._load = load
        self._max_bytes = max_bytes
        self._allow_any = allow_any
        self._shelves: dict[str, _Shelf] = {}
        self._lock = threading.Lock()
        self._clock = 0

    @property
    def default(self) -> str:
        """Name of the model that is used when a request names none."""
        return self._names[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models that visitors may choose, the default one first, each once."""
        return tuple(dict.fromkeys((*self._names, *self._more())))

    @contextmanager
    def lease(self, name: str | None = None) -> Iterator[Pipeline]:
        """Lend a model; it stays loaded at least until the block ends.

        Raises:
            InputError: the model is not offered here.
            SisgenError: it cannot be loaded; every other model stays as it was.
        """
        shelf = self._shelf(name or self.default)
        try:
            yield self._open(name or self.default, shelf)
        finally:
            with self._lock:
                shelf.users -= 1
            self._evict()

    def loaded(self) -> list[str]:
        """Names of the models in memory."""
        with self._lock:
            return [name for name, shelf in self._shelves.items() if shelf.pipe is not None]

    def forget(self, name: str) -> None:
        """Load a model anew the next time: its folder was replaced. Whoever has it on lease keeps the old one until then."""
        with self._lock:
            self._shelves.pop(name, None)

    def _shelf(self, name: str) -> _Shelf:
        known = name in self._names or name in self.names  # the disk is looked at only for a name that is not fixed
        if not known and not (self._allow_any and _PUBLIC_NAME.fullmatch(name)):
            raise InputError(f"The model {name[:60]!r} is not offered here; choose one of: {', '.join(self.names)}.")
        with self._lock:
            shelf = self._shelves.setdefault(name, _Shelf())
            self._clock += 1
            shelf.users, shelf.last_used = shelf.users + 1, self._clock
            return shelf

    def _open(self, name: str, shelf: _Shelf) -> Pipeline:
        with shelf.lock:
            if shelf.pipe is None:
                shelf.pipe = self._load(name)
                shelf.num_bytes = shelf.pipe.num_bytes
            return shelf.pipe

    def _evict(self) -> None:
        with self._lock:
            total = sum(shelf.num_bytes for shelf in self._shelves.values() if shelf.pipe is not None)
            for name, shelf in sorted(self._shelves.items(), key=lambda item: item[1].last_used):
                if shelf.users:
                    continue
                if shelf.pipe is None:
                    del self._shelves[name]
                elif total > self._max_bytes:
                    total -= shelf.num_bytes
                    del self._shelves[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Handed to every tab's `build`.

    Attributes:
        settings: flags of this server.
        registry: the models.
        lane: the one queue in front of the device for short work.
        examples: folder with example drawings.
        downloads: how far models are that are being fetched.
        photos: what visitors brought, for a while.
        trainings: the one place where visitors' models are trained.
        loans: what buttons do with a graphics card that is lent; `None` where none is, so that all goes by the lane.
    """

    settings: Settings
    registry: Registry
    lane: Lane
    examples: Path
    downloads: Downloads = field(default_factory=Downloads)
    photos: Photos = field(default_factory=Photos)
    trainings: Trainings = field(default_factory=Trainings)
    loans: Loans | None = None
