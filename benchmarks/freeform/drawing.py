"""A label map under the brush: closed outlines, strokes, parts that are cut out and pasted elsewhere.

All places are in pixels of a 128 px mask, x to the right, y down; the canvas is four times as fine, and outlines waver a little, as
those of a hand do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sisgen.data.portraits import PORTRAIT_LABELS
from sisgen.data.portraits.renderer import majority

FINE = 4  # cells a pixel and axis
WAVER = 0.5  # pixels
HEAD = ("skin", "brow", "eye", "nose", "mouth", "ear", "hair", "glasses", "hat")
FACE = ("brow", "eye", "nose", "mouth")

Point = tuple[float, float]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Something that was cut out: the canvas as it was, and where the part lies on it."""

    labels: NDArray[np.uint8]
    mask: Mask


class Drawing:
    """A mask being edited.

    Args:
        labels: class ids [128, 128] of the portraits' classes.
        seed: of the hand's wavering.
    """

    def __init__(self, labels: NDArray[np.integer], seed: int) -> None:
        self.size = labels.shape[0]
        self.canvas = np.kron(labels, np.ones((FINE, FINE), dtype=np.int64)).astype(np.uint8)
        self.source = np.random.default_rng(seed)

    def labels(self) -> NDArray[np.int64]:
        """Give the mask back: int64 [128, 128]; a pixel takes its cells' most frequent class."""
        return majority(torch.from_numpy(self.canvas)[None], FINE)[0].numpy()

    def where(self, *names: str) -> Mask:
        """Where one of these classes is."""
        return np.isin(self.canvas, [_id(name) for name in names])

    def half(self, side: str, *names: str) -> Mask:
        """The part of these classes that lies left or right of the middle of the eyes."""
        x = np.arange(self.canvas.shape[1]) / FINE
        return self.where(*names) & (x < self.middle if side == "left" else x >= self.middle)

    @property
    def middle(self) -> float:
        """Where the middle between the eyes is."""
        left, _, right, _ = self.box(self.where("eye"))
        return (left + right) / 2

    def box(self, mask: Mask) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of a mask."""
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        return columns[0] / FINE, rows[0] / FINE, (columns[-1] + 1) / FINE, (rows[-1] + 1) / FINE

    def centre(self, mask: Mask) -> Point:
        """The middle of a mask's box."""
        left, top, right, bottom = self.box(mask)
        return (left + right) / 2, (top + bottom) / 2

    def shape(self, points: Sequence[Point], *, waver: float = WAVER) -> Mask:
        """What lies inside of a closed outline, drawn by hand."""
        outline = _along(np.asarray([*points, points[0]], dtype=float))
        turn = np.linspace(0, 2 * np.pi, len(outline))[:, None]
        for k in range(2, 6):
            outline = outline + waver / k * self.source.normal(size=2) * np.sin(k * turn + self.source.uniform(0, 6.3, size=2))
        image = Image.new("1", self.canvas.shape[::-1])
        ImageDraw.Draw(image).polygon([(x * FINE, y * FINE) for x, y in outline], fill=1)
        return np.array(image)

    def oval(self, x: float, y: float, across: float, down: float, angle: float = 0.0) -> Mask:
        """An ellipse by its middle, half width and half height, turned clockwise by degrees."""
        turn, lean = np.linspace(0, 2 * np.pi, 48, endpoint=False), np.radians(angle)
        u, v = across * np.cos(turn), down * np.sin(turn)
        return self.shape(list(zip(x + u * np.cos(lean) - v * np.sin(lean), y + u * np.sin(lean) + v * np.cos(lean))))

    def stroke(self, points: Sequence[Point], width: float) -> Mask:
        """A round brush drawn along points."""
        image = Image.new("1", self.canvas.shape[::-1])
        pen, radius = ImageDraw.Draw(image), width * FINE / 2
        for x, y in _along(np.asarray(points, dtype=float), 0.25) * FINE:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
        return np.array(image)

    def paint(self, name: str, mask: Mask, *, over: Sequence[str] | None = None) -> None:
        """Paint a class; `over` names the classes that may be painted over, all by default."""
        self.canvas[mask if over is None else mask & self.where(*over)] = _id(name)

    def replace(self, name: str, *gone: str) -> None:
        """Paint one class wherever others are."""
        self.paint(name, self.where(*gone))

    def cut(self, mask: Mask, name: str) -> Part:
        """Cut something out and leave a class behind."""
        part = Part(labels=self.canvas.copy(), mask=mask.copy())
        self.paint(name, mask)
        return part

    def paste(
        self,
        part: Part,
        *,
        move: Point = (0, 0),
        scale: Point = (1, 1),
        angle: float = 0.0,
        about: Point | None = None,
        over: Sequence[str] = (),
    ) -> None:
        """Paste a part: scaled and turned clockwise about a point (its middle by default), then moved."""
        x0, y0 = self.centre(part.mask) if about is None else about
        y, x = (np.indices(self.canvas.shape) + 0.5) / FINE
        lean = np.radians(angle)
        u, v = x - x0 - move[0], y - y0 - move[1]
        u, v = (u * np.cos(lean) + v * np.sin(lean)) / scale[0], (v * np.cos(lean) - u * np.sin(lean)) / scale[1]
        columns, rows = np.floor((u + x0) * FINE).astype(int), np.floor((v + y0) * FINE).astype(int)
        inside = (columns >= 0) & (rows >= 0) & (columns < self.canvas.shape[1]) & (rows < self.canvas.shape[0])
        columns, rows = np.where(inside, columns, 0), np.where(inside, rows, 0)
        inside &= part.mask[rows, columns]
        inside &= self.where(*over) if over else True
        self.canvas[inside] = part.labels[rows, columns][inside]


def _id(name: str) -> int:
    return PORTRAIT_LABELS.names.index(name)


def _along(points: NDArray[np.float64], step: float = 1.0) -> NDArray[np.float64]:
    """Points at least every `step` pixels along a path [P, 2]."""
    parts = [points[:1]]
    for a, b in itertools.pairwise(points):
        count = max(1, int(np.ceil(np.linalg.norm(b - a) / step)))
        parts.append(a + (b - a) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(parts)
