"""Every value of a client is refused in one sentence before anything is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sisgen.app.canvases import read_canvas
from sisgen.app.drawings import read_drawings
from sisgen.app.limits import MAX_SEED, read_number, read_seeds, read_whole, read_wish
from sisgen.errors import InputError
from sisgen.types import LabelSet


def _png(cells: np.ndarray, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(cells, mode=mode).save(buffer, "PNG")
    return buffer.getvalue()


def _claiming(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0" * 20


def test_a_drawing_is_read_with_255_as_unpainted() -> None:
    cells = np.full((256, 256), 255, dtype=np.uint8)
    cells[3, 5] = 7
    labels = read_canvas(_png(cells), 12)
    assert labels.dtype == np.int64
    assert labels[3, 5] == 7
    assert (labels == -1).sum() == 256 * 256 - 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a text that is named .png" * 4,
        _png(np.zeros((256, 256), np.uint8))[:60],
        _png(np.zeros((255, 256), np.uint8)),
        _png(np.zeros((256, 256, 3), np.uint8), "RGB"),
        _claiming(20000, 20000),
        _claiming(0, 0),
        _png(np.zeros((256, 256), np.uint8)) + b"\0" * 300_000,
    ],
)
def test_other_files_are_no_drawing(data: bytes) -> None:
    with pytest.raises(InputError, match="drawing"):
        read_canvas(data, 12)


def test_a_class_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="class 12, but this model has 12"):
        read_canvas(_png(np.full((256, 256), 12, np.uint8)), 12)


def test_two_drawings_come_as_one_file() -> None:
    both = np.full((512, 256), 255, np.uint8)
    both[300:] = 9
    mask, lines = read_drawings(("mask", "canny"), _png(both), LabelSet(names=("a", "b"), colors=((0, 0, 0), (9, 9, 9))))
    assert (mask == -1).all()
    assert (lines[44:] == 9).all()
    with pytest.raises(InputError, match="256 x 256"):
        read_canvas(_png(both), 12)
    with pytest.raises(InputError, match="class 9"):
        read_drawings(("mask", "scribble"), _png(both), LabelSet(names=("a", "b"), colors=((0, 0, 0), (9, 9, 9))))


@pytest.mark.parametrize("given", [{"hair": 12, "eye": "3"}, [["hair", 12], ["eye", 3]], '{"hair": 12, "eye": 3}', '[["eye", 3]]'])
def test_parts_come_as_names_with_seeds(given: object) -> None:
    assert read_wish({"parts": given}).parts in ((("eye", 3), ("hair", 12)), (("eye", 3),))


@pytest.mark.parametrize("wrong", ["{", "[" * 9000, "7", 7, [["hair"]], [[1, 2]], {"hair": -1}, {str(i): i for i in range(33)}])
def test_other_parts_are_refused(wrong: object) -> None:
    with pytest.raises(InputError):
        read_wish({"parts": wrong})


@pytest.mark.parametrize("value", [2**70, -1, "1.5", "", "seed", None, True, "1" * 5000, "٣", float("nan")])
def test_seeds_out_of_range_or_no_numbers_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="seed"):
        read_whole("seed", value, 0, MAX_SEED)


@pytest.mark.parametrize("value", ["nan", float("nan"), "inf", -0.1, 1.6, "x", None, "1" * 500])
def test_numbers_must_be_finite_and_in_range(value: object) -> None:
    with pytest.raises(InputError, match="variety"):
        read_number("variety", value, 0.0, 1.5)


def test_a_wish_takes_defaults_for_what_is_missing() -> None:
    wish = read_wish({"seed": "12", "truncation": ""})
    assert (wish.model, wish.seed, wish.truncation, wish.strength) == (None, 12, None, 1.0)
    with pytest.raises(InputError, match="at most 200"):
        read_wish({"model": "m" * 201})
    assert (wish.kinds, wish.parts) == (("mask",), ())
    assert read_wish({"kind": "mask", "also": "hed", "weight": "0.25"}).kinds == ("mask", "hed")
    for wrong in ({"also": "neon"}, {"also": "hed", "weight": 2}):
        with pytest.raises(InputError):
            read_wish(wrong)


@pytest.mark.parametrize("values", [[], list(range(17)), "0", None, [0, 2**32], [[0]]])
def test_a_call_takes_one_to_sixteen_seeds(values: object) -> None:
    with pytest.raises(InputError):
        read_seeds(values)
