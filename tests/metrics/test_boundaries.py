"""Boundary scores: matchings counted by hand and by brute force, thinning, and what a perfect map scores."""

import itertools

import numpy as np
import pytest

from sisgen.data.bsds import BSDS
from sisgen.errors import InputError
from sisgen.metrics.boundaries import BoundaryMeter, _match, count_matches, thin, thresholds_of


def line(row: int, *, size: int = 40) -> np.ndarray:
    """A horizontal line across the middle."""
    found = np.zeros((size, size), dtype=bool)
    found[row, 8:32] = True
    return found


def largest(lists, num_drawn):
    """The largest matching, by trying everything."""
    options = [[*partners, None] for partners in lists]
    best = 0
    for choice in itertools.product(*options):
        taken = [column for column in choice if column is not None]
        if len(set(taken)) == len(taken):
            best = max(best, len(taken))
    assert best <= num_drawn
    return best


def test_matching_is_largest_for_every_prefix():
    rng = np.random.default_rng(0)
    for _ in range(60):
        lists = [sorted(rng.choice(4, rng.integers(0, 4), replace=False).tolist()) for _ in range(5)]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int32)
        flags = _match(starts, np.concatenate(lists).astype(np.int32), 4)
        for count in range(6):
            assert flags[:count].sum() == largest(lists[:count], 4)


def test_counts_by_hand():
    probability = line(20) * 0.9 + line(22) * 0.6 + line(5) * 0.3
    drawn = np.stack([line(20), line(21)])
    counts = count_matches(probability, drawn, np.array([0.25, 0.5, 0.8]), tolerance=0.03)  # 1.7 pixels
    assert counts.found.tolist() == [72, 48, 24]
    assert counts.drawn.tolist() == [48, 48, 48]
    assert counts.matched_drawn.tolist() == [48, 48, 48]  # row 20 alone satisfies both annotators
    assert counts.matched_found.tolist() == [24, 24, 24]  # one to one: who drew row 21 is served by row 20 already


def test_too_far_is_no_match():
    counts = count_matches(line(24).astype(float), line(20)[None], np.array([0.5]), tolerance=0.03)
    assert counts.matched_drawn.tolist() == [0] and counts.matched_found.tolist() == [0]


def test_a_perfect_map_scores_one_and_noise_little():
    meter, noisy = BoundaryMeter(9), BoundaryMeter(9)
    rng = np.random.default_rng(0)
    for row in (12, 20, 27):
        drawn = np.stack([line(row), line(row)])
        meter.add(line(row) * 0.95, drawn)
        noisy.add(thin(rng.random((40, 40))), drawn)
    score = meter.score()
    assert score.ods == score.ois == score.precision == score.recall == 1.0
    assert noisy.score().ods < 0.3
    assert noisy.score().ap < 0.3


def test_the_best_threshold_is_found_for_the_set_and_for_each_picture():
    meter = BoundaryMeter(3)  # thresholds 0.25, 0.5, 0.75
    for strong, weak in ((0.9, 0.6), (0.6, 0.3)):
        meter.add(line(10) * strong + line(30) * weak, line(10)[None])
    score = meter.score()
    assert score.ois == 1.0
    assert 0.8 <= score.ods < 0.82  # at 0.5: 48 found right, 24 wrong; a little more between thresholds, where rates are interpolated
    assert thresholds_of(3).tolist() == pytest.approx([0.25, 0.5, 0.75])


def test_thinning_keeps_the_ridge():
    y, x = np.mgrid[:40, :40]
    for distance in (np.abs(y - 20), np.abs(x - 20), np.abs(y - x) / 2**0.5, np.abs(y + x - 39) / 2**0.5):
        kept = thin(np.exp(-(distance**2) / 8).astype(np.float32))
        inside = np.zeros((40, 40), dtype=bool)
        inside[8:32, 8:32] = True
        assert kept[inside & (distance < 0.5)].min() > 0.5
        assert kept[inside & (distance > 1.1)].max() == 0


def test_annotators_agree_with_one_another(tiny_bsds):
    archive, meter = BSDS(tiny_bsds), BoundaryMeter(1)
    for name in archive.names("test"):
        drawn = archive.boundaries(name)
        meter.add(drawn[0].astype(float), drawn[1:2])
    assert meter.score().ods == 1.0


def test_refusals():
    with pytest.raises(InputError, match=r"must be \[A, H, W\] of the map's size"):
        count_matches(np.zeros((4, 4)), np.zeros((2, 4, 5), dtype=bool), np.array([0.5]))
    with pytest.raises(InputError, match="at least one picture"):
        BoundaryMeter().score()
