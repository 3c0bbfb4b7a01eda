"""Free-form editing (SIS-UG, fig. 6): masks far from any head, scored where they differ from the head that they were painted over.

| row | how |
|---|---|
| rearranged | the mask, through the model |
| latent | baseline: the latent space searched for a picture that a linear reader reads as the mask, see `latent` |
| unedited | floor: the model's picture of the mask before it was painted over |

Judge B reads the pictures. Only changed pixels count, those whose class is not that of the base mask; classes with fewer of them than
`LEAST` in a mask are chance borders of others and are left out. "iou" is the mean over masks of the mean over their classes, "miou" that
over classes of all masks together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.data.portraits import PORTRAIT_LABELS, render
from sisgen.errors import InputError
from sisgen.io.configs import read_json
from sisgen.io.labels import read_labels
from sisgen.metrics.segmentation import confusion_matrix, score
from sisgen.nets.reader import Reader
from sisgen.train.evaluation.latent import LatentConfig, LatentSearch
from sisgen.train.evaluation.meters import StageMeter, percent
from sisgen.train.evaluation.report import draw_grid
from sisgen.train.evaluation.stages import STYLE_SEEDS, Judges
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.types import LabelSet

LIST = "freeform.json"
LEAST = 0.001  # share of a mask's pixels
METHODS = ("rearranged", "latent", "unedited")
COLUMNS = 10  # of the grid


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeformMask:
    """One free-form mask and what it was before: int64 [H, W] both."""

    name: str
    words: str
    labels: torch.Tensor
    base: torch.Tensor

    def changed(self) -> torch.Tensor:
        """The mask where it counts, -1 elsewhere: int64 [H, W]."""
        different = self.labels != self.base
        counts = torch.bincount(self.labels[different], minlength=len(PORTRAIT_LABELS))
        return torch.where(different & (counts >= LEAST * self.labels.numel())[self.labels], self.labels, -1)

    def agreement(self, read: torch.Tensor) -> float:
        """Score labels int64 [1, H, W] of its picture where it counts: the mean IoU of its classes, in [0, 1]."""
        return score(confusion_matrix(self.changed()[None], read, len(PORTRAIT_LABELS))).miou


def read_freeform(folder: Path, label_set: LabelSet, size: int) -> list[FreeformMask]:
    """Read a folder of free-form masks and render what they were painted over.

    Args:
        folder: with `freeform.json`, as `benchmarks/make_freeform.py` writes it.
        label_set: the model's classes, which must be those of the portraits.
        size: side of the model's pictures; masks of another size are sampled.

    Raises:
        InputError: the model has other classes, or the folder or a mask cannot be used.
    """
    if label_set.names != PORTRAIT_LABELS.names:
        raise InputError(
            f"Free-form masks need a model with the portraits' classes, but it has {', '.join(label_set.names)}; leave it out."
        )
    listed = read_json(folder / LIST, error=InputError)
    try:
        rows = [(str(row["file"]), str(row["words"]), int(row["seed"])) for row in listed["masks"]]
        own = int(listed["size"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"'{folder / LIST}' must list masks by file, words and seed, but it does not; write it again.") from None
    masks = []
    for file, words, seed in rows:
        drawn, base = torch.from_numpy(read_labels(folder / file, label_set)), render([seed], own).labels[0]
        if drawn.shape != base.shape:
            raise InputError(f"'{folder / file}' must measure {list(base.shape)}, but it measures {list(drawn.shape)}; draw it again.")
        masks.append(FreeformMask(name=Path(file).stem, words=words, labels=_resize(drawn, size), base=_resize(base, size)))
    return masks


def measure_freeform(
    subject: PipelineSubject,
    judges: Judges,
    masks: Sequence[FreeformMask],
    config: LatentConfig | None = None,
    *,
    advance: Callable[[int], object],
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Measure all methods on all masks, one style a mask.

    Args:
        subject: the model.
        judges: A labels the baseline's few samples, B judges.
        masks: what to follow.
        config: how the baseline searches; `None` takes the usual.
        advance: called with 1 after every mask.

    Returns:
        JSON-ready scores: "methods", "gain" of the model over the baseline in points, "masks"; and rows of pictures for the grid.
    """
    search = LatentSearch(subject.pipe.engine.generator, judges.a, len(subject.labels), subject.truncation, config or LatentConfig())
    bench = {name: _Tally(subject.labels, judges.b) for name in METHODS}
    rows: dict[str, list[torch.Tensor]] = {}
    lines = []
    for i, mask in enumerate(masks):
        line: dict[str, Any] = {"name": mask.name, "words": mask.words}
        shown: dict[str, torch.Tensor] = {"before": mask.base[None], "mask": mask.labels[None]}
        for name in METHODS:
            start = time.perf_counter()
            picture = _make(name, subject, search, mask, STYLE_SEEDS + i)
            read, value = bench[name].add(mask, picture, time.perf_counter() - start)
            line[name] = percent(value)
            shown |= {name: picture, f"{name} by B": read}
        lines.append(line)
        for name, one in shown.items():
            rows.setdefault(name, []).append(one)
        advance(1)
    methods = {name: tally.report() for name, tally in bench.items()}
    report = {
        "methods": methods,
        "gain": round(methods["rearranged"]["iou"] - methods["latent"]["iou"], 1),
        "linear_reader_accuracy": percent(search.fit),
        "masks": lines,
    }
    return report, {name: torch.cat(parts) for name, parts in rows.items()}


