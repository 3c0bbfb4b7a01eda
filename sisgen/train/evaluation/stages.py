"""The stages from a judge's own skill to a painted mask, so that a weak result says which part is weak.

| stage | pictures | reference |
|---|---|---|
| a | rendered test portraits | their exact labels; "a_own": the model's own reader reads them, as it reads photographs |
| b | plain samples | what judge A reads in them: the ceiling |
| c | samples rearranged by the own proxy mask of another sample, the target | A on the target's picture |
| d | samples driven by a mask through the mapper, the mask being what A reads in the target | that mask |
| e | samples driven by the labels of rendered test portraits | these labels |

Judge B reads the pictures of every stage. Floors, against e's references: everything read as background, and B on the plain
style sample. No evaluated seed lies below 4 * 10^9, and training takes none from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from sisgen.nets.reader import Reader
from sisgen.train.evaluation.meters import StageMeter
from sisgen.train.evaluation.subject import Subject

TARGET_SEEDS = 4_000_000_000
STYLE_SEEDS = 4_100_000_000
STAGES = ("a", "b", "c", "d", "e")
FLOORS = ("floor_background", "floor_random")
SHOWN = 8


class RealPairs(Protocol):
    """Real pictures with exact labels, by place."""

    def pairs(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give float [B, 3, H, W] in [-1, 1] and int64 [B, H, W] from `start` on."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Judges:
    """Two readers that never saw each other's training."""

    a: Reader
    b: Reader


@dataclass(kw_only=True, slots=True)
class StageResults:
    """What the stages gave.

    Attributes:
        meters: stage or floor -> its scores; "a_own" is the model's own reader, and "c_by_b" and "d_by_b" take B's own reading of the
            target as reference instead.
        rows: name -> the first few pictures or label maps, for the grid.
    """

    meters: dict[str, StageMeter]
    rows: dict[str, torch.Tensor] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Give all scores as plain JSON."""
        return {name: meter.report() for name, meter in self.meters.items() if meter.pictures}


def run_stages(
    subject: Subject,
    judges: Judges,
    test: RealPairs | None,
    *,
    samples: int = 500,
    batch: int = 8,
    stages: str = "abcde",
    advance: Callable[[int], object],
) -> StageResults:
    """Run the stages.

    Args:
        subject: the method.
        judges: readers A and B, in evaluation mode.
        test: rendered test pairs; `None` where neither a nor e is asked for.
        samples: pictures a stage.
        batch: pictures at once.
        stages: which of them; floors come with e.
        advance: called with the number of pictures that are done.
    """
    names = subject.labels.names
    results = StageResults(meters={name: StageMeter(names) for name in (*STAGES, "a_own", "c_by_b", "d_by_b", *FLOORS)})
    for start, num in chunks(samples, batch):
        with torch.no_grad():
            rows = _measure_samples(subject, judges, results.meters, start, num, stages)
            rows |= _measure_renders(subject, judges, results.meters, test, start, num, stages)
        for name, row in rows.items():
            kept = results.rows.get(name)
            results.rows[name] = row[:SHOWN] if kept is None else torch.cat([kept, row])[:SHOWN]
        advance(num)
    return results


def chunks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut 0..total into (start, number) of at most `size`."""
    for start in range(0, total, size):
        yield start, min(size, total - start)


def seeds_of(start: int, num: int) -> tuple[range, range]:
    """Seeds of shapes and of the styles that follow them."""
    return range(TARGET_SEEDS + start, TARGET_SEEDS + start + num), range(STYLE_SEEDS + start, STYLE_SEEDS + start + num)


def _measure_samples(
    subject: Subject, judges: Judges, meters: dict[str, StageMeter], start: int, num: int, stages: str
) -> dict[str, torch.Tensor]:
    """Measure stages b, c and d: references come from plain samples, the targets."""
    if not set(stages) & set("bcd"):
        return {}
    targets, styles = seeds_of(start, num)
    target_images = subject.plain(targets)
    by_a, by_b = judges.a.read(target_images), judges.b.read(target_images)
    rows = {"target": target_images, "target by A": by_a}
    if "b" in stages:
        meters["b"].add(by_a, by_b)
    style_labels = judges.a.read(subject.plain(styles)) if set(stages) & set("cd") else None
    for stage in sorted(set(stages) & set("cd")):
        images = subject.from_proxy(targets, styles) if stage == "c" else subject.from_masks(by_a, styles)
        read = judges.b.read(images)
        meters[stage].add(by_a, read, style_labels)
        meters[f"{stage}_by_b"].add(by_b, read, style_labels)
        rows |= {f"{stage}": images, f"{stage} by B": read}
    return rows


def _measure_renders(
    subject: Subject, judges: Judges, meters: dict[str, StageMeter], test: RealPairs | None, start: int, num: int, stages: str
) -> dict[str, torch.Tensor]:
    """Measure stages a and e and the floors: references are the exact labels of rendered test portraits."""
    if test is None or not set(stages) & set("ae"):
        return {}
    images, labels = test.pairs(start, num)
    rows = {"mask": labels}
    if "a" in stages:
        meters["a"].add(labels, judges.b.read(images))
        meters["a_own"].add(labels, subject.read(images))
    if "e" in stages:
        _, styles = seeds_of(start, num)
        plain = subject.plain(styles)
        style_labels = judges.a.read(plain)
        driven = subject.from_masks(labels, styles)
        read = judges.b.read(driven)
        meters["e"].add(labels, read, style_labels)
        meters["floor_background"].add(labels, torch.zeros_like(labels))
        meters["floor_random"].add(labels, judges.b.read(plain))
        rows |= {"style": plain, "e": driven, "e by B": read}
    return rows
