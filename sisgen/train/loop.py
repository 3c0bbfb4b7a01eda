"""The one training loop: resume, step, report, save.

A task owns networks, optimizers and one step; the loop owns time. All randomness of a step comes from the running ids of its
samples (`generator_for`), so a run that was killed and resumed equals an uninterrupted one bit for bit (one thread count, CPU).
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from sisgen.devices import flushed_denormals
from sisgen.errors import TrainingError
from sisgen.io.snapshots import load_newest_state, write_snapshot
from sisgen.train.distributed import Processes

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """What the loop needs to know."""

    out: Path  # folder of the run
    images: int  # samples to see in all
    batch: int = 32  # samples a step, over all processes
    seed: int = 0
    minutes: float | None = None  # stop after this wall time; None runs until `images`
    snapshot_minutes: float = 4.0  # time between snapshots
    sample_minutes: float = 4.0  # time between sample grids
    tick_seconds: float = 10.0  # time between lines of stats.jsonl

    def __post_init__(self) -> None:
        if self.batch < 1 or self.images < 1:
            raise TrainingError(f"--images and --batch must be at least 1, but they are {self.images} and {self.batch}; give larger ones.")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepInfo:
    """Where a step stands."""

    step: int
    sample_ids: tuple[int, ...]  # running ids of this process's samples
    batch_size: int  # over all processes
    images_seen: int  # over all processes, before this step
    total_images: int
    seed: int

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1)."""
        return self.images_seen / self.total_images

    @property
    def second_half(self) -> list[int]:
        """Places in the batch of the samples that are of a second kind, where half of them are: two running ids of every four."""
        return [place for place, i in enumerate(self.sample_ids) if i % 4 < 2]


class Task(Protocol):
    """What is trained: one file a task."""

    name: str

    def networks(self) -> Mapping[str, nn.Module]:
        """Everything whose state is saved and restored."""

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Everything that steps."""

    def step(self, info: StepInfo) -> dict[str, float]:
        """Train on one batch; return the statistics to log."""

    def save_samples(self, path: Path) -> None:
        """Write a picture that shows how far the training is."""


def generator_for(seed: int, sample_id: int, stream: int = 0) -> torch.Generator:
    """Make the random generator of one sample: the same numbers whatever the batch, the process or the resume."""
    mixed = (seed * 0x9E3779B97F4A7C15 + sample_id * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) % 2**64
    mixed = ((mixed ^ (mixed >> 31)) * 0xD6E8FEB86659FD93) % 2**64
    return torch.Generator().manual_seed((mixed ^ (mixed >> 32)) % 2**63)


def run_loop(
    task: Task,
    config: LoopConfig,
    *,
    progress: Callable[[str], None] | None = None,
    watch: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Train until `images` were seen or `minutes` have passed.

    Args:
        task: what to train.
        config: for how long, and where to write.
        progress: gets one line of text every tick; `None` is silent.
        watch: gets the images seen after every step; `None` watches nothing.
        stop: once set, the loop ends with a snapshot, as after SIGTERM, which sets it, too.

    Returns:
        Images seen in all.

    Raises:
        TrainingError: the folder holds another task's run, or a statistic is not finite.
    """
    processes = Processes()
    if processes.is_main:
        config.out.mkdir(parents=True, exist_ok=True)
    step = first = _resume(task, config)
    clock = _Clock(config)
    with _StopFlag(stop) as flag, flushed_denormals():
        # All processes stop after the same step, or the others would wait for ever.
        while step * config.batch < config.images and not processes.any(flag.raised or clock.over()):
            # Step.
            stats = task.step(_step_info(step, config, processes))
            step += 1
            clock.count(config.batch, stats)
            if not processes.is_main:
                continue
            if watch is not None:
                watch(step * config.batch)

            # Report.
            if clock.due("tick", config.tick_seconds):
                _report(task, config, clock, step, progress)
            if clock.due("sample", config.sample_minutes * 60):
                task.save_samples(config.out / f"samples-{step * config.batch:08d}.png")

            # Save.
            if clock.due("snapshot", config.snapshot_minutes * 60):
                _check_finite(clock.means(), step)
                save_state(task, config.out, step)
        if processes.is_main and step > first:
            if clock.sums:  # steps since the last line
                _report(task, config, clock, step, progress)
            save_state(task, config.out, step)
            task.save_samples(config.out / f"samples-{step * config.batch:08d}.png")
        processes.wait()
    return step * config.batch


