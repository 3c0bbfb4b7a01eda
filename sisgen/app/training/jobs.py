"""What a visitor asks to be trained, checked, and the folder that holds it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sisgen.app.canvases import read_runs
from sisgen.app.limits import MAX_SEED, read_number, read_whole
from sisgen.errors import InputError, SisgenError
from sisgen.hub.places import cache_folder
from sisgen.io.configs import read_json, write_json
from sisgen.io.labels import check_label_set, write_labels
from sisgen.shapes import UNPAINTED
from sisgen.types import LabelSet

PSI = 0.9  # truncation of the samples that are painted
MAX_CLASSES = 24
MAX_SAMPLES = 32
MAX_SHOWN = 48  # candidates that are looked at
MAX_MINUTES = 180.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A painted sample.

    Attributes:
        seed: of the sample, at truncation `PSI`.
        labels: int64 [256, 256], -1 where nothing was painted.
    """

    seed: int
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a visitor wants trained.

    Attributes:
        model: name of the model whose generator made the samples.
        label_set: the visitor's own classes.
        samples: the painted ones, at least one.
        shown: seeds of further samples that the model is asked about.
        minutes: budget; `None` looks at the labels for some seconds only.
    """

    model: str
    label_set: LabelSet
    samples: tuple[Sample, ...]
    shown: tuple[int, ...]
    minutes: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as the process that trains reads it.

    Attributes:
        folder: everything of the job lies in it.
        source: folder of the model whose generator is taught.
        masks: folder of the painted masks, SEED.png.
        seeds: of the painted samples.
        shown: seeds of further samples.
        label_set: the classes of the masks.
        minutes: budget; `None` looks only.
        device: where to train; `None` chooses.
    """

    folder: Path
    source: Path
    masks: Path
    seeds: tuple[int, ...]
    shown: tuple[int, ...]
    label_set: LabelSet
    minutes: float | None
    device: str | None

    @property
    def work(self) -> Path:
        """Folder of the run, one a budget: the same labels go on there where they stopped, other labels reuse what they can."""
        return self.folder / f"work-{self.minutes:g}"

    @property
    def model(self) -> Path:
        """Folder of the finished model."""
        return self.folder / "model"


