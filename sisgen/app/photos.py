"""Photographs that visitors bring: in memory only, for ten minutes after their last use, under tokens that nobody can guess."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sisgen.app.serve.long import LongLane
from sisgen.app.serve.turnstile import Turnstile
from sisgen.errors import InputError, SisgenError

if TYPE_CHECKING:
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline

_log = logging.getLogger(__name__)

KEEP = 600.0  # seconds after the last use
MOST = 64  # photographs at a time; the oldest go first
STEPS = (20, 100)  # of refinement that visitors may ask for
GONE = "This photograph is gone: it is kept for 10 minutes only; open it again."


Refine = Callable[[str, np.ndarray, int], "Inversion"]


@dataclass(slots=True, eq=False)
class Photo:
    """One photograph of a visitor.

    Attributes:
        model: whose style rows it was brought to.
        picture: uint8 [H, W, 3]; `None` for a sample that stands in for one.
        inversion: what the model makes of it.
        phase: "ready", "waiting" or "running" (a refinement), or "failed".
        step, steps: how far the refinement is.
        error: why it failed, in one sentence.
        stop: ends the refinement.
        finished: set once the last refinement has ended.
        until: when it is forgotten.
    """

    model: str
    inversion: Inversion
    picture: np.ndarray | None = None
    phase: str = "ready"
    step: int = 0
    steps: int = 0
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0


class Photos:
    """Hold photographs and refine them, one at a time, behind everything that visitors draw."""

    def __init__(self, keep: float = KEEP) -> None:
        self._keep = keep
        self._photos: dict[str, Photo] = {}
        self._lock = threading.Lock()
        self._long = LongLane()

    def put(self, photo: Photo) -> str:
        """Keep a photograph; the token that names it from now on."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._sweep()
            while len(self._photos) >= MOST:
                self._photos.pop(next(iter(self._photos))).stop.set()
            photo.until = time.monotonic() + self._keep
            self._photos[token] = photo
        timer = threading.Timer(self._keep + 1, self._sweep_later)
        timer.daemon = True
        timer.start()
        return token

    def get(self, token: object, model: str) -> Photo:
        """Look a photograph up, which keeps it for another while.

        Raises:
            InputError: it is gone, or it was brought to another model.
        """
        with self._lock:
            self._sweep()
            photo = self._photos.get(token) if isinstance(token, str) else None
            if photo is None:
                raise InputError(GONE)
            if photo.model != model:
                raise InputError("This photograph was opened with another model; open it again with this one.")
            photo.until = time.monotonic() + self._keep
            return photo

    def forget(self, token: str) -> None:
        """Forget a photograph now."""
        with self._lock:
            photo = self._photos.pop(token, None)
        if photo is not None:
            photo.stop.set()

    def refine(
        self, photo: Photo, pipe: Pipeline, turn: Turnstile, steps: int, done: Callable[[], object], lent: Refine | None = None
    ) -> None:
        """Queue bringing the model's picture nearer to a photograph; `photo` tells how far that is.

        Args:
            photo: of a visitor.
            pipe: the model.
            turn: in front of the device.
            steps: one of `STEPS`.
            done: called at the end, whatever that is.
            lent: (name of the model, picture, steps) -> what is found, with a graphics card that is lent; `None` takes the device.

        Raises:
            InputError: the photograph is a sample, which is met exactly, or it is being refined.
            BusyError: too many wait.
        """
        if photo.picture is None:
            raise InputError("This is a sample of the model, which is met exactly already; open a photo of your own.")
        if photo.phase in ("waiting", "running"):
            raise InputError("This photograph is being worked on; wait for that, or stop it.")
        photo.phase, photo.step, photo.steps, photo.error = "waiting", 0, steps, ""
        photo.stop.clear()
        photo.finished.clear()

        def task() -> None:
            _refine(photo, pipe, turn, lent)
            done()

        try:
            self._long.submit(task)
        except BaseException:
            photo.phase = "ready"
            raise

    def _sweep(self) -> None:
        """Forget what was not used for a while; called with the lock held."""
        now = time.monotonic()
        for token in [token for token, photo in self._photos.items() if photo.until < now]:
            self._photos.pop(token).stop.set()

    def _sweep_later(self) -> None:
        with self._lock:
            self._sweep()


def _refine(photo: Photo, pipe: Pipeline, turn: Turnstile, lent: Refine | None = None) -> None:
    """Run one refinement, giving way after every step; stopped, the photograph stays as it was."""

    def progress(step: int, steps: int) -> None:
        photo.step = step
        turn.give_way()

    assert photo.picture is not None, "samples are not refined"
    try:
        if not photo.stop.is_set():
            photo.phase = "running"
            if lent is not None:
                found = lent(photo.model, photo.picture, photo.steps)
            else:
                with turn.long():
                    found = pipe.invert(photo.picture, steps=photo.steps, progress=progress, stop=photo.stop.is_set)
            if not photo.stop.is_set():
                photo.inversion = found
        photo.phase = "ready"
    except SisgenError as error:
        photo.phase, photo.error = "failed", str(error)
    except Exception:
        _log.exception("a photograph could not be refined")  # the message holds no part of it
        photo.phase, photo.error = "failed", "This did not work; the picture stays as it was."
    photo.finished.set()
