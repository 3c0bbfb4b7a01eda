"""In front of the device: one piece of work at a time, and every stroke of a visitor goes before the next step of long work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turnstile:
    """One piece of work on the device at a time; short work goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._first = 0  # short work that waits

    @contextmanager
    def short(self) -> Iterator[None]:
        """Hold the device for a batch of the live lane."""
        with self._changed:
            self._first += 1
            while self._held:
                self._changed.wait()
            self._first, self._held = self._first - 1, True
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def long(self) -> Iterator[None]:
        """Hold the device for one step of long work."""
        self._take_second()
        try:
            yield
        finally:
            self._release()

    def give_way(self) -> None:
        """Between two steps of long work, inside `long`: let everything short go first."""
        self._release()
        self._take_second()

    def _take_second(self) -> None:
        with self._changed:
            while self._held or self._first:
                self._changed.wait()
            self._held = True

    def _release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()