def draw_freeform(rows: dict[str, torch.Tensor], label_set: LabelSet) -> NDArray[np.uint8]:
    """Draw all masks and their pictures, `COLUMNS` side by side."""
    count = len(rows["mask"])
    columns = min(COLUMNS, count)
    spare = {name: part.new_full((-count % columns, *part.shape[1:]), 1 if part.is_floating_point() else -1) for name, part in rows.items()}
    whole = {name: torch.cat([part, spare[name]]) for name, part in rows.items()}
    blocks = [{name: part[i : i + columns] for name, part in whole.items()} for i in range(0, count, columns)]
    return np.concatenate([draw_grid(block, label_set, order=tuple(block)) for block in blocks])


class _Tally:
    """What one method adds up."""

    def __init__(self, labels: LabelSet, judge: Reader) -> None:
        self.judge = judge
        self.changed, self.whole = StageMeter(labels.names), StageMeter(labels.names)
        self.values: list[float] = []
        self.seconds = 0.0

    @torch.no_grad()
    def add(self, mask: FreeformMask, picture: torch.Tensor, seconds: float) -> tuple[torch.Tensor, float]:
        """Count one picture; give what the judge reads in it, and its score in [0, 1]."""
        read = self.judge.read(picture.to(next(self.judge.parameters()).device)).cpu()
        self.changed.add(mask.changed()[None], read)
        self.whole.add(mask.labels[None], read)
        self.values.append(mask.agreement(read))
        self.seconds += seconds
        return read, self.values[-1]

    def report(self) -> dict[str, Any]:
        """Give the scores as plain JSON, in percent; "whole" = mIoU over all pixels; seconds a picture."""
        summed = self.changed.report()
        return {
            "iou": percent(sum(self.values) / len(self.values)),
            **summed,
            "whole": self.whole.report()["miou"],
            "seconds": round(self.seconds / len(self.values), 2),
        }


def _make(name: str, subject: PipelineSubject, search: LatentSearch, mask: FreeformMask, seed: int) -> torch.Tensor:
    """Make one method's picture of a mask: float [1, 3, H, W] in [-1, 1]."""
    if name == "latent":
        return search.follow(mask.labels, seed).cpu()
    labels = mask.base if name == "unedited" else mask.labels
    return subject.from_masks(labels[None], [seed])


def _resize(labels: torch.Tensor, size: int) -> torch.Tensor:
    return F.interpolate(labels[None, None].double(), size=(size, size), mode="nearest-exact")[0, 0].long()
