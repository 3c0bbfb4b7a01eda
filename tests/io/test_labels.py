import io
import json

import numpy as np
import pytest
from PIL import Image

from sisgen.errors import InputError
from sisgen.io.images import ImageLimits, encode_png
from sisgen.io.labels import (
    check_label_set,
    color_labels,
    encode_labels,
    palette_gpl,
    read_labels,
    read_palette,
    write_labels,
    write_palettes,
)
from sisgen.types import LabelSet

LABELS = LabelSet(names=("background", "skin", "hair", "long name-2"), colors=((20, 20, 60), (230, 180, 150), (120, 60, 20), (40, 200, 90)))


def random_labels(height=12, width=10, low=-1):
    return np.random.default_rng(0).integers(low, len(LABELS), (height, width))


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def blocks():
    """A map of four large areas, as a person paints."""
    labels = np.zeros((64, 64), dtype=np.int64)
    labels[:, 32:] = 1
    labels[32:, :] = 2
    labels[32:, 32:] = 3
    return labels


def test_indexed_png_round_trip(tmp_path):
    write_labels(tmp_path / "m.png", random_labels(), LABELS)

    np.testing.assert_array_equal(read_labels(tmp_path / "m.png", LABELS), random_labels())
    assert Image.open(tmp_path / "m.png").mode == "P"


def test_written_masks_show_the_palette():
    shown = np.asarray(Image.open(io.BytesIO(encode_labels(blocks(), LABELS))).convert("RGB"))

    np.testing.assert_array_equal(shown, color_labels(blocks(), LABELS))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_label_png(dtype):
    values = random_labels().astype(dtype)
    values[values > len(LABELS)] = 255

    np.testing.assert_array_equal(read_labels(png(Image.fromarray(values)), LABELS), random_labels())


def test_transparent_grey_is_unpainted():
    labels = random_labels(low=0).astype(np.uint8)
    alpha = np.full_like(labels, 255)
    alpha[0] = 0

    read = read_labels(png(Image.merge("LA", [Image.fromarray(labels), Image.fromarray(alpha)])), LABELS)

    assert (read[0] == -1).all()
    np.testing.assert_array_equal(read[1:], labels[1:])


def test_coloured_png():
    np.testing.assert_array_equal(read_labels(encode_png(color_labels(blocks(), LABELS)), LABELS), blocks())


def test_transparent_colour_is_unpainted():
    rgba = np.dstack([color_labels(blocks(), LABELS), np.full((64, 64), 255, dtype=np.uint8)])
    rgba[:5, :, 3] = 0

    read = read_labels(png(Image.fromarray(rgba)), LABELS)

    assert (read[:5] == -1).all()
    assert (read[5:] == blocks()[5:]).all()


def test_soft_edges_and_compression_noise_snap_to_the_nearest_colour():
    image = Image.fromarray(color_labels(blocks(), LABELS))
    soft = np.asarray(image.resize((50, 50), Image.Resampling.BICUBIC).resize((64, 64), Image.Resampling.BILINEAR))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)

    assert (read_labels(encode_png(soft), LABELS) == blocks()).mean() > 0.95
    assert (read_labels(buffer.getvalue(), LABELS) == blocks()).mean() > 0.97


@pytest.mark.parametrize("order", [[2, 0, 3, 1], [3, 2, 1, 0]])
def test_an_indexed_png_with_a_reordered_palette_is_read_by_its_colours(order):
    indices = np.array(order)[blocks()].astype(np.uint8)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[order] = LABELS.colors
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())

    np.testing.assert_array_equal(read_labels(png(image), LABELS), blocks())


@pytest.mark.parametrize("palette", [np.arange(256).repeat(3), np.random.default_rng(1).integers(0, 256, 768)])
def test_an_indexed_png_with_a_foreign_palette_is_read_by_its_indices(palette):
    image = Image.fromarray(blocks().astype(np.uint8))
    image.putpalette(palette.astype(np.uint8).tobytes())

    np.testing.assert_array_equal(read_labels(png(image), LABELS), blocks())


def noise(mode):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    return png(Image.fromarray(values).convert(mode))


