"""Boundary scores by the protocol of BSDS500 (Arbelaez et al., TPAMI 2011, sec. 3.1): ODS, OIS and AP.

A found contour counts where it can be matched one to one with a drawn one nearby. Recall counts every annotator's contours,
precision every found pixel that some annotator drew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sisgen.errors import InputError

TOLERANCE = 0.0075  # how far a match may lie, as a share of the picture's diagonal
THRESHOLDS = 33
NMS_MARGIN = 1.01  # a neighbour must be larger by this factor to put a pixel out
NMS_BORDER = 5  # pixels over which contours fade at the picture's edge
ORIENTATION_RADIUS = 4  # of the smoothing before orientations are taken


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundaryCounts:
    """Matches of one picture at every threshold.

    Attributes:
        matched_drawn: drawn pixels that were found, over all annotators, int64 [T].
        drawn: drawn pixels, over all annotators, int64 [T].
        matched_found: found pixels that some annotator drew, int64 [T].
        found: found pixels, int64 [T].
    """

    matched_drawn: NDArray[np.int64]
    drawn: NDArray[np.int64]
    matched_found: NDArray[np.int64]
    found: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundaryScore:
    """Scores of a set of pictures.

    Attributes:
        ods: F at the one threshold that is best for all pictures.
        ois: F where every picture has its own best threshold.
        ap: mean precision over recall.
        threshold: of `ods`.
        precision, recall: at that threshold.
    """

    ods: float
    ois: float
    ap: float
    threshold: float
    precision: float
    recall: float


def thresholds_of(count: int = THRESHOLDS) -> NDArray[np.float64]:
    """Place `count` thresholds evenly inside (0, 1)."""
    return np.linspace(1 / (count + 1), 1 - 1 / (count + 1), count)


def thin(probability: NDArray[np.floating]) -> NDArray[np.float32]:
    """Keep what is largest across its contour, whose orientation comes from the smoothed map's curvature (Dollar & Zitnick, 2015).

    Args:
        probability: float [H, W] in [0, 1].

    Returns:
        Float [H, W]; 0 beside the ridges.
    """
    found = _triangle(np.asarray(probability, dtype=np.float32), 1)
    dy, dx = np.gradient(_triangle(found, ORIENTATION_RADIUS))
    dyy, (dxy, dxx) = np.gradient(dy)[0], np.gradient(dx)
    across = np.mod(np.arctan(np.where(dxy > 0, -dyy, dyy) / (dxx + 1e-5)), math.pi)
    kept = found.copy()
    y, x = np.indices(found.shape, dtype=np.float32)
    for side in (-1, 1):
        beside = _bilinear(found, y + side * np.sin(across), x + side * np.cos(across))
        kept[found * NMS_MARGIN < beside] = 0
    height, width = found.shape
    near_y, near_x = (np.minimum(np.arange(length), np.arange(length)[::-1]) for length in (height, width))
    fade = np.minimum(np.minimum.outer(near_y, near_x) / NMS_BORDER, 1)
    return (kept * fade).astype(np.float32)


def count_matches(
    thinned: NDArray[np.floating], boundaries: NDArray[np.bool_], thresholds: NDArray[np.floating], tolerance: float = TOLERANCE
) -> BoundaryCounts:
    """Match a thinned map with what people drew, at every threshold.

    Args:
        thinned: float [H, W], from `thin`, or a binary map.
        boundaries: bool [A, H, W], one map an annotator.
        thresholds: [T], ascending; a pixel at or above one is found.
        tolerance: how far a match may lie, as a share of the diagonal.

    Raises:
        InputError: the maps differ in size.
    """
    if boundaries.ndim != 3 or boundaries.shape[1:] != thinned.shape:
        came = f"{list(boundaries.shape)} for a map {list(thinned.shape)}"
        raise InputError(f"The annotators' boundaries must be [A, H, W] of the map's size, but they are {came}; do not scale either.")
    reach = tolerance * math.hypot(*thinned.shape)

    # Found pixels from sure to unsure: those of a threshold are the first ones.
    ys, xs = np.nonzero(thinned >= thresholds[0])
    values = thinned[ys, xs]
    order = np.argsort(-values, kind="stable")
    ys, xs = ys[order], xs[order]
    found = np.searchsorted(-values[order], -np.asarray(thresholds, dtype=values.dtype), side="right").astype(np.int64)  # [T]
    matched = np.zeros(len(thresholds), dtype=np.int64)
    anyone = np.zeros(len(ys), dtype=bool)
    for drawn in boundaries:
        flags = _match(*_neighbours(ys, xs, drawn, reach), int(drawn.sum()))
        matched += _first_sums(flags, found)
        anyone |= flags
    total = np.full(len(thresholds), int(boundaries.sum()), dtype=np.int64)
    return BoundaryCounts(matched_drawn=matched, drawn=total, matched_found=_first_sums(anyone, found), found=found)


class BoundaryMeter:
    """Adds up the matches of many pictures.

    Args:
        thresholds: how many.
    """

    def __init__(self, thresholds: int = THRESHOLDS) -> None:
        self.thresholds = thresholds_of(thresholds)
        self.counts: list[BoundaryCounts] = []

    def add(self, thinned: NDArray[np.floating], boundaries: NDArray[np.bool_]) -> None:
        """Count a picture; see `count_matches`."""
        self.counts.append(count_matches(thinned, boundaries, self.thresholds))

    def score(self) -> BoundaryScore:
        """Score all pictures so far.

        Raises:
            InputError: there are none.
        """
        if not self.counts:
            raise InputError("Boundary scores need at least one picture, but none was added.")
        names = ("matched_drawn", "drawn", "matched_found", "found")
        table = np.stack([[getattr(count, name) for name in names] for count in self.counts]).astype(np.float64)  # [N, 4, T]
        ods, threshold, precision, recall = _best(table.sum(axis=0), self.thresholds)
        own = np.argmax([_f_measure(*_rates(one)) for one in table], axis=1)
        chosen = table[np.arange(len(table)), :, own].sum(axis=0)[:, None]
        ois = float(_f_measure(*_rates(chosen))[0])
        ap = _area(*_rates(table.sum(axis=0)))
        return BoundaryScore(ods=ods, ois=ois, ap=ap, threshold=threshold, precision=precision, recall=recall)


def _triangle(x: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Smooth [H, W] by a triangle of `radius` along both axes, mirrored at the edges."""
    kernel = np.concatenate([np.arange(1, radius + 1), [radius + 1], np.arange(radius, 0, -1)]).astype(np.float32) / (radius + 1) ** 2
    for axis in (0, 1):
        padded = np.pad(x, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="symmetric")
        length = x.shape[axis]
        x = sum(weight * padded.take(range(i, i + length), axis=axis) for i, weight in enumerate(kernel))
    return x


