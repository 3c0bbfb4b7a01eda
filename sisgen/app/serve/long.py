"""The lane of long work: one task at a time; its tasks give way to strokes after every step, see `Turnstile`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from sisgen.app.serve.live import BusyError

MAX_WAITING = 8  # tasks in the queue


class LongLane:
    """Run tasks one after the other in a thread of their own, which ends when there is none."""

    def __init__(self) -> None:
        self._tasks: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._working = False

    def submit(self, task: Callable[[], None]) -> None:
        """Queue a task; it must catch its own errors.

        Raises:
            BusyError: too many wait.
        """
        with self._lock:
            if len(self._tasks) >= MAX_WAITING:
                raise BusyError("Many people are bringing photographs just now; try again in a minute.")
            self._tasks.append(task)
            if self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="sisgen-long", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._working = False
                    return
                task = self._tasks.popleft()
            task()
