"""Conditions of strokes, lines and depth: what a person draws, scans or uploads becomes what the mappers learned."""

import numpy as np
import pytest
import torch

from sisgen.conditions.canny import canny_condition, is_edge_map
from sisgen.conditions.depth import depth_condition
from sisgen.conditions.pictures import is_grey, square_picture
from sisgen.conditions.scribble import scribble_condition
from sisgen.conditions.sketch import looks_like_photo, sketch_condition
from sisgen.errors import InputError
from sisgen.io.images import to_uint8
from sisgen.metrics.edges import edge_agreement, near
from sisgen.nets.depth import DepthConfig, DepthNet
from sisgen.types import LabelSet

LABELS = LabelSet(names=("a", "b", "c"), colors=((0, 0, 0), (0, 255, 0), (255, 0, 0)))


def page(size: int = 128, paper: int = 250, ink: int = 30, width: int = 3) -> np.ndarray:
    """A cross of lines on paper."""
    picture = np.full((size, size, 3), paper, dtype=np.uint8)
    picture[size // 5 : size * 4 // 5, size // 2 : size // 2 + width] = ink
    picture[size // 3 : size // 3 + width, size // 5 : size * 4 // 5] = ink
    return picture


def near_enough(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return edge_agreement(wanted, found)[0].f


def test_a_scribble_is_one_hot_where_strokes_are() -> None:
    labels = np.full((64, 96), 255)
    labels[10, :] = 2  # a pixel of 96 wide on 32: a third of a pixel, not lost
    labels[40:60, 20:30] = 0
    condition = scribble_condition(labels, LABELS, 32)
    assert condition.kind == "scribble" and condition.map.shape == (1, 3, 32, 32) and condition.labels is not None
    assert set(condition.map.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(condition.map.sum(dim=1), (condition.labels >= 0).float())
    assert int((condition.labels == 2).sum()) == 32 and bool((condition.labels[0, :5] == -1).all())
    assert 0.03 < float(condition.map.mean()) * 3 < 0.12


def test_a_sketch_is_the_same_on_any_paper() -> None:
    plain = sketch_condition(page(), 64).map
    assert plain.shape == (1, 1, 64, 64) and float(plain.min()) >= 0 and float(plain.max()) == 1.0
    light = np.linspace(0.45, 1.0, 128)[None, :, None]  # a lamp from the right
    variants = {
        "light on dark": 255 - page(),
        "pencil": page(ink=170),
        "shaded": (page() * light).astype(np.uint8),
        "yellow": (page() * np.array([1.0, 0.95, 0.75])).astype(np.uint8),
        "large": page(512, width=12),
        "grainy": (page().astype(int) + np.random.default_rng(0).integers(-9, 10, (128, 128, 1))).clip(0, 255).astype(np.uint8),
    }
    for name, picture in variants.items():
        assert near_enough(sketch_condition(picture, 64).map, plain) > 0.95, name


def test_empty_pages_give_nothing_and_filled_areas_their_outline() -> None:
    for value in (0, 128, 255):
        assert not bool(sketch_condition(np.full((64, 64, 3), value, dtype=np.uint8), 64).map.any())
    filled = np.full((128, 128, 3), 255, dtype=np.uint8)
    filled[30:100, 30:100] = 0
    lines = sketch_condition(filled, 128).map[0, 0]
    assert float(lines[40:90, 40:90].max()) == 0.0 and float(lines[30:34, 40:90].max()) == 1.0
    specks = page()
    specks[10, 10] = specks[100, 20] = 0
    assert float(sketch_condition(specks, 128).map[0, 0, 5:15, 5:15].max()) == 0.0


def test_photographs_are_told_from_drawings() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (9, 9, 3)).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    assert looks_like_photo(noise) and not looks_like_photo(page()) and not looks_like_photo(255 - page())


def test_canny_finds_the_edge_of_a_picture_and_takes_a_map_as_it_is() -> None:
    photo = np.zeros((64, 64, 3), dtype=np.uint8)
    photo[:, 32:] = (180, 90, 30)
    photo[40:, 32:] = (90, 140, 60)
    edges = canny_condition(photo, 64).map
    assert set(edges.unique().tolist()) == {0.0, 1.0} and bool(edges[0, 0, 5:35, 30:34].any(dim=1).all())
    assert float(canny_condition(photo, 64, low=2.5, high=2.6).map.sum()) < float(edges.sum())

    drawn = to_uint8((2 * edges - 1).expand(-1, 3, -1, -1))[0]
    assert is_edge_map(drawn) and is_edge_map(255 - drawn) and not is_edge_map(photo)
    for uploaded in (drawn, 255 - drawn):
        assert torch.equal(canny_condition(uploaded, 64).map, edges)
    again = canny_condition(drawn, 64, edges=False).map  # both sides of every line
    assert float(again.sum()) > 1.5 * float(edges.sum())
    large = drawn.repeat(4, axis=0).repeat(4, axis=1)
    assert near_enough(canny_condition(large, 64).map, edges) == 1.0


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.2), (0.3, 0.2), (0.1, 9.0), (float("nan"), 0.2)])
def test_canny_checks_its_thresholds(low: float, high: float) -> None:
    with pytest.raises(InputError, match="0 < low <= high"):
        canny_condition(page(), 32, low=low, high=high)


