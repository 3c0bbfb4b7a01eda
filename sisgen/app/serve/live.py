"""The lane in front of the device: requests of several visitors wait here and run in batches, the newest of each first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sisgen.app.serve.turnstile import Turnstile
from sisgen.errors import SisgenError


class BusyError(SisgenError):
    """The lane is full or closing; the same request may be sent again a little later."""


class SupersededError(SisgenError):
    """A newer request of the same visitor took the place of this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneConfig:
    """Limits of a lane."""

    max_batch: int = 8  # requests that run together
    window: float = 0.010  # seconds to wait for others, only while others are about
    max_waiting: int = 64  # requests in the queue
    max_per_visitor: int = 4  # waiting requests of one visitor, its stroke not counted


@dataclass(slots=True, eq=False)
class _Job:
    visitor: str
    key: Hashable
    payload: Any
    rank: int
    future: Future = field(default_factory=Future)


class Lane:
    """Run requests in one thread, batched by key.

    Requests with the lowest rank go first. A request of rank 0 (a pen stroke) takes the place of a waiting one of the same
    visitor, so that only the newest drawing is ever painted.

    Args:
        run: (key, payloads) -> answers, one a payload, in order.
        config: limits.

    Attributes:
        turn: in front of the device, for those who share it with this lane.
    """

    def __init__(self, run: Callable[[Any, list[Any]], Sequence[Any]], config: LaneConfig | None = None) -> None:
        self._run = run
        self._config = config or LaneConfig()
        self.turn = Turnstile()
        self._jobs: list[_Job] = []
        self._changed = threading.Condition()
        self._seen: dict[str, float] = {}  # visitor -> time of the last stroke
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sisgen-lane", daemon=True)
        self._thread.start()

    def submit(self, visitor: str, key: Hashable, payload: Any, *, rank: int = 0) -> Future:
        """Queue a request.

        Args:
            visitor: who asks.
            key: requests with equal keys may run as one batch.
            payload: handed to `run`.
            rank: 0 for a pen stroke, more for what can wait.

        Returns:
            A future of the answer; cancelling it takes a waiting request out of the queue.

        Raises:
            BusyError: the queue is full, this visitor has too many requests in it, or the lane is closing.
        """
        job = _Job(visitor, key, payload, rank)
        with self._changed:
            self._jobs = [waiting for waiting in self._jobs if not waiting.future.cancelled()]
            if rank == 0:
                self._supersede(visitor)
            mine = sum(waiting.visitor == visitor and waiting.rank > 0 for waiting in self._jobs) if rank else 0
            if self._closed or len(self._jobs) >= self._config.max_waiting or mine >= self._config.max_per_visitor:
                raise BusyError("Many people are drawing just now; the newest drawing is sent again by itself.")
            self._jobs.append(job)
            if rank == 0:
                self._note(visitor)
            self._changed.notify_all()
        return job.future

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        with self._changed:
            return len(self._jobs)

    def close(self, timeout: float = 5.0) -> None:
        """Refuse new requests, finish the running batch, answer the waiting ones with `BusyError`."""
        with self._changed:
            self._closed = True
            left, self._jobs = self._jobs, []
            self._changed.notify_all()
        for job in left:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(BusyError("The server is closing; try again in a moment."))
        self._thread.join(timeout)

    def _supersede(self, visitor: str) -> None:
        """Answer this visitor's waiting strokes: a newer one has come. Called with the lock held."""
        for old in [job for job in self._jobs if job.visitor == visitor and job.rank == 0]:
            self._jobs.remove(old)
            if old.future.set_running_or_notify_cancel():
                old.future.set_exception(SupersededError("A newer drawing took the place of this one."))

    def _note(self, visitor: str) -> None:
        now = time.monotonic()
        self._seen = {name: at for name, at in self._seen.items() if now - at < 1.0}
        self._seen[visitor] = now

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if not self._jobs:
                    return
                batch = self._collect()
            batch = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _collect(self) -> list[_Job]:
        """Take the next batch out of the queue, waiting a little when others are drawing too. Called with the lock held."""
        config = self._config
        deadline = time.monotonic() + config.window
        while 0 < len(self._jobs) < min(len(self._seen), config.max_batch) and (left := deadline - time.monotonic()) > 0:
            self._changed.wait(left)
        if not self._jobs:
            return []
        first = min(self._jobs, key=lambda job: job.rank)
        batch = [job for job in self._jobs if job.key == first.key and job.rank == first.rank][: config.max_batch]
        self._jobs = [job for job in self._jobs if job not in batch]
        return batch

    def _answer(self, batch: list[_Job]) -> None:
        try:
            with self.turn.short():
                answers = self._run(batch[0].key, [job.payload for job in batch])
        except Exception as error:  # whatever went wrong belongs to the requests, the lane goes on
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:  # one bad request must not spoil the others
                self._answer([job])
            return
        for job, answer in zip(batch, answers, strict=True):
            job.future.set_result(answer)
