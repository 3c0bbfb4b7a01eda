"""What a run remembers in its work folder: which stages are done, for which inputs, and what the folders held at the start."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sisgen.errors import TrainingError
from sisgen.io.configs import from_dict, read_json, to_dict, write_json

FILE = "adapt.json"
Start = Literal["anew", "warm", "kept"]  # what becomes of clusters and rearranger


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRecord:
    """One stage: `key` names all that it was made from."""

    key: str
    images: int = 0  # pictures that it was given
    batch: int = 1
    done: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Validation of a run's outcome, mIoU in [0, 1]."""

    key: str
    before: float | None
    after: float
    pictures: int
    masks: str  # where they came from, in words
    delivered: bool = False  # the decision over the target was taken
    replaced: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """The content of `adapt.json`."""

    source: Mapping[str, str]  # files of the model when it was copied -> SHA-256
    target: Mapping[str, str]  # files of the folder to replace; empty where there was none
    start: Start
    seconds: float = 0.0  # that the run took so far
    stages: Mapping[str, StageRecord] = field(default_factory=dict)
    figures: Figures | None = None
    written: Mapping[str, str] = field(default_factory=dict)  # files that the run put, or was about to put, into the target

    def is_done(self, stage: str, key: str) -> bool:
        """Tell whether a stage was finished for these inputs."""
        return stage in self.stages and self.stages[stage].done and self.stages[stage].key == key

    def with_stage(self, stage: str, record: StageRecord) -> RunState:
        """Note a stage."""
        return replace(self, stages={**self.stages, stage: record})


@contextmanager
def claim(work: Path) -> Iterator[None]:
    """Keep other runs out of a work folder; the system lets go of it when this one ends, however it ends.

    Raises:
        TrainingError: another run is at work there.
    """
    work.mkdir(parents=True, exist_ok=True)
    if not sys.platform.startswith(("linux", "darwin")):
        yield
        return
    import fcntl

    with (work / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(f"Another adaptation is at work in '{work}'; wait for it, or choose another work folder.") from None
        yield


def load_state(work: Path) -> RunState | None:
    """Read the state of a run; `None` where none began.

    Raises:
        TrainingError: the file is damaged.
    """
    path = work / FILE
    if not path.exists():
        return None
    return from_dict(RunState, read_json(path, error=TrainingError), where=f"'{path}'", largest=None, error=TrainingError)


def save_state(work: Path, state: RunState) -> None:
    """Write the state of a run atomically."""
    write_json(work / FILE, to_dict(state))


def key_of(*inputs: Any) -> str:
    """Name inputs (JSON data) by a checksum."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