def test_depth_is_taken_from_grey_pictures_and_read_from_coloured_ones() -> None:
    ramp = np.broadcast_to(np.linspace(60, 180, 64).astype(np.uint8)[None, :, None], (64, 64, 3)).copy()
    found = depth_condition(ramp, 32).map
    assert float(found.min()) == 0.0 and float(found.max()) == 1.0
    assert bool((found[0, 0, 0].diff() >= 0).all())
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    with pytest.raises(InputError, match="needs a depth network"):
        depth_condition(photo, 32)
    net = DepthNet(DepthConfig(width=4)).eval()
    assert torch.equal(depth_condition(photo, 32, net).map, net.read(square_picture(photo, 32)))
    assert not torch.equal(depth_condition(ramp, 32, net, depth=False).map, found)


def test_pictures_are_padded_never_stretched() -> None:
    wide = np.zeros((20, 40, 3), dtype=np.uint8)
    wide[:, 18:22] = 255
    square = square_picture(wide, 40)
    assert square.shape == (1, 3, 40, 40) and torch.equal(square[0, 0, 0], square[0, 0, 20])
    assert float(square_picture(wide, 40, fill=(9, 9, 9))[0, 0, 0, 0]) == pytest.approx(9 / 127.5 - 1)
    assert is_grey(wide) and not is_grey(np.dstack([wide[..., 0], wide[..., 0] * 0, wide[..., 0]]))
    for wrong in (wide[..., 0], wide.astype(np.float32), np.zeros((0, 4, 3), dtype=np.uint8)):
        for read in (sketch_condition, canny_condition, depth_condition):
            with pytest.raises(InputError, match="must be uint8 RGB"):
                read(wrong, 32)


def test_edge_agreement_by_hand() -> None:
    drawn, found = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    drawn[0, 0, 4, 2:12] = 1  # ten pixels
    found[0, 0, 6, 2:7] = 1  # five of them, two pixels below
    found[0, 0, 14, 2:7] = 1  # and five far away
    (score,) = edge_agreement(drawn, found)
    assert score.precision == 0.5 and score.recall == 0.5 and score.f == 0.5
    (strict,) = edge_agreement(drawn, found, tolerance=1.0)
    assert strict.f == 0.0
    (same,) = edge_agreement(drawn, drawn)
    assert (same.precision, same.recall, same.f) == (1.0, 1.0, 1.0)
    (nothing,) = edge_agreement(drawn, torch.zeros_like(drawn))
    assert (nothing.precision, nothing.recall, nothing.f) == (1.0, 0.0, 0.0)
    spot = torch.zeros(1, 1, 9, 9)
    spot[0, 0, 4, 4] = 1
    assert int(near(spot > 0, 2.0).sum()) == 13