def painted(color, share):
    image = color_labels(blocks(), LABELS)
    image[: int(64 * share)] = color
    return encode_png(image)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (noise("RGB"), "looks like a photograph"),
        (noise("L"), "looks like a photograph"),
        (painted((255, 0, 255), 1.0), "the colour #ff00ff .100% of it. belongs to no class"),
        (painted((255, 0, 255), 0.25), "the colour #ff00ff .25% of it. belongs to no class"),
        (png(Image.fromarray(np.full((4, 4), 77, dtype=np.uint8))), "0 to 3, or 255 for unpainted, but it holds 77"),
        (png(Image.fromarray(np.full((4, 4), 255, dtype=np.uint8))), "all of it is unpainted"),
        (png(Image.new("RGBA", (4, 4))), "all of it is unpainted"),
        (encode_labels(np.full((3, 3), -1), LABELS), "all of it is unpainted"),
        (b"label, label, label", "cannot be read as one"),
        (encode_labels(np.tile(random_labels(), (20, 20)), LABELS)[:-60], "damaged or cut off"),
        (png(Image.new("L", (6000, 5000))), "6000 x 5000 pixels"),
    ],
)
def test_bad_masks_get_one_sentence(data, message):
    with pytest.raises(InputError, match=message) as caught:
        read_labels(data, LABELS)

    assert str(caught.value).count(". ") == 0


def test_a_blank_canvas_is_welcome_where_it_is_expected():
    blank = encode_labels(np.full((3, 3), -1), LABELS)

    assert (read_labels(blank, LABELS, allow_blank=True) == -1).all()


def test_limits_are_the_callers():
    with pytest.raises(InputError, match="10 x 12"):
        read_labels(encode_labels(random_labels(), LABELS), LABELS, limits=ImageLimits(max_pixels=100))


@pytest.mark.parametrize(("labels", "message"), [(np.full((2, 2), 4), "holds 4"), (np.zeros((2, 2, 1), int), r"\[H, W\]")])
def test_unwritable_labels(labels, message):
    with pytest.raises(InputError, match=message):
        encode_labels(labels, LABELS)


def test_palettes(tmp_path):
    write_palettes(tmp_path, LABELS, "portraits")

    rows = json.loads((tmp_path / "palette.json").read_text())
    assert rows[1] == {"id": 1, "name": "skin", "rgb": [230, 180, 150]}
    assert (tmp_path / "portraits.gpl").read_text() == palette_gpl(LABELS, "portraits")
    assert palette_gpl(LABELS, "portraits").splitlines()[:2] == ["GIMP Palette", "Name: sisgen portraits"]
    assert palette_gpl(LABELS, "portraits").splitlines()[4] == " 20  20  60\tbackground"


@pytest.mark.parametrize(
    ("names", "colors", "message"),
    [
        (("a", "a"), ((0, 0, 0), (1, 1, 1)), "unique"),
        (("a", "b"), ((0, 0, 0), (0, 0, 0)), "unique"),
        (("a", "<img onerror>"), ((0, 0, 0), (1, 1, 1)), "<img onerror>"),
        (("a", "b\n"), ((0, 0, 0), (1, 1, 1)), "letters"),
        (("a",), ((0, 0, 300),), "0..255"),
        (("a", "b"), ((0, 0, 0),), "has 2 and 1"),
        ((), (), "has 0 and 0"),
    ],
)
def test_a_strangers_label_set_is_checked(names, colors, message):
    with pytest.raises(InputError, match=message):
        check_label_set(LabelSet(names=names, colors=colors))


def test_a_good_label_set_passes():
    assert check_label_set(LABELS) is LABELS


def test_a_palette_comes_back(tmp_path):
    write_palettes(tmp_path, LABELS, "portraits")
    assert read_palette(tmp_path / "palette.json") == LABELS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "must be a list of"),
        ("{}", "needs 1 to 254 names"),
        ('[{"id": 0, "name": "a"}]', "must be a list of"),
        ('[{"id": 1, "name": "a", "rgb": [1, 2, 3]}]', "must number its classes from 0 on"),
        ('[{"id": 0, "name": "a", "rgb": [1, 2]}]', "three numbers as colour"),
        ('[{"id": 0, "name": "../a", "rgb": [1, 2, 3]}]', "letters, digits"),
        ("[" * 50_000, "must be a list of"),
    ],
)
def test_a_wrong_palette_is_a_sentence(tmp_path, text, words):
    (tmp_path / "palette.json").write_text(text)
    with pytest.raises(InputError, match=words):
        read_palette(tmp_path / "palette.json")