def read_wanted(content: Any) -> Wanted:
    """Check what the page sent.

    Args:
        content: "model", "classes" [{"name", "color"}], "samples" [{"seed", "runs"}], "shown" [seed], "minutes".

    Raises:
        InputError: anything of it cannot be trained.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("model"), str) or len(content["model"]) > 200:
        raise InputError("A training needs classes and painted samples, but something else came; reload the page.")
    label_set = _read_classes(content.get("classes"))
    samples = _read_samples(content.get("samples"), len(label_set))
    _check_painted(samples, label_set)
    shown: Any = content.get("shown")
    minutes = content.get("minutes")
    return Wanted(
        model=content["model"],
        label_set=label_set,
        samples=samples,
        shown=tuple(dict.fromkeys(read_whole("sample", seed, 0, MAX_SEED) for seed in _first(shown, MAX_SHOWN))),
        minutes=None if minutes is None else read_number("time", minutes, 0.01, MAX_MINUTES),
    )


def _first(values: Any, most: int) -> list[Any]:
    return values[:most] if isinstance(values, list) else []


def _read_classes(content: Any) -> LabelSet:
    entries = [entry for entry in content if isinstance(entry, Mapping)] if isinstance(content, list) else []
    if not 2 <= len(entries) <= MAX_CLASSES:
        raise InputError(f"A model needs 2 to {MAX_CLASSES} classes, but there are {len(entries)}; add or remove some.")
    names = tuple(str(entry.get("name", "")).strip() for entry in entries)
    colors = [tuple(entry["color"]) if isinstance(entry.get("color"), list) else () for entry in entries]
    if not all(len(color) == 3 and all(type(value) is int for value in color) for color in colors):
        raise InputError("Every class needs a colour of three whole numbers; choose its colour again.")
    return check_label_set(LabelSet(names=names, colors=tuple(colors)))


def _read_samples(content: Any, num_labels: int) -> tuple[Sample, ...]:
    entries = [entry for entry in content if isinstance(entry, Mapping)] if isinstance(content, list) else []
    if not 1 <= len(entries) <= MAX_SAMPLES:
        raise InputError(f"Between 1 and {MAX_SAMPLES} painted samples are needed, but there are {len(entries)}; paint one first.")
    read = [
        Sample(seed=read_whole("sample", entry.get("seed"), 0, MAX_SEED), labels=read_runs(entry.get("runs"), num_labels))
        for entry in entries
    ]
    unique = {sample.seed: sample for sample in read if (sample.labels != UNPAINTED).any()}
    if not unique:
        raise InputError("Nothing is painted yet; choose a sample and paint its parts first.")
    return tuple(unique.values())


def _check_painted(samples: Sequence[Sample], label_set: LabelSet) -> None:
    held = set(np.unique(np.concatenate([sample.labels.ravel() for sample in samples])).tolist())
    missing = [name for i, name in enumerate(label_set.names) if i not in held]
    if missing:
        raise InputError(f"No sample shows {' or '.join(missing[:3])} yet; paint some of it, or remove the class.")


def write_job(wanted: Wanted, token: str, *, source: Path, resolution: int, device: str | None) -> Job:
    """Write a job's folder: its masks and what to do with them.

    Args:
        wanted: by the visitor.
        token: names the folder.
        source: folder of the model.
        resolution: of its pictures; the masks get it too.
        device: where to train.
    """
    from sisgen.app.drawings import fit_labels

    folder = job_folder(token)
    masks = folder / _digest(wanted)
    masks.mkdir(parents=True, exist_ok=True)
    for sample in wanted.samples:
        write_labels(masks / f"{sample.seed}.png", fit_labels(sample.labels, wanted.label_set, resolution), wanted.label_set)
    seeds = tuple(sample.seed for sample in wanted.samples)
    job = Job(
        folder=folder,
        source=source.resolve(),
        masks=masks,
        seeds=seeds,
        shown=tuple(seed for seed in wanted.shown if seed not in seeds),
        label_set=wanted.label_set,
        minutes=wanted.minutes,
        device=device,
    )
    content = {"source": str(job.source), "masks": masks.name, "seeds": seeds, "shown": job.shown, "minutes": job.minutes, "device": device}
    classes = {"names": wanted.label_set.names, "colors": wanted.label_set.colors}
    write_json(folder / "job.json", {**content, "classes": classes})
    return job


def read_job(folder: Path) -> Job:
    """Read a job that this program wrote."""
    content = read_json(folder / "job.json")
    classes = content["classes"]
    return Job(
        folder=folder,
        source=Path(content["source"]),
        masks=folder / content["masks"],
        seeds=tuple(content["seeds"]),
        shown=tuple(content["shown"]),
        label_set=LabelSet(names=tuple(classes["names"]), colors=tuple(tuple(color) for color in classes["colors"])),
        minutes=content["minutes"],
        device=content["device"],
    )


def new_token() -> str:
    """Make the unguessable name of a new job."""
    return secrets.token_urlsafe(18)


def job_folder(token: str) -> Path:
    """Name the folder of a job; it need not exist.

    Raises:
        InputError: it is no token.
    """
    if not _TOKEN.fullmatch(token):
        raise InputError("This training is not known here any more; start it again.")
    return jobs_root() / token


def jobs_root() -> Path:
    """Name the folder of all jobs."""
    return cache_folder() / "labelling"


def read_state(folder: Path) -> dict[str, Any]:
    """Read how a job stood when it was last written; empty where nothing is known."""
    try:
        return read_json(folder / "state.json")
    except SisgenError:
        return {}


def _digest(wanted: Wanted) -> str:
    """Fingerprint of the labels: the name of the folder of their masks."""
    digest = hashlib.sha256(json.dumps([wanted.model, wanted.label_set.names, wanted.label_set.colors]).encode())
    for sample in sorted(wanted.samples, key=lambda sample: sample.seed):
        digest.update(str(sample.seed).encode() + sample.labels.tobytes())
    return digest.hexdigest()[:16]
