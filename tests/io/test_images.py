import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from sisgen.errors import InputError
from sisgen.io.images import (
    ImageLimits,
    encode_png,
    guard_decoders,
    load_image,
    read_png_text,
    save_grid,
    save_png,
    to_float,
    to_uint8,
)


def picture(height=6, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG of a few bytes that claims a size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"\0" * 64)
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, body, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_ranges_round_trip():
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)

    floats = to_float(images)

    assert floats.shape == (1, 3, 16, 16)
    assert floats.min() == -1
    assert floats.max() == 1
    np.testing.assert_array_equal(to_uint8(floats), images)


def test_to_uint8_clips_and_rounds():
    values = torch.tensor([-5.0, -1.0, 0.0, 1.0, 5.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)

    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_conversion_doors_check_shape_and_type():
    with pytest.raises(InputError, match=r"\[any, 3, any, any\]"):
        to_uint8(torch.zeros(1, 4, 2, 2))
    with pytest.raises(InputError, match="uint8"):
        to_float(torch.zeros(1, 2, 2, 3))
    with pytest.raises(InputError, match=r"\[any, any, any, 3\]"):
        to_float(np.zeros((1, 3, 2, 2), dtype=np.uint8))


def test_png_round_trip_with_text(tmp_path):
    path = tmp_path / "out" / "a.png"
    save_png(path, picture(), {"sisgen": '{"seed": 3, "name": "été"}'})

    np.testing.assert_array_equal(load_image(path), picture())
    assert read_png_text(path) == {"sisgen": '{"seed": 3, "name": "été"}'}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


def test_encode_png_wants_uint8():
    with pytest.raises(InputError, match="float64"):
        encode_png(np.zeros((2, 2, 3)))


def test_grid_fills_rows_first(tmp_path):
    images = np.stack([np.full((2, 3, 3), value, dtype=np.uint8) for value in (10, 20, 30)])
    save_grid(tmp_path / "grid.png", images, 2)

    grid = load_image(tmp_path / "grid.png")

    assert grid.shape == (4, 6, 3)
    assert grid[::2, ::3, 0].tolist() == [[10, 20], [30, 255]]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK", "I;16"])
def test_other_modes_become_rgb(mode):
    grey = np.full((4, 5), 51, dtype=np.uint8)  # a step of the web palette, so that mode P holds it exactly
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert("RGB").convert(mode)

    loaded = load_image(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))

    assert loaded.shape == (4, 5, 3)
    if mode != "1":
        assert np.abs(loaded.astype(int) - 51).max() <= 3


def test_transparency_is_laid_on_white():
    loaded = load_image(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0))))

    assert (loaded == 255).all()


def test_exif_rotation_is_applied():
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees

    loaded = load_image(encoded(image, exif=exif))

    assert loaded.shape == (3, 1, 3)
    assert loaded[0, 0].tolist() == [255, 0, 0]


def test_large_pictures_are_scaled_down():
    limits = ImageLimits(max_side=64)

    assert load_image(encoded(Image.new("RGB", (200, 100))), limits).shape == (32, 64, 3)
    assert load_image(encoded(Image.new("RGB", (1000, 400)), "JPEG"), limits).shape == (26, 64, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a picture at all", "cannot be read as one"),
        (b"", "is empty"),
        (encode_png(picture(64, 64))[:3000], "damaged or cut off"),
        (encode_png(picture())[:20], "cannot be read as one"),
        (png_header(0, 0), "width or height is 0"),
        (png_header(0, 5), "width or height is 0"),
        (png_header(20_000, 20_000), "at most 25 megapixels"),
        (png_header(12_000, 12_000), "at most 25 megapixels"),
        (png_header(2**31 - 1, 2**31 - 1), "at most 25 megapixels|cannot be read"),
        (png_header(6000, 5000), "it has 6000 x 5000 pixels"),
        (png_header(40, 40), "damaged or cut off"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read as one"),
    ],
)
def test_bad_pictures_get_one_sentence(data, message):
    with warnings.catch_warnings():
        guard_decoders()
        with pytest.raises(InputError, match=message) as caught:
            load_image(data)

    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


def test_bombs_are_refused_without_the_process_wide_guard(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(InputError, match="megapixels"):
            load_image(encode_png(picture(40, 40)))


def test_a_text_file_named_png_is_refused(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("these are my notes")

    with pytest.raises(InputError, match=r"notes\.png' must be a PNG, JPEG, WebP"):
        load_image(path)


def test_jpegs_may_be_larger():
    limits = ImageLimits(max_pixels=100, max_jpeg_pixels=10_000, max_side=10)
    image = Image.new("RGB", (50, 50), (10, 200, 30))

    assert load_image(encoded(image, "JPEG"), limits).shape == (10, 10, 3)
    with pytest.raises(InputError, match="50 x 50"):
        load_image(encoded(image), limits)
