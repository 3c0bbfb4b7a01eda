"""How well a model follows scribbles and lines, measured on what it never trained on.

Scribbles: judge B reads the pictures, against the *full* mask of a rendered test portrait, beside the mask mapper's on the same masks and
styles. Lines: the same extractor reads them back from the pictures and compares them with what it found in the shape sample, at 2 pixels;
`chance` is the plain style sample, `self` the shape sample driven by its own proxy mask, and the figure is (F - chance) / (self - chance).
`proxy`, the style sample driven by the shape sample's proxy mask, is the most that any mapper can reach.
"""

from __future__ import annotations

from collections.abc import Callable
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
from sisgen.train.evaluation.scribbles import FORMS, make_scribbles
from sisgen.train.evaluation.stages import SHOWN, STYLE_SEEDS, TARGET_SEEDS, RealPairs, chunks
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.types import Condition

COMPARED = ("lines", "chance", "self", "proxy")


@dataclass(kw_only=True, slots=True)
class ConditionResults:
    """What was measured.

    Attributes:
        report: JSON-ready; "scribble" -> form -> scores, a kind of lines -> F of the pictures, of chance, of self, and the ratio.
        rows: name -> the first few pictures or drawings, for the grid.
    """

    report: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, torch.Tensor] = field(default_factory=dict)


@torch.no_grad()
def measure_conditions(
    subject: PipelineSubject,
    judge: Reader | None,
    test: RealPairs | None,
    *,
    network: Reads | None = None,
    samples: int = 200,
    batch: int = 8,
    advance: Callable[[int], object],
) -> ConditionResults:
    """Measure every kind that the model has a mapper for.

    Args:
        subject: the model.
        judge: reader B; `None` leaves scribbles out, as for a model of other classes.
        test: rendered test pairs; `None` where there is no judge.
        network: finds the contours of "hed"; `None` takes gradients of several scales.
        samples: pictures a kind.
        batch: pictures at once.
        advance: called with the number of pictures that are done.
    """
    results = ConditionResults()
    if judge is not None and test is not None and "scribble" in subject.pipe.kinds:
        _measure_scribbles(subject, judge, test, samples, batch, results, advance)
    for kind in EDGE_KINDS:
        if kind in subject.pipe.kinds:
            _measure_lines(subject, kind, network, samples, batch, results, advance)
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
    judge: Reader,
    test: RealPairs,
    samples: int,
    batch: int,
    results: ConditionResults,
    advance: Callable[[int], object],
) -> None:
    names = subject.labels.names
    meters = {name: StageMeter(names) for name in ("mask", *FORMS, "mask_half")}
    covered: dict[str, list[float]] = {form: [] for form in FORMS}
    for start, num in chunks(samples, batch):
        labels = test.pairs(start, num)[1]
        styles = range(STYLE_SEEDS + start, STYLE_SEEDS + start + num)
        masked = subject.from_masks(labels, styles)
        by_mask = judge.read(masked)
        meters["mask"].add(labels, by_mask)
        _keep(results.rows, "mask", labels)
        _keep(results.rows, "by mask", masked)
        for form in FORMS:
            scribbles, reference = make_scribbles(form, labels, range(start, start + num))
            condition = scribble_condition(list(scribbles.numpy()), subject.labels, subject.resolution)
            images = subject.pipe(condition, seeds=styles, truncation=subject.truncation).images.clamp(-1, 1).cpu()
            meters[form].add(reference, judge.read(images))
            if form == "half":
                meters["mask_half"].add(reference, by_mask)
            covered[form] += (scribbles >= 0).float().mean(dim=(1, 2)).tolist()
            _keep(results.rows, f"scribble: {form}", scribbles)
            _keep(results.rows, f"by {form}", images)
        advance(num)
    report = {name: meter.report() for name, meter in meters.items()}
    for form in FORMS:
        full = report["mask_half" if form == "half" else "mask"]["miou"]
        report[form]["of_the_mask"] = None if not full else round(report[form]["miou"] / full, 3)
        report[form]["covered"] = percent(sum(covered[form]) / len(covered[form]))
    results.report["scribble"] = report


def _measure_lines(
    subject: PipelineSubject,
    kind: str,
    network: Reads | None,
    samples: int,
    batch: int,
    results: ConditionResults,
    advance: Callable[[int], object],
) -> None:
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in COMPARED}
    for start, num in chunks(samples, batch):
        targets = range(TARGET_SEEDS + start, TARGET_SEEDS + start + num)
        styles = range(STYLE_SEEDS + start, STYLE_SEEDS + start + num)
        shapes = subject.plain(targets)
        wanted = find_lines(kind, shapes, network)
        drawn = F.max_pool2d(F.pad(wanted, (0, 1, 0, 1)), 2, stride=1) if kind == "sketch" else wanted  # a pen of two pixels
        condition = Condition(kind=kind, map=drawn)
        pictures = {
            "lines": subject.pipe(condition, seeds=styles, truncation=subject.truncation).images.clamp(-1, 1).cpu(),
            "chance": subject.plain(styles),
            "self": subject.from_proxy(targets, targets),
            "proxy": subject.from_proxy(targets, styles),
        }
        for name, images in pictures.items():
            found = find_lines(kind, images, network)
            scores[name] += [(one.precision, one.recall, one.f) for one in edge_agreement(wanted, found)]
        _keep(results.rows, "shape", shapes)
        _keep(results.rows, f"lines: {kind}", 1 - 2 * drawn.expand(-1, 3, -1, -1))
        _keep(results.rows, "style", pictures["chance"])
        _keep(results.rows, f"by {kind}", pictures["lines"])
        advance(num)
    means = {name: [sum(column) / len(rows) for column in zip(*rows)] for name, rows in scores.items()}
    report = {name: dict(zip(("precision", "recall", "f"), map(percent, values))) for name, values in means.items()}
    followed, chance, own = (means[name][2] for name in ("lines", "chance", "self"))
    ratio = (followed - chance) / max(own - chance, 1e-6)
    results.report[kind] = {**report, "ratio": round(ratio, 3), "pictures": samples}


def _keep(rows: dict[str, torch.Tensor], name: str, row: torch.Tensor) -> None:
    """Keep the first few of a row."""
    kept = rows.get(name)
    if kept is None or len(kept) < SHOWN:
        rows[name] = row[:SHOWN] if kept is None else torch.cat([kept, row])[:SHOWN]
