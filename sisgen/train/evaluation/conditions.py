"""How well a model follows scribbles, lines and depth, measured on what it never trained on.

Scribbles: a judge reads the pictures, against the *full* mask that was scribbled over, beside the mask mapper's on the same masks and
styles (`ScribbleTest`). Lines: the same extractor reads them back from the pictures and compares them with what it found in the shape
sample, at 2 pixels; `chance` is the plain style sample, `self` the shape sample driven by its own proxy mask, and the figure is
(F - chance) / (self - chance). `proxy`, the style sample driven by the shape sample's proxy mask, is the most that any mapper can reach.
`baseline`, where one is given, is an encoder of the lines whose coarse style rows are mixed with the style's fine ones; its split is the
best of `SPLITS`, chosen on the same pictures, which favours it. Depth is read back likewise, by the network that gave it; its error is the
mean distance of depths in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F

from sisgen.conditions.scribble import scribble_condition
from sisgen.metrics.edges import edge_agreement
from sisgen.nets.lines import canny, gaussian_blur, luminance, soft_edges
from sisgen.nets.reader import Reader
from sisgen.train.drawings.kinds import EDGE_KINDS, Reads
from sisgen.train.evaluation.meters import StageMeter, percent
from sisgen.train.evaluation.mixing import LineBaseline
from sisgen.train.evaluation.scribbles import FORMS, make_scribbles
from sisgen.train.evaluation.stages import SHOWN, chunks, seeds_of
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.types import Condition

COMPARED = ("lines", "chance", "self", "proxy")
COMPARED_DEPTH = ("depth", *COMPARED[1:])
MIXED = "baseline "  # and the split


@dataclass(frozen=True, kw_only=True, slots=True)
class ScribbleTest:
    """What is scribbled over, and who reads the pictures.

    Attributes:
        masks: (start, num) -> full masks int64 [num, H, W].
        judge: reader of the model's classes.
        judged_by: the judge in words, for the report.
    """

    masks: Callable[[int, int], torch.Tensor]
    judge: Reader
    judged_by: str


@dataclass(kw_only=True, slots=True)
class ConditionResults:
    """What was measured.

    Attributes:
        report: JSON-ready; "scribble" -> form -> scores, and "judged_by"; a kind of lines -> F of the pictures, of chance, of self, of the
            baseline where there is one, and the ratio; "depth" -> errors of the same, and the ratio.
        rows: name -> the first few pictures or drawings, for the grid.
    """

    report: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, torch.Tensor] = field(default_factory=dict)


@torch.no_grad()
def measure_conditions(
    subject: PipelineSubject,
    test: ScribbleTest,
    *,
    network: Reads | None = None,
    depth: Reads | None = None,
    baselines: Mapping[str, LineBaseline] | None = None,
    samples: int = 200,
    batch: int = 8,
    advance: Callable[[int], object],
) -> ConditionResults:
    """Measure every kind that the model has a mapper for.

    Args:
        subject: the model.
        test: of scribbles.
        network: finds the contours of "hed"; `None` takes gradients of several scales.
        depth: gives depth and reads it back; `None` leaves that out.
        baselines: kind of lines -> what is measured beside its mapper; `None` = none.
        samples: pictures a kind.
        batch: pictures at once.
        advance: called with the number of pictures that are done.
    """
    results = ConditionResults()
    if "scribble" in subject.pipe.kinds:
        _measure_scribbles(subject, test, samples, batch, results, advance)
    for kind in EDGE_KINDS:
        if kind in subject.pipe.kinds:
            _measure_lines(subject, kind, network, (baselines or {}).get(kind), samples, batch, results, advance)
    if depth is not None and "depth" in subject.pipe.kinds:
        _measure_depth(subject, depth, samples, batch, results, advance)
    return results


def find_lines(kind: str, images: torch.Tensor, network: Reads | None = None) -> torch.Tensor:
    """Extract the lines of one kind, always in the same way: [B, 3, H, W] in [-1, 1] -> [B, 1, H, W] in [0, 1]."""
    if kind == "canny":
        return canny(luminance(images), 0.1, 0.2)
    if kind == "hed":
        return soft_edges(images) if network is None else network.read(images)
    gray = luminance(images)
    simple = torch.lerp(gray, gaussian_blur(gray, 1.5 * images.shape[-1] / 128), 0.5)
    return canny(simple, 0.15, 0.3, sigma=1.4)


def _measure_scribbles(
    subject: PipelineSubject,
    test: ScribbleTest,
    samples: int,
    batch: int,
    results: ConditionResults,
    advance: Callable[[int], object],
) -> None:
    names = subject.labels.names
    meters = {name: StageMeter(names) for name in ("mask", *FORMS, "mask_half")}
    covered: dict[str, list[float]] = {form: [] for form in FORMS}
    for start, num in chunks(samples, batch):
        labels = test.masks(start, num)
        _, styles = seeds_of(start, num)
        masked = subject.from_masks(labels, styles)
        by_mask = test.judge.read(masked)
        meters["mask"].add(labels, by_mask)
        _keep(results.rows, "mask", labels)
        _keep(results.rows, "by mask", masked)
        for form in FORMS:
            scribbles, reference = make_scribbles(form, labels, range(start, start + num))
            condition = scribble_condition(list(scribbles.numpy()), subject.labels, subject.resolution)
            images = subject.pipe(condition, seeds=styles, truncation=subject.truncation).images.clamp(-1, 1).cpu()
            meters[form].add(reference, test.judge.read(images))
            if form == "half":
                meters["mask_half"].add(reference, by_mask)
            covered[form] += (scribbles >= 0).float().mean(dim=(1, 2)).tolist()
            _keep(results.rows, f"scribble: {form}", scribbles)
            _keep(results.rows, f"by {form}", images)
        advance(num)
    report: dict[str, Any] = {name: meter.report() for name, meter in meters.items()}
    for form in FORMS:
        full = report["mask_half" if form == "half" else "mask"]["miou"]
        report[form]["of_the_mask"] = None if not full else round(report[form]["miou"] / full, 3)
        report[form]["covered"] = percent(sum(covered[form]) / len(covered[form]))
    results.report["scribble"] = {**report, "judged_by": test.judged_by}


def _measure_lines(
    subject: PipelineSubject,
    kind: str,
    network: Reads | None,
    baseline: LineBaseline | None,
    samples: int,
    batch: int,
    results: ConditionResults,
    advance: Callable[[int], object],
) -> None:
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for start, num in chunks(samples, batch):
        targets, styles = seeds_of(start, num)
        shapes = subject.plain(targets)
        wanted = find_lines(kind, shapes, network)
        drawn = F.max_pool2d(F.pad(wanted, (0, 1, 0, 1)), 2, stride=1) if kind == "sketch" else wanted  # a pen of two pixels
        pictures = dict(zip(COMPARED, _drive(subject, Condition(kind=kind, map=drawn), targets, styles)))
        mixed = {} if baseline is None else baseline.follow(subject.pipe.engine, drawn, styles, subject.truncation)
        for name, images in {**pictures, **{f"{MIXED}{size}": images.cpu() for size, images in mixed.items()}}.items():
            found = find_lines(kind, images, network)
            scores.setdefault(name, [])
            scores[name] += [(one.precision, one.recall, one.f) for one in edge_agreement(wanted, found)]
        _keep(results.rows, "shape", shapes)
        _keep(results.rows, f"lines: {kind}", 1 - 2 * drawn.expand(-1, 3, -1, -1))
        _keep(results.rows, "style", pictures["chance"])
        _keep(results.rows, f"by {kind}", pictures["lines"])
        if mixed:
            _keep(results.rows, f"{kind}, mixed", list(mixed.values())[len(mixed) // 2].cpu())
        advance(num)
    means = {name: [sum(column) / len(rows) for column in zip(*rows)] for name, rows in scores.items()}
    results.report[kind] = {**_report_lines(means), "pictures": samples}


def _measure_depth(
    subject: PipelineSubject, depth: Reads, samples: int, batch: int, results: ConditionResults, advance: Callable[[int], object]
) -> None:
    errors: dict[str, list[float]] = {name: [] for name in COMPARED_DEPTH}
    for start, num in chunks(samples, batch):
        targets, styles = seeds_of(start, num)
        shapes = subject.plain(targets)
        wanted = depth.read(shapes)
        pictures = _drive(subject, Condition(kind="depth", map=wanted), targets, styles)
        for name, images in zip(COMPARED_DEPTH, pictures):
            errors[name] += (depth.read(images) - wanted).abs().mean(dim=(1, 2, 3)).tolist()
        _keep(results.rows, "shape", shapes)
        _keep(results.rows, "depth", 2 * wanted.expand(-1, 3, -1, -1) - 1)
        _keep(results.rows, "by depth", pictures[0])
        advance(num)
    means = {name: sum(values) / len(values) for name, values in errors.items()}
    ratio = (means["chance"] - means["depth"]) / max(means["chance"] - means["self"], 1e-6)
    report: dict[str, Any] = {name: {"error": percent(mean)} for name, mean in means.items()}
    results.report["depth"] = {**report, "ratio": round(ratio, 3), "pictures": samples}


def _drive(subject: PipelineSubject, condition: Condition, targets: range, styles: range) -> tuple[torch.Tensor, ...]:
    """Make the pictures that a condition is scored by, in the order of `COMPARED`; each [B, 3, H, W] in [-1, 1], on the CPU."""
    followed = subject.pipe(condition, seeds=styles, truncation=subject.truncation).images.clamp(-1, 1).cpu()
    return followed, subject.plain(styles), subject.from_proxy(targets, targets), subject.from_proxy(targets, styles)


def _report_lines(means: Mapping[str, list[float]]) -> dict[str, Any]:
    """Put mean precision, recall and F of every row on the scale from chance to self; of the baseline's splits the best one stays."""
    lines = {name: dict(zip(("precision", "recall", "f"), map(percent, values))) for name, values in means.items()}
    chance, own = means["chance"][2], means["self"][2]

    def ratio(name: str) -> float:
        return round((means[name][2] - chance) / max(own - chance, 1e-6), 3)

    report: dict[str, Any] = {name: lines[name] for name in COMPARED} | {"ratio": ratio("lines")}
    splits = [name for name in means if name.startswith(MIXED)]
    if splits:
        best = max(splits, key=lambda name: means[name][2])
        report["baseline"] = {**lines[best], "ratio": ratio(best), "split": int(best.removeprefix(MIXED))}
    return report


def _keep(rows: dict[str, torch.Tensor], name: str, row: torch.Tensor) -> None:
    """Keep the first few of a row."""
    kept = rows.get(name)
    if kept is None or len(kept) < SHOWN:
        rows[name] = row[:SHOWN] if kept is None else torch.cat([kept, row])[:SHOWN]