def save_state(task: Task, out: Path, step: int) -> Path:
    """Write a whole snapshot atomically and keep the newest two."""
    state: dict[str, Any] = {"task": task.name, "step": step}
    state["networks"] = {name: net.state_dict() for name, net in task.networks().items()}
    state["optimizers"] = {name: opt.state_dict() for name, opt in task.optimizers().items()}
    path = out / f"state-{step:09d}.pt"
    write_snapshot(path, state)
    for old in [*sorted(out.glob("state-*.pt"))[:-2], *out.glob(".state-*.pt")]:
        old.unlink()
    return path


def _resume(task: Task, config: LoopConfig) -> int:
    state = load_newest_state(config.out)
    if state is None:
        return 0
    if state["task"] != task.name:
        came = f"a run of {state['task']!r}, but {task.name!r} was asked for"
        raise TrainingError(f"The folder {config.out} holds {came}; choose another --out.")
    try:
        for name, net in task.networks().items():
            net.load_state_dict(state["networks"][name])
        for name, opt in task.optimizers().items():
            opt.load_state_dict(state["optimizers"][name])
    except (KeyError, RuntimeError, ValueError):
        raise TrainingError(f"The run in {config.out} has other sizes than asked for now; give its settings or another --out.") from None
    return int(state["step"])


def _step_info(step: int, config: LoopConfig, processes: Processes) -> StepInfo:
    first = step * config.batch
    ids = tuple(range(first + processes.rank, first + config.batch, processes.size))
    return StepInfo(step=step, sample_ids=ids, batch_size=config.batch, images_seen=first, total_images=config.images, seed=config.seed)


class _Clock:
    """Wall time of a run: what is due, how fast it goes, means since the last tick."""

    def __init__(self, config: LoopConfig) -> None:
        self.config = config
        self.start = time.monotonic()
        self.last = {"tick": self.start, "sample": self.start, "snapshot": self.start}
        self.images = 0
        self.since = self.start
        self.sums: dict[str, tuple[float, int]] = {}

    def over(self) -> bool:
        minutes = self.config.minutes
        return minutes is not None and time.monotonic() - self.start >= minutes * 60

    def due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self.last[what] < seconds:
            return False
        self.last[what] = now
        return True

    def count(self, images: int, stats: Mapping[str, float]) -> None:
        self.images += images
        for name, value in stats.items():
            total, number = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + float(value), number + 1)

    def means(self) -> dict[str, float]:
        return {name: total / number for name, (total, number) in sorted(self.sums.items())}

    def summary(self, seen: int) -> dict[str, float]:
        now = time.monotonic()
        rate = self.images / max(now - self.since, 1e-9)
        line = {"images": seen, "images_per_second": round(rate, 2), "seconds": round(now - self.start, 1)}
        line |= self.means()
        self.images, self.since, self.sums = 0, now, {}
        return line


class _StopFlag:
    """Turns SIGTERM into a clean end of the loop, with a last snapshot; so does an event from another thread."""

    def __init__(self, event: threading.Event | None = None) -> None:
        self._event = threading.Event() if event is None else event
        self._previous: Any = None

    @property
    def raised(self) -> bool:
        return self._event.is_set()

    def __enter__(self) -> _StopFlag:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            self._previous = signal.signal(signal.SIGTERM, self._raise)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _raise(self, *_: object) -> None:
        self._event.set()


def _report(task: Task, config: LoopConfig, clock: _Clock, step: int, progress: Callable[[str], None] | None) -> None:
    line = clock.summary(step * config.batch)
    _check_finite(line, step)
    _append_json(config.out / "stats.jsonl", line)
    if progress is not None:
        progress(_describe(task.name, line, config))


def _check_finite(line: Mapping[str, float], step: int) -> None:
    broken = [name for name, value in line.items() if value != value or value in (float("inf"), float("-inf"))]
    if broken:
        raise TrainingError(f"The training diverged at step {step} ({', '.join(broken)} not finite); resume with a lower learning rate.")


def _append_json(path: Path, line: Mapping[str, float]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _describe(name: str, line: Mapping[str, float], config: LoopConfig) -> str:
    seen, rate = line["images"], line["images_per_second"]
    left = (config.images - seen) / max(rate, 1e-9) / 60
    if config.minutes is not None:
        left = min(left, config.minutes - line["seconds"] / 60)
    known = {"images", "images_per_second", "seconds"}
    stats = "  ".join(f"{key} {value:.3f}" for key, value in line.items() if key not in known)
    return f"{name}: {seen:,.0f} of {config.images:,} images  {rate:.1f} images/s  {max(left, 0):.0f} min left  {stats}"