def _bilinear(x: NDArray[np.float32], ys: NDArray[np.float32], xs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read [H, W] at real places, which are moved inside."""
    height, width = x.shape
    ys, xs = ys.clip(0, height - 1.001), xs.clip(0, width - 1.001)
    top, left = ys.astype(np.int64), xs.astype(np.int64)
    v, u = ys - top, xs - left
    upper = x[top, left] * (1 - u) + x[top, left + 1] * u
    lower = x[top + 1, left] * (1 - u) + x[top + 1, left + 1] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def _first_sums(flags: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the first n flags are set, for every n in `counts`: int64 [T]."""
    return np.concatenate([[0], np.cumsum(flags)]).astype(np.int64)[counts]


def _neighbours(
    ys: NDArray[np.int64], xs: NDArray[np.int64], drawn: NDArray[np.bool_], reach: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """List the drawn pixels within reach of every found one, nearest first: where each list starts [N + 1], and the lists."""
    radius = math.floor(reach)
    offsets = np.indices((2 * radius + 1, 2 * radius + 1)).reshape(2, -1) - radius
    distances = np.hypot(*offsets)
    offsets = offsets[:, np.argsort(distances, kind="stable")[: int((distances <= reach).sum())]]
    numbers = np.full(drawn.shape, -1, dtype=np.int32)
    numbers[drawn] = np.arange(int(drawn.sum()), dtype=np.int32)
    numbers = np.pad(numbers, radius, constant_values=-1)
    candidates = numbers[ys[:, None] + radius + offsets[0], xs[:, None] + radius + offsets[1]]  # [N, places within reach]
    near = candidates >= 0
    starts = np.concatenate([[0], np.cumsum(near.sum(axis=1))]).astype(np.int32)
    return starts, candidates[near]


def _match(starts: NDArray[np.int32], partners: NDArray[np.int32], num_drawn: int) -> NDArray[np.bool_]:
    """Match found pixels one to one, the surest first; which of them have a partner, bool [N].

    A pixel keeps a partner once it has one (though not always the same), so the first n flags count the largest matching of the
    first n pixels: one pass serves every threshold. SciPy's matching takes seconds where many pixels stay alone.
    """
    bounds, pool = starts.tolist(), partners.tolist()
    lists = [pool[first:last] for first, last in pairwise(bounds)]
    owner, partner = [-1] * num_drawn, [-1] * len(lists)
    dead = bytearray(num_drawn)  # no way on from here, now or later: an earlier search was here and failed
    for start in range(len(lists)):
        # Search breadth-first along pixels that could take another partner.
        queue, came, free = [start], {}, -1
        for row in queue:
            for column in lists[row]:
                if dead[column] or column in came:
                    continue
                came[column] = row
                if owner[column] < 0:
                    free = column
                    break
                queue.append(owner[column])
            if free >= 0:
                break
        if free < 0:
            for column in came:
                dead[column] = 1
            continue

        # Hand partners on, back to where the search began.
        while free >= 0:
            row = came[free]
            owner[free], partner[row], free = row, free, partner[row]
    return np.array(partner, dtype=np.int64) >= 0


def _rates(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall [T] of counts [4, T]; nothing found is as precise as can be said: 0."""
    matched_drawn, drawn, matched_found, found = table
    return matched_found / np.maximum(found, 1), matched_drawn / np.maximum(drawn, 1)


def _f_measure(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def _best(table: NDArray[np.float64], thresholds: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The largest F between thresholds as well as at them, as the benchmark's own code has it; with threshold, precision, recall."""
    precision, recall = _rates(table)
    share = np.linspace(0, 1, 100)[:, None]
    mixed = [share * row[1:] + (1 - share) * row[:-1] if len(row) > 1 else row[None] for row in (precision, recall, thresholds)]
    scores = _f_measure(mixed[0], mixed[1])
    place = np.unravel_index(np.argmax(scores), scores.shape)
    return float(scores[place]), float(mixed[2][place]), float(mixed[0][place]), float(mixed[1][place])


def _area(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Mean precision over the recalls 0, 0.01, ..., 1; 0 outside those that were reached."""
    reached, first = np.unique(recall, return_index=True)
    if len(reached) < 2:
        return 0.0
    return float(np.interp(np.linspace(0, 1, 101), reached, precision[first], left=0.0, right=0.0).sum() / 100)
