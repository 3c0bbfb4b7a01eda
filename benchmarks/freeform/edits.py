"""A list of named edits, and the outlines that several of them draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.freeform.drawing import FACE, Drawing, Mask, Point

FIRST = 20_000_000  # where the renderer's test seeds begin; those of the stages are the first 500
BEHIND = ("background", "hair", "ear")  # what lies behind a face


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One drawing: what it is called, the seed of the portrait below it, and how it is painted."""

    name: str
    words: str
    seed: int
    draw: Callable[[Drawing], None]


EDITS: list[Edit] = []


def edit(name: str, words: str, seed: int) -> Callable[[Callable[[Drawing], None]], Callable[[Drawing], None]]:
    """Enter a function into the list."""

    def enter(draw: Callable[[Drawing], None]) -> Callable[[Drawing], None]:
        EDITS.append(Edit(name=name, words=words, seed=FIRST + seed, draw=draw))
        return draw

    return enter


def head_of(d: Drawing) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the face without its hair."""
    return d.box(d.where("skin", "glasses", *FACE))


def star(x: float, y: float, outer: float, inner: float, points: int) -> list[Point]:
    """The outline of a star that points up."""
    turn = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) - np.pi / 2
    reach = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
    return list(zip(x + reach * np.cos(turn), y + reach * np.sin(turn)))


def heart(x: float, y: float, across: float, down: float) -> list[Point]:
    """The outline of a heart by its middle, half width and half height."""
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    u, v = np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 14.5
    return list(zip(x + across * u, y + down * v))


def ring(d: Drawing, outer: list[Point] | Mask, inner: list[Point] | Mask) -> Mask:
    """What lies between two outlines."""
    wide, hole = (one if isinstance(one, np.ndarray) else d.shape(one, waver=0.2) for one in (outer, inner))
    return wide & ~hole
