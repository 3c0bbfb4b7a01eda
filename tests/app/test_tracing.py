"""Drawings that are found: lines of samples and pictures, strokes and borders of masks, examples."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from sisgen.app import actions, tracing
from sisgen.app.agreeing import tell_following
from sisgen.app.canvases import read_runs
from sisgen.app.context import Context
from sisgen.app.drawings import encode_runs
from sisgen.app.limits import EMPTY, Wish, read_wish
from sisgen.app.tracing import Trace
from sisgen.errors import InputError


@pytest.fixture
def sketch_file() -> bytes:
    """A circle in pencil on cream paper, wider than high."""
    y, x = np.mgrid[:200, :300]
    ring = np.abs(np.hypot(y - 100, x - 150) - 70) < 4
    pixels = np.where(ring[..., None], [60, 60, 66], [244, 238, 225]).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _find(context: Context, wish: Wish, trace: Trace, source: Callable) -> np.ndarray:
    return tracing.submit_trace(context, "visitor", wish, trace, source).result(60)


@pytest.mark.parametrize("kind", ["sketch", "canny"])
def test_a_sample_lends_its_lines_and_they_make_a_picture(app_context: Context, kind: str) -> None:
    wish = Wish(kind=kind, seed=2)
    cells = _find(app_context, wish, Trace(kind=kind, low=0.01, high=0.02), tracing.of_sample(wish))
    assert cells.shape == (256, 256)
    assert (cells == 0).any()
    assert (cells == EMPTY).any()
    painted = actions.submit_cells(app_context, "visitor", wish, cells).result(30)
    plain = actions.submit_cells(app_context, "visitor", wish, np.full_like(cells, EMPTY)).result(30)
    assert (painted.image != plain.image).any()
    assert painted.settings["condition"] == kind


def test_a_sketch_on_paper_is_lines_on_nothing(app_context: Context, sketch_file: bytes) -> None:
    wish = Wish(kind="sketch")
    cells = _find(app_context, wish, Trace(kind="sketch", drawn=True), tracing.of_file(sketch_file))
    assert cells[128, 128] == EMPTY
    assert cells[2, 2] == EMPTY, "what was added to make it square is paper"
    across = cells[128, 40:100]
    assert across.min() < 100, "the ring's left side"


def test_bad_pictures_are_refused_in_one_sentence(app_context: Context) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").resize((400, 400), Image.Resampling.BICUBIC).save(buffer, "PNG")
    with pytest.raises(InputError, match="looks like a photograph"):
        _find(app_context, Wish(kind="sketch"), Trace(kind="sketch", drawn=True), tracing.of_file(buffer.getvalue()))
    white = io.BytesIO()
    Image.new("RGB", (90, 60), "white").save(white, "PNG")
    for kind in ("sketch", "canny"):
        with pytest.raises(InputError, match="shows no lines"):
            _find(app_context, Wish(kind=kind), Trace(kind=kind, drawn=True), tracing.of_file(white.getvalue()))
    with pytest.raises(InputError):
        tracing.of_file(b"no picture")


def test_a_mask_is_thinned_to_strokes_inside_its_areas(app_context: Context, halves: np.ndarray, canvas: bytes) -> None:
    strokes = _find(app_context, Wish(kind="scribble"), Trace(kind="scribble"), tracing.of_canvas(canvas))
    assert set(np.unique(strokes)) == {-1, 1}
    drawn = strokes == 1
    assert 0.001 < drawn.mean() < 0.2
    assert (halves[drawn] == 1).all()
    with app_context.registry.lease("tiny") as pipe:
        border = tracing.outline_mask(np.where(halves == EMPTY, 0, halves).astype(np.int64), pipe)
    assert (border[:, 124:132] == 0).any()
    assert (border[:, :120] == EMPTY).all()


@pytest.mark.parametrize("kind", ["scribble", "sketch", "canny"])
def test_examples_come_as_runs(app_context: Context, kind: str) -> None:
    found = tracing.submit_examples(app_context, "visitor", Wish(kind=kind)).result(60)
    assert len(found) >= 4
    for example in found:
        assert example["name"]
        read_runs(example["runs"], EMPTY)


def test_scribbles_and_masks_never_share_a_batch_and_each_keeps_its_kind(app_context: Context, canvas: bytes) -> None:
    wishes = [Wish(seed=3, kind=kind) for kind in ("mask", "scribble")]
    made = [actions.submit(app_context, f"visitor {wish.kind}", wish, canvas).result(30) for wish in wishes]
    assert [one.settings["condition"] for one in made] == ["mask", "scribble"]


def test_lines_are_read_back_from_the_picture(app_context: Context) -> None:
    wish = Wish(kind="canny", seed=2)
    cells = _find(app_context, wish, Trace(kind="canny", low=0.1, high=0.2), tracing.of_sample(wish))
    plain = actions.submit_cells(app_context, "visitor", Wish(seed=2), np.full((4, 4), -1)).result(30)
    with app_context.registry.lease() as pipe:
        told = tell_following("canny", plain, cells, pipe)
        assert told["share"] > 0.95, "a sample has its own edges"
        moved = tell_following("canny", plain, np.roll(cells, 100, axis=1), pipe)
        assert moved["recall"] < told["recall"]
        assert (read_runs(moved["wrong"], 4) == 0).any()
        assert tell_following("canny", plain, np.full_like(cells, EMPTY), pipe)["share"] is None
        assert tell_following("depth", plain, cells, pipe)["share"] is None


def test_kinds_and_thresholds_of_strangers_are_refused() -> None:
    with pytest.raises(InputError, match="A drawing is one of"):
        read_wish({"kind": "<img>"})
    with pytest.raises(InputError, match="threshold"):
        tracing.read_trace({"low": "nan"}, "canny")
    assert tracing.read_trace({"low": "0.5", "high": "0.2"}, "canny").low == 0.2


def test_labels_of_a_picture_come_as_a_drawing(app_context: Context, sketch_file: bytes) -> None:
    labels = tracing.read_picture_labels(app_context, Wish(), sketch_file)
    assert labels.shape == (256, 256)
    assert len(read_runs(encode_runs(labels), 4)) == 256
