"""Adaptation in one piece: clusters, rearranger, segmenter, live reader and mapper of a generator, in order, resumable.

Everything happens on a copy of the model in a work folder. The model itself is replaced at the end, whole, and only where
pictures that follow masks became better.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sisgen.errors import TrainingError
from sisgen.types import LabelSet


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptConfig:
    """What is adapted, to which labels, for how long."""

    model: Path  # folder with a generator; what else it holds is warm-started
    out: Path  # folder of the finished model; may be `model`
    work: Path  # folder of the run, which is resumed there
    masks: Path | None = None  # folder of painted masks SEED.png of samples at truncation `psi`; None asks `annotator`
    label_set: LabelSet | None = None  # classes of the masks; None takes masks/palette.json, else those of the model
    annotator: Path | None = None  # folder of a reader that stands in for the person who paints
    labels: int = 16  # samples that the annotator labels, seeds 0, 1, ...; painted masks are all used
    psi: float = 0.9  # truncation of the labelled samples
    minutes: float | None = None  # budget of all stages together; None goes by pictures
    fresh: bool = False  # fit clusters and start the rearranger anew
    force: bool = False  # replace `out` even where validation did not improve
    adversarial: bool | None = None  # None: where the model has a discriminator; True: with a fresh one where it lacks
    device: str | None = None  # None takes CUDA where it works
    seed: int = 0


@dataclass(frozen=True)
class AdaptProgress:
    """How far an adaptation is."""

    stage: str  # "clusters", "rearranger", "segmenter", "reader", "mapper" or "validation"
    done: float  # share of the whole, in [0, 1]
    minutes_left: float  # of the whole
    line: str  # the same in words, with the stage's own figures
    picture: Path | None  # newest sample grid


@dataclass(frozen=True)
class AdaptResult:
    """What came of it."""

    folder: Path  # the finished model, or the one in the work folder where `out` was not replaced
    validation_before: float | None  # mIoU in [0, 1] of the model that was in `out`; None where there was none to compare
    validation_after: float | None  # of the new one; None when it was stopped before
    replaced: bool  # whether `out` is the new model now
    finished: bool = True  # False after a stop: the same config goes on
    sentence: str = ""  # the same in words


def adapt(
    config: AdaptConfig, *, report: Callable[[AdaptProgress], None] | None = None, stop: threading.Event | None = None
) -> AdaptResult:
    """Make a generator steerable by masks, or let its parts follow a generator that went on training.

    Args:
        config: what to adapt; the same config goes on where an earlier run stopped.
        report: told how far it is, every few seconds.
        stop: once set, the run ends at the next step with a snapshot.

    Raises:
        InputError: a folder, mask or reader cannot be used.
        CheckpointError: the model is incomplete or altered.
        TrainingError: a stage cannot start, resume or go on.
    """
    raise TrainingError("Adaptation is not there yet; update sisgen.")
