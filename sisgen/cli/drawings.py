"""Files of drawings on the command line: masks, scribbles, sketches, edge maps, depth and exemplars become conditions."""

from __future__ import annotations

import argparse
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.cli.arguments import number
from sisgen.cli.photos import read_photo
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition

Box = tuple[int, int, int, int]  # top, left, bottom, right

KINDS = {  # kind -> what its argument takes
    "mask": "mask in the model's palette",
    "scribble": "strokes in the model's palette, the rest transparent or white",
    "sketch": "line drawing, dark on light or light on dark",
    "canny": "picture whose edges are found, or an edge map",
    "hed": "picture whose soft edges are found, or white contours on black",
    "depth": "depth picture, white = near, or a photograph",
    "exemplar": "photograph whose shape is taken: a picture, or a file of `sisgen invert`",
}


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one argument a kind, the weights, and Canny's thresholds."""
    for kind, words in KINDS.items():
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"{words}; or a folder of such files")
    words = "how much each of several drawings counts, in the order of --help (default: all alike)"
    parser.add_argument("--weights", type=number(0.0), nargs="+", metavar="W", help=words)
    words = "thresholds of Canny's edges, 0 < LOW <= HIGH <= 2.6 (default: 0.1 0.2)"
    parser.add_argument("--canny-thresholds", type=number(0.0), nargs=2, default=(0.1, 0.2), metavar=("LOW", "HIGH"), help=words)


class DrawingReader:
    """Reads files of drawings for one model; networks that it takes are loaded once, when they are needed.

    Args:
        pipe: the model.
        low, high: Canny's thresholds.
    """

    def __init__(self, pipe: Pipeline, *, low: float = 0.1, high: float = 0.2) -> None:
        self.pipe, self.low, self.high = pipe, low, high

    def read(self, kind: str, path: Path) -> tuple[Condition, Box]:
        """Read one file.

        Args:
            kind: one of `KINDS`.
            path: the file.

        Returns:
            The condition, and the part of the model's square pictures that the file covers.

        Raises:
            SisgenError: the model does not read this kind, or the file cannot be used.
        """
        from sisgen.conditions.mask import crop_box

        pipe, size = self.pipe, self.pipe.resolution
        if kind not in pipe.kinds:
            raise InputError(f"The model {pipe.name!r} reads {', '.join(pipe.kinds)}, but --{kind} was given; take another model.")
        if kind == "exemplar":
            return pipe.exemplar(read_photo(pipe, path, "--exemplar")), (0, 0, size, size)
        condition, (height, width) = self._read_labels(kind, path) if kind in ("mask", "scribble") else self._read_picture(kind, path)
        return condition, crop_box(height, width, size)

    def _read_labels(self, kind: str, path: Path) -> tuple[Condition, tuple[int, int]]:
        from sisgen.conditions.mask import mask_condition
        from sisgen.conditions.scribble import scribble_condition
        from sisgen.io.labels import read_labels

        labels = read_labels(path, self.pipe.labels, paper=kind == "scribble")
        make = mask_condition if kind == "mask" else scribble_condition
        return make(labels, self.pipe.labels, self.pipe.drawing_size), (labels.shape[0], labels.shape[1])

    def _read_picture(self, kind: str, path: Path) -> tuple[Condition, tuple[int, int]]:
        from sisgen.io.images import load_image

        picture = load_image(path)
        condition = self._condition(kind, picture, path)
        if not bool(condition.map.any()):
            what = {"sketch": "lines", "depth": "near and far places"}.get(kind, "edges")
            raise InputError(f"'{path.name}' must show {what}, but there are none to be seen; choose another picture.")
        return condition, (picture.shape[0], picture.shape[1])

    def _condition(self, kind: str, picture: np.ndarray, path: Path) -> Condition:
        size = self.pipe.drawing_size
        if kind == "sketch":
            from sisgen.conditions.sketch import looks_like_photo, sketch_condition

            if looks_like_photo(picture):
                came = "it looks like a photograph or a painting"
                raise InputError(f"'{path.name}' must be a line drawing, but {came}; pass it to --canny or --hed, which find its lines.")
            return sketch_condition(picture, size)
        if kind == "canny":
            from sisgen.conditions.canny import canny_condition

            return canny_condition(picture, size, low=self.low, high=self.high, device=str(self.pipe.device))
        if kind == "hed":
            from sisgen.conditions.hed import hed_condition

            drawn = _is_contours(picture)
            return hed_condition(picture, size, None if drawn else self._detector, edges=drawn)
        from sisgen.conditions.depth import depth_condition
        from sisgen.conditions.pictures import is_grey

        return depth_condition(picture, size, None if is_grey(picture) else self._depth_network)

    @cached_property
    def _detector(self) -> Any:
        from sisgen.conditions.hed import load_detector

        return load_detector(self.pipe.device)

    @cached_property
    def _depth_network(self) -> Any:
        from sisgen.hub import shipped_folder
        from sisgen.nets.depth import load_depth

        folder = shipped_folder("depth")
        return None if folder is None else load_depth(folder, self.pipe.device)


def _is_contours(picture: np.ndarray) -> bool:
    """Whether a picture is a map of contours already: grey lines on black."""
    from sisgen.conditions.pictures import is_grey

    return is_grey(picture) and float(np.median(picture)) < 40
