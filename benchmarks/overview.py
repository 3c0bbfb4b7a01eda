"""Draws the README's picture: drawings on top, below them what one seed a row makes of each.

Run `python -m benchmarks.overview --seeds 3 11 24`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from sisgen.conditions.mask import mask_condition
from sisgen.io.images import save_png, to_uint8
from sisgen.io.labels import color_labels, read_labels
from sisgen.pipeline import Pipeline

GAP = 6


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="portraits")
    parser.add_argument("--masks", type=Path, default=Path("examples/masks"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cell", type=int, default=160)
    parser.add_argument("--out", type=Path, default=Path("examples/overview.png"))
    args = parser.parse_args()

    pipe = Pipeline.from_pretrained(args.model)
    masks = [read_labels(path, pipe.labels) for path in sorted(args.masks.glob("*.png"))]
    conditions = [mask_condition(mask, pipe.labels, pipe.resolution) for mask in masks]
    plain = list(to_uint8(pipe(seeds=args.seeds).images.clamp(-1, 1)))
    columns = [[np.full((args.cell, args.cell, 3), 255, np.uint8), *plain]]
    for mask, condition in zip(masks, conditions):
        pictures = to_uint8(pipe(condition, seeds=args.seeds).images.clamp(-1, 1))
        columns.append([color_labels(mask, pipe.labels), *pictures])
    save_png(args.out, compose(columns, args.cell))


def compose(columns: list[list[np.ndarray]], cell: int) -> np.ndarray:
    """Lay out columns of pictures of any size on white, each as one square cell."""
    height = GAP + len(columns[0]) * (cell + GAP)
    sheet = np.full((height, GAP + len(columns) * (cell + GAP), 3), 255, np.uint8)
    for x, column in enumerate(columns):
        for y, picture in enumerate(column):
            top, left = GAP + y * (cell + GAP), GAP + x * (cell + GAP)
            resample = Image.Resampling.NEAREST if y == 0 else Image.Resampling.LANCZOS
            sheet[top : top + cell, left : left + cell] = np.asarray(Image.fromarray(picture).resize((cell, cell), resample))
    return sheet


if __name__ == "__main__":
    main()
