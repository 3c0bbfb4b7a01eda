"""How far a run of several stages is: one share, one time that is left, one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sisgen.train.adaptation.settings import AdaptProgress

Report = Callable[[AdaptProgress], None]
REPORT_SECONDS = 2.0
SAVE_SECONDS = 5.0
LEAST_PART = 0.25  # of its share of the budget, for a stage that others left no time
LEAST_SECONDS = 1.0


class Journey:
    """Watches a run from its first stage to its last.

    Args:
        shares: stages in order -> their shares of the time, finished ones included.
        spent: seconds that earlier starts of the same run took.
        budget: seconds for the whole; `None` for no limit.
        report: told every few seconds; `None` tells nobody.
        save: told the seconds spent, so that a killed run remembers them.
    """

    def __init__(
        self, shares: Mapping[str, float], *, spent: float, budget: float | None, report: Report | None, save: Callable[[float], None]
    ) -> None:
        total = sum(shares.values()) or 1.0
        self.shares = {name: share / total for name, share in shares.items()}
        self.budget, self.report, self.save = budget, report, save
        self._first, self._before = time.monotonic(), spent
        self._saved = self._reported = 0.0
        self._line = ""
        self._picture: Path | None = None
        self.stage, self.total, self.images = "", 1, 0
        self.folder: Path | None = None
        self._began = self._first
        self._started_at: int | None = None

    @property
    def spent(self) -> float:
        """Seconds of the whole run so far."""
        return self._before + time.monotonic() - self._first

    def seconds_for(self, stage: str) -> float | None:
        """What a stage may take of the budget that is left: its share among what is still to do.

        Where stages before it took too long, it still gets a part of its due: half-trained parts would spoil what is there.
        """
        if self.budget is None:
            return None
        names = list(self.shares)
        ahead = sum(self.shares[name] for name in names[names.index(stage) :])
        due = self.budget * self.shares[stage]
        return max((self.budget - self.spent) * self.shares[stage] / ahead, LEAST_PART * due, LEAST_SECONDS)

    def begin(self, stage: str, folder: Path, total: int = 1) -> None:
        """Enter a stage of `total` pictures."""
        self._look()
        self.stage, self.folder, self.total, self.images = stage, folder, max(total, 1), 0
        self._started_at, self._line = None, ""
        self._tell()

    def watch(self, images: int) -> None:
        """Count the pictures of this stage; the pace is taken from the first count on, which a resumed stage does not begin with 0."""
        self.images = images
        now = time.monotonic()
        if self._started_at is None:
            self._began, self._started_at = now, images
        if now - self._saved >= SAVE_SECONDS:
            self._saved = now
            self.save(self.spent)
        if now - self._reported >= REPORT_SECONDS:
            self._tell()

    def say(self, line: str) -> None:
        """Take the stage's own line."""
        self._line = line
        self._tell()

    @property
    def done(self) -> float:
        """Share of the whole that is done."""
        names = list(self.shares)
        before = sum(self.shares[name] for name in names[: names.index(self.stage)])
        return before + self.shares[self.stage] * min(self.images / self.total, 1.0)

    def minutes_left(self) -> float:
        """Guess from the pace of this stage, within the budget."""
        fresh = 0.0 if self._started_at is None else (self.images - self._started_at) / self.total
        limit = None if self.budget is None else max(self.budget - self.spent, 0.0)
        if fresh <= 0.0:
            known = self.spent / self.done * (1 - self.done) if self.done > 0 else 0.0
            return (known if limit is None else limit) / 60
        pace = (time.monotonic() - self._began) / (fresh * self.shares[self.stage])  # seconds for the whole
        left = pace * (1 - self.done)
        return (left if limit is None else min(left, limit)) / 60

    def _tell(self) -> None:
        self._reported = time.monotonic()
        if self.report is None:
            return
        left = self.minutes_left()
        count = f"{self.images:,} of {self.total:,} images" if self.images else "starting"
        words = f"adapt: {self.done:.0%}  {left:.0f} min left in all  {self._line or f'{self.stage}: {count}'}"
        self._look()
        self.report(AdaptProgress(stage=self.stage, done=self.done, minutes_left=left, line=words, picture=self._picture))

    def _look(self) -> None:
        """Find the newest grid of this stage; until there is one, that of the stage before stays."""
        if self.folder is not None:
            self._picture = max(self.folder.glob("samples-*.png"), default=self._picture)
