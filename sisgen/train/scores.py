"""The scores of a model's card, from what `sisgen evaluate` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sisgen.train.evaluation.meters import show_percent


def merge_reports(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the reports of several measurements together; of what two of them measured, and of settings, the first one's counts."""
    merged: dict[str, Any] = {}
    for report in reports:
        merged = {**report, **merged}
    return merged


def score_lines(report: Mapping[str, Any]) -> list[str]:
    """Write what was measured as lines of Markdown; what was not is left out."""
    parts = {
        "stages": _stages,
        "distances": _distances,
        "conditions": _conditions,
        "inversion": _inversion,
        "exemplars": _exemplars,
        "freeform": _freeform,
    }
    return [line for name, write in parts.items() if report.get(name) for line in [*write(report), ""]]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)]


def _stages(report: Mapping[str, Any]) -> list[str]:
    names = list(next(iter(report["stages"].values()))["per_class"])
    rows = [
        [stage, *(show_percent(value) for value in (scores["miou"], scores["accuracy"], *scores["per_class"].values()))]
        for stage, scores in report["stages"].items()
    ]
    settings = report["settings"]
    how = f"{settings['samples']} pictures a stage, truncation {settings['truncation']}, on {settings['device']}"
    return [f"Judge B's IoU in per cent, {how}:", "", *_table(["stage", "mIoU", "accuracy", *names], rows)]


def _distances(report: Mapping[str, Any]) -> list[str]:
    values = ", ".join(f"{name} {value}" for name, value in report["distances"].items())
    return [f"SqueezeNet-FD ({report['distances']['pictures']:,} pictures a set): {values}."]


def _conditions(report: Mapping[str, Any]) -> list[str]:
    found = report["conditions"]
    lines: list[str] = []
    if scribbles := found.get("scribble"):
        forms = {name: part for name, part in scribbles.items() if isinstance(part, Mapping)}
        rows = [[name, show_percent(part["miou"]), part.get("of_the_mask", "")] for name, part in forms.items()]
        judge = scribbles.get("judged_by", "judge B")
        lines += [f"Scribbles, read by {judge}, against the full mask, in per cent, and as a share of the mask's own:", ""]
        lines += [*_table(["scribble", "mIoU", "of the mask"], rows), ""]
    kinds = {name: part for name, part in found.items() if "lines" in part}
    if kinds:
        rows = [
            [name, *(part[row]["f"] for row in ("lines", "chance", "proxy")), part["ratio"], part.get("baseline", {}).get("ratio", "")]
            for name, part in kinds.items()
        ]
        lines += ["Lines read back at 2 pixels, F in per cent, and (F - chance) / (F of the sample itself - chance):", ""]
        lines += [*_table(["lines", "F", "chance", "own proxy mask", "ratio", "ratio of the baseline"], rows), ""]
    if depth := found.get("depth"):
        rows = [[*(depth[row]["error"] for row in ("depth", "chance", "proxy", "self")), depth["ratio"]]]
        lines += ["Depth read back, mean error in per cent of its range, and (chance - error) / (chance - error of the sample itself):", ""]
        lines += [*_table(["error", "chance", "own proxy mask", "the sample itself", "ratio"], rows), ""]
    return lines[:-1]


def _inversion(report: Mapping[str, Any]) -> list[str]:
    rows = [[name, part["l2"], part["perceptual"], part["ssim"]] for name, part in report["inversion"].items()]
    what = report.get("photos", "held-out pictures")
    return [f"Inversion of {what}:", "", *_table(["how", "L2", "SqueezeNet-perceptual", "SSIM"], rows)]


def _exemplars(report: Mapping[str, Any]) -> list[str]:
    found = {name: part for name, part in report["exemplars"].items() if isinstance(part, Mapping)}
    rows = [[name, show_percent(part["miou"]), show_percent(part["accuracy"])] for name, part in found.items()]
    judge = report["exemplars"].get("judged_by", "judge B")
    return [f"Shapes of exemplars, read by {judge}, in per cent:", "", *_table(["exemplar", "mIoU", "accuracy"], rows)]


def _freeform(report: Mapping[str, Any]) -> list[str]:
    methods = report["freeform"]["methods"]
    values = ", ".join(f"{name} {show_percent(part['iou'])}" for name, part in methods.items())
    return [f"Free-form masks, mean IoU of the changed parts in per cent: {values}."]
