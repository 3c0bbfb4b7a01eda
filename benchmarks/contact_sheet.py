"""Draws a contact sheet of conditions: a sample's mask, scribble, lines, depth and arrangement, and other samples that follow each.

Run `python -m benchmarks.contact_sheet --model cats --shape 5 --styles 26 1 2`. Rows: the drawing, then one style a row; first column: the
shape sample on top, the style samples below.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.overview import compose
from sisgen.conditions.canny import canny_condition
from sisgen.conditions.depth import depth_condition
from sisgen.conditions.hed import hed_condition, load_detector
from sisgen.conditions.mask import mask_condition
from sisgen.conditions.scribble import scribble_condition
from sisgen.conditions.sketch import sketch_condition
from sisgen.hub import shipped_folder
from sisgen.io.images import save_png, to_uint8
from sisgen.nets.depth import load_depth
from sisgen.pipeline import Pipeline
from sisgen.shapes import UNPAINTED
from sisgen.train.drawing_mapper import show_drawings
from sisgen.train.drawings.scribbles import draw_scribbles
from sisgen.types import Condition


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="cats")
    parser.add_argument("--shape", type=int, default=5, help="seed of the sample that is drawn")
    parser.add_argument("--styles", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cell", type=int, default=144)
    parser.add_argument("--out", type=Path, default=Path("examples/conditions.png"))
    args = parser.parse_args()

    pipe = Pipeline.from_pretrained(args.model)
    shape, *plain = to_uint8(pipe(seeds=[args.shape, *args.styles]).images.clamp(-1, 1))
    columns = [[shape, *plain]]
    for condition in draw(pipe, shape, args.shape):
        columns.append([show(condition, pipe, shape), *to_uint8(pipe(condition, seeds=args.styles).images.clamp(-1, 1))])
    save_png(args.out, compose(columns, args.cell))


def draw(pipe: Pipeline, picture: np.ndarray, seed: int) -> list[Condition]:
    """Draw a sample in every way that the model reads."""
    size, labels = pipe.resolution, pipe.sample_labels([seed])
    code = draw_scribbles(labels, len(pipe.labels), [torch.Generator().manual_seed(3)])
    scribble = torch.where(code.amax(dim=1) > 0, code.argmax(dim=1), UNPAINTED)[0].numpy()
    made = {
        "mask": lambda: mask_condition(labels[0].numpy(), pipe.labels, size),
        "scribble": lambda: scribble_condition(scribble, pipe.labels, size),
        "sketch": lambda: sketch_condition(picture, size),
        "canny": lambda: canny_condition(picture, size),
        "hed": lambda: hed_condition(picture, size, load_detector(prefer="edges")),
        "depth": lambda: depth_condition(picture, size, load_depth(shipped_folder("depth"))),
        "exemplar": lambda: pipe.exemplar(seed),
    }
    return [made[kind]() for kind in made if kind in pipe.kinds]


def show(condition: Condition, pipe: Pipeline, shape: np.ndarray) -> np.ndarray:
    """Show a drawing as the page does: classes in their colours, lines dark on white, depth light where it is near."""
    if condition.kind == "exemplar":
        return shape
    return show_drawings(1 - condition.map if condition.kind == "depth" else condition.map, pipe.labels)[0]


if __name__ == "__main__":
    main()
