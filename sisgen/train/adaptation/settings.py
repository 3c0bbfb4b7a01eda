"""How an adaptation is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sisgen.train.adaptation.sizes import AdaptSizes
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
    # Train the rearranger against a discriminator? True: a fresh one where the model lacks it; None: on a GPU, or where it has one.
    adversarial: bool | None = None
    tokens: int = 0  # prototype tokens a cluster of a rearranger that starts anew; 2 where samples lack parts (hats, glasses)
    bf16: bool = False  # for rearranger and reader, on a GPU or on a CPU with AMX
    snapshot_minutes: float = 1.0  # time between snapshots, and between sample grids
    device: str | None = None  # None takes CUDA where it works
    seed: int = 0
    sizes: AdaptSizes | None = None  # None takes those of the generator's resolution


@dataclass(frozen=True)
class AdaptProgress:
    """How far an adaptation is."""

    stage: str  # "segmenter", "clusters", "rearranger", "reader", "mapper" or "validation"
    done: float  # share of the whole, in [0, 1]
    minutes_left: float  # of the whole
    line: str  # the same in words, with the stage's own figures
    picture: Path | None  # newest sample grid


@dataclass(frozen=True)
class AdaptResult:
    """What came of it."""

    folder: Path  # `out` where it was replaced, else the adapted copy in the work folder
    validation_before: float | None  # mIoU in [0, 1] of the model that was in `out`; None where there was none to compare
    validation_after: float | None  # of the adapted one; None when the run was stopped before
    replaced: bool  # whether `out` is the adapted model now
    finished: bool = True  # False after a stop: the same config goes on
    sentence: str = ""  # the same in words
