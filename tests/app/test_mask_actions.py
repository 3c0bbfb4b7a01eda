"""The mask tab's actions over a real tiny model, without a browser."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sisgen.app import actions, mask_actions
from sisgen.app.agreeing import tell_agreement
from sisgen.app.context import Context
from sisgen.app.description import describe_model, space_address
from sisgen.app.drawings import encode_runs
from sisgen.app.limits import Wish
from sisgen.app.painting import encode_shown
from sisgen.errors import InputError


def _runs(text: str) -> np.ndarray:
    """Decode runs as the page does."""
    data, cells, i = base64.b64decode(text), [], 0
    while i < len(data):
        value, length, shift, i = data[i], 0, 0, i + 1
        while True:
            length |= (data[i] & 127) << shift
            shift, i = shift + 7, i + 1
            if data[i - 1] < 128:
                break
        cells += [value] * length
    return np.array(cells).reshape(256, 256)


def test_a_drawing_becomes_a_picture(app_context: Context, canvas: bytes) -> None:
    painted = actions.submit(app_context, "visitor", Wish(seed=3), canvas).result(30)
    assert painted.image.dtype == np.uint8
    assert painted.image.shape[2] == 3
    assert painted.seed == 3
    with Image.open(io.BytesIO(encode_shown(painted.image))) as shown:
        assert shown.size == (512, 512)


def test_a_blank_canvas_is_a_plain_sample(app_context: Context, encode_canvas: Callable[[np.ndarray], bytes]) -> None:
    blank = encode_canvas(np.full((256, 256), 255, np.uint8))
    painted = actions.submit(app_context, "visitor", Wish(seed=3), blank, read_back=True).result(30)
    with app_context.registry.lease() as pipe:
        told = tell_agreement(painted, np.full((256, 256), -1), pipe.labels)
    assert told == {"share": None, "wrong": None}


def test_agreement_tells_where_the_picture_differs(app_context: Context, canvas: bytes, halves: np.ndarray) -> None:
    painted = actions.submit(app_context, "visitor", Wish(seed=3), canvas, read_back=True).result(30)
    drawn = np.where(halves == 255, -1, halves.astype(np.int64))
    with app_context.registry.lease() as pipe:
        told = tell_agreement(painted, drawn, pipe.labels)
    assert 0 <= told["share"] <= 1
    wrong = _runs(told["wrong"]) == 0
    assert not wrong[:, 128:].any(), "what was not drawn cannot be wrong"


def test_a_sample_has_its_own_mask(app_context: Context) -> None:
    labels = actions.submit_sample(app_context, "visitor", Wish(seed=5)).result(30)
    assert labels.shape == (256, 256)
    assert (labels >= 0).all()
    assert (_runs(encode_runs(labels)) == labels).all()


def test_a_saved_mask_opens_again_as_it_was(app_context: Context, canvas: bytes, halves: np.ndarray) -> None:
    saved = mask_actions.save_mask(app_context, Wish(), canvas)
    with Image.open(io.BytesIO(saved)) as mask:
        assert mask.mode == "P"
    opened = mask_actions.open_mask(app_context, Wish(), saved)
    assert (np.where(opened == -1, 255, opened) == halves).all()


def test_a_wide_mask_is_padded_not_stretched(app_context: Context) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.ones((100, 200), np.uint8), mode="L").save(buffer, "PNG")
    opened = mask_actions.open_mask(app_context, Wish(), buffer.getvalue())
    assert (opened[:63] == -1).all()
    assert (opened[65:190] == 1).all()
    assert (opened[193:] == -1).all()


def test_bad_files_are_refused_in_one_sentence(app_context: Context, photograph: Path) -> None:
    whole = photograph.read_bytes()
    for data in (whole, whole[: len(whole) // 2], b"a text named .png", b""):
        with pytest.raises(InputError) as refusal:
            mask_actions.open_mask(app_context, Wish(), data)
        assert "\n" not in str(refusal.value)


def test_a_saved_picture_carries_its_settings(app_context: Context, canvas: bytes) -> None:
    for scale in (1, 4):
        data = actions.save_picture(app_context, "visitor", Wish(seed=9, strength=0.5), canvas, scale)
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            settings = json.loads(picture.text["sisgen"])
            assert settings["seed"] == 9
            assert settings["model"].count("@") == 1
            with app_context.registry.lease() as pipe:
                assert picture.width == scale * pipe.resolution


def test_the_page_is_told_all_about_the_model(app_context: Context) -> None:
    told = json.loads(json.dumps(describe_model(app_context, None)))
    assert told["name"] == "tiny"
    assert [offer["name"] for offer in told["models"]] == ["tiny", "other"]
    assert told["models"][0] | {"title": "tiny", "license": "apache-2.0", "resolution": 32, "loaded": True} == told["models"][0]
    assert told["device"]
    assert all(set(label) == {"name", "color"} for label in told["labels"])


def test_palettes_come_in_two_kinds(app_context: Context) -> None:
    assert json.loads(mask_actions.save_palette(app_context, Wish(), "json"))
    assert mask_actions.save_palette(app_context, Wish(), "gpl").startswith("GIMP Palette")
    with pytest.raises(InputError, match="json or gpl"):
        mask_actions.save_palette(app_context, Wish(), "exe")


def test_the_address_of_a_space_is_built_from_its_name() -> None:
    assert space_address({"SPACE_ID": "ada/sisgen"}) == "https://huggingface.co/spaces/ada/sisgen"
    assert space_address({"SPACE_ID": "javascript:alert(1)"}) is None
    assert space_address({}) is None
