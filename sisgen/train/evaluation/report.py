"""The evaluation on paper: one JSON file, one grid of pictures, one bar plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sisgen.io.configs import write_json
from sisgen.io.images import save_png, to_uint8
from sisgen.io.labels import color_labels
from sisgen.types import LabelSet

ROWS = ("mask", "style", "e", "e by B", "target", "target by A", "c", "c by B", "d", "d by B")
TITLES = {
    "a": "a  renders",
    "b": "b  ceiling: A against B",
    "c": "c  a sample's own proxy",
    "d": "d  generated masks",
    "e": "e  rendered masks",
    "floor_random": "floor: a random sample",
    "floor_background": "floor: background only",
}
INK, PAPER, BAR, TRACK, FLOOR = (32, 34, 44), (255, 255, 255), (72, 104, 214), (236, 238, 244), (168, 172, 186)
MARGIN = 16


def write_report(out: Path, report: Mapping[str, Any], rows: Mapping[str, torch.Tensor], label_set: LabelSet) -> None:
    """Write `evaluation.json`, `grid.png` and `stages.png` into a folder, each atomically.

    Args:
        out: the folder.
        report: JSON-ready; "stages" holds the stages' reports.
        rows: name -> pictures float [B, 3, H, W] or labels int64 [B, H, W], of one B.
        label_set: the classes and their colours.
    """
    write_json(out / "evaluation.json", report)
    if rows:
        save_png(out / "grid.png", draw_grid(rows, label_set))
    if report.get("stages"):
        save_png(out / "stages.png", draw_bars(report["stages"], label_set))


def draw_grid(
    rows: Mapping[str, torch.Tensor], label_set: LabelSet, *, order: Sequence[str] = ROWS, gap: int = 4, header: int = 120
) -> NDArray[np.uint8]:
    """Draw named rows of pictures and label maps as uint8 RGB."""
    strips = {name: _as_pictures(rows[name], label_set) for name in order if name in rows}
    count, height, width, _ = next(iter(strips.values())).shape
    sheet = Image.new("RGB", (header + count * (width + gap) + MARGIN, len(strips) * (height + gap) + 2 * MARGIN), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, (name, pictures) in enumerate(strips.items()):
        top = MARGIN + i * (height + gap)
        pen.text((MARGIN, top + height // 2 - 8), name, fill=INK, font=font)
        for k, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (header + k * (width + gap), top))
    return np.asarray(sheet)


def draw_bars(stages: Mapping[str, Any], label_set: LabelSet, *, width: int = 960) -> NDArray[np.uint8]:
    """Draw the mIoU of every stage as a bar, and below it the classes of stage e (else of the last stage) against the ceiling."""
    shown = [name for name in TITLES if name in stages]
    detail = "e" if "e" in stages else shown[-1]
    names = [name for name in label_set.names if stages[detail]["per_class"].get(name) is not None]
    sheet = Image.new("RGB", (width, 2 * MARGIN + 34 * len(shown) + 56 + 24 * len(names)), PAPER)
    pen = ImageDraw.Draw(sheet)
    top = MARGIN
    for name in shown:
        _bar(pen, top, 24, TITLES[name], stages[name]["miou"], FLOOR if name.startswith("floor") else BAR, width)
        top += 34
    pen.text(
        (MARGIN, top + 12),
        f"mIoU in percent, read by B; classes of stage {detail} (line: ceiling b)",
        fill=INK,
        font=ImageFont.load_default(15),
    )
    top += 44
    for name in names:
        ceiling = stages.get("b", {}).get("per_class", {}).get(name)
        color = label_set.colors[label_set.names.index(name)]
        _bar(pen, top, 16, name, stages[detail]["per_class"][name], color, width, ceiling)
        top += 24
    return np.asarray(sheet)


def _bar(
    pen: ImageDraw.ImageDraw,
    top: int,
    height: int,
    title: str,
    value: float | None,
    color: tuple[int, int, int],
    width: int,
    mark: float | None = None,
) -> None:
    """Draw one titled bar of 0..100 percent, with an optional mark."""
    left, right = 230, width - 80
    font = ImageFont.load_default(min(15, height))
    pen.text((MARGIN, top + height // 2), title, fill=INK, font=font, anchor="lm")
    pen.rectangle((left, top, right, top + height), fill=TRACK)
    if value is not None:
        pen.rectangle((left, top, left + (right - left) * value / 100, top + height), fill=color)
    if mark is not None:
        x = left + (right - left) * mark / 100
        pen.line((x, top - 2, x, top + height + 2), fill=INK, width=2)
    pen.text((right + 10, top + height // 2), "-" if value is None else f"{value:.1f}", fill=INK, font=font, anchor="lm")


def _as_pictures(row: torch.Tensor, label_set: LabelSet) -> NDArray[np.uint8]:
    return to_uint8(row) if row.ndim == 4 else color_labels(row.cpu().numpy(), label_set)
