"""A photograph comes in, stays as it is where nothing is drawn, and follows where something is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sisgen.conditions.mask import mask_condition
from sisgen.errors import InputError
from sisgen.inversion.inversion import Inversion, read_layout
from sisgen.io.images import to_float
from sisgen.pipeline import Pipeline

Photo = NDArray[np.uint8]


def canvas(pipe: Pipeline, inversion: Inversion) -> NDArray[np.int64]:
    """The photograph's own labels, enlarged as a canvas shows them."""
    return inversion.labels[0].numpy().repeat(2, axis=0).repeat(2, axis=1)


def test_an_inversion_holds_what_the_page_shows(photo_pipeline: Pipeline, inversion: Inversion) -> None:
    sizes = photo_pipeline.config.generator
    assert inversion.ws.shape == (1, sizes.num_ws, sizes.w_dim) and inversion.image.shape == inversion.photo.shape == (1, 3, 32, 32)
    assert inversion.proxy.probs.shape == (1, 5, 16, 16) and inversion.labels.shape == (1, 32, 32)
    assert inversion.labels_from in ("photo", "reconstruction") and inversion.tail is None
    assert set(inversion.timings) == {"encode", "read"}
    assert torch.equal(inversion.image, photo_pipeline.engine.generator(inversion.ws))


def test_nothing_edited_is_the_reconstruction(photo_pipeline: Pipeline, inversion: Inversion) -> None:
    plain = photo_pipeline(None, seeds=[0, 7], style=inversion)
    assert torch.equal(plain.images, inversion.image.expand(2, -1, -1, -1)) and plain.seeds == (0, 7)
    assert plain.settings["style"] == "photo" and plain.settings["condition"] is None
    for labels in (canvas(photo_pipeline, inversion), np.where(np.arange(64)[:, None] < 20, -1, canvas(photo_pipeline, inversion))):
        drawn = mask_condition(labels, photo_pipeline.labels, 32)
        result = photo_pipeline(drawn, style=inversion)
        assert torch.allclose(result.images, inversion.image, atol=1e-5), float((result.images - inversion.image).abs().max())
        assert result.settings["condition"] == "mask"


def test_an_edit_changes_the_picture_near_it(photo_pipeline: Pipeline, inversion: Inversion) -> None:
    labels = canvas(photo_pipeline, inversion)
    labels[:16, :16] = (labels[:16, :16] + 1) % 4
    result = photo_pipeline(mask_condition(labels, photo_pipeline.labels, 32), style=inversion)
    changed = (result.images - inversion.image).abs().mean(dim=1)[0]
    assert float(changed[:8, :8].mean()) > 1e-3 and float(changed[:8, :8].mean()) > 3 * float(changed[20:, 20:].mean())


def test_a_photographs_style_does_not_depend_on_seeds(photo_pipeline: Pipeline, inversion: Inversion) -> None:
    labels = np.tile(np.arange(32) // 8, (32, 1))
    drawn = mask_condition(labels, photo_pipeline.labels, 32)
    made = photo_pipeline(drawn, seeds=[1, 2], style=inversion).images
    assert torch.allclose(made[0], made[1], atol=1e-6)
    assert not torch.allclose(made[:1], photo_pipeline(drawn, seeds=[1]).images, atol=1e-3)


def test_refinement_comes_nearer_and_can_be_stopped(photo_pipeline: Pipeline, photo: Photo, inversion: Inversion) -> None:
    told: list[tuple[int, int]] = []
    better = photo_pipeline.invert(photo, steps=6, progress=lambda done, total: told.append((done, total)))

    def error(found: Inversion) -> float:
        return float((found.image - found.photo).abs().mean())

    assert error(better) < error(inversion)
    assert told == [(i + 1, 6) for i in range(6)] and "refine" in better.timings
    told.clear()
    photo_pipeline.invert(photo, steps=50, progress=lambda done, total: told.append((done, total)), stop=lambda: len(told) >= 2)
    assert len(told) == 2


def test_tuning_changes_a_copy_alone(
    photo_pipeline: Pipeline, photo: Photo, inversion: Inversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sisgen.pipeline.TUNE_STEPS", 8)
    before = {name: value.clone() for name, value in photo_pipeline.engine.generator.state_dict().items()}
    tuned = photo_pipeline.invert(photo, tune=True)
    assert all(torch.equal(value, before[name]) for name, value in photo_pipeline.engine.generator.state_dict().items())
    assert tuned.tail is not None
    assert float((tuned.image - tuned.photo).abs().mean()) < float((inversion.image - inversion.photo).abs().mean())
    changed = {name.split(".")[1] for name, value in tuned.tail.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"b16", "b32"}  # behind the cut at 8
    shared = tuned.tail.synthesis.block(8).conv1.weight
    assert shared.data_ptr() == photo_pipeline.engine.generator.synthesis.block(8).conv1.weight.data_ptr()

    # It is drawn with its own tail, and kept with it.
    same = photo_pipeline(mask_condition(canvas(photo_pipeline, tuned), photo_pipeline.labels, 32), style=tuned)
    assert torch.allclose(same.images, tuned.image, atol=1e-5)
    photo_pipeline.save_inversion(tmp_path / "tuned.safetensors", tuned)
    loaded = photo_pipeline.load_inversion(tmp_path / "tuned.safetensors")
    assert torch.allclose(loaded.image, tuned.image, atol=0.02) and not torch.allclose(loaded.image, inversion.image, atol=0.02)


def test_a_box_is_cut_out(photo_pipeline: Pipeline, photo: Photo) -> None:
    whole = photo_pipeline.invert(photo).photo
    assert torch.equal(photo_pipeline.invert(photo, box=(4, 0, 44, 40)).photo, whole)  # the middle square
    other = photo_pipeline.invert(photo, box=(8, 4, 40, 36)).photo
    assert torch.allclose(other, to_float(photo[None, 4:36, 8:40]), atol=1e-6)


def test_the_layout_is_the_photographs_own_where_the_reader_is_at_home(photo_pipeline: Pipeline) -> None:
    sample = photo_pipeline(seeds=[3]).images.clamp(-1, 1)
    reader = photo_pipeline.engine.reader
    labels, source = read_layout(reader, sample, sample)
    careful = reader.read_carefully(sample).argmax(dim=1)
    assert source == "photo" and torch.equal(labels, careful)
    strange = torch.where(torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0).expand(1, 3, 32, 32)
    if float((reader.read(strange) == reader.read(sample)).float().mean()) < 0.6:
        labels, source = read_layout(reader, strange, sample)
        assert source == "reconstruction" and torch.equal(labels, careful)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a grey picture": ({"picture": np.zeros((40, 40), dtype=np.uint8)}, r"must be uint8 \[H, W, 3\], but it is uint8 \[40, 40\]"),
    "floats": ({"picture": np.zeros((40, 40, 3))}, "but it is float64"),
    "no picture": ({"picture": "photo.png"}, "but it is str"),
    "a strip": ({"picture": np.zeros((4, 400, 3), dtype=np.uint8)}, "must have at least 8 x 8 pixels, but it has 400 x 4"),
    "a box outside": ({"box": (0, 0, 60, 60)}, "within 48 x 40, but it is 0, 0, 60, 60"),
    "a box that is no square": ({"box": (0, 0, 30, 20)}, "of a square"),
    "half a box": ({"box": (0, 0.5, 20, 20)}, "but it is 0, 0.5"),
    "a short box": ({"box": (0, 0, 20)}, "left, top, right, bottom"),
    "too many steps": ({"steps": 10**6}, "steps must be a number in 0..1000"),
    "a word as steps": ({"steps": "many"}, "steps must be a number"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_photographs_are_one_sentence(photo_pipeline: Pipeline, photo: Photo, kind: str) -> None:
    arguments, message = BAD[kind]
    with pytest.raises(InputError, match=message) as caught:
        photo_pipeline.invert(**{"picture": photo, **arguments})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_model_without_an_encoder_says_so(tiny_pipeline: Pipeline, photo: Photo, inversion: Inversion) -> None:
    with pytest.raises(InputError, match="has no encoder for photographs; train one"):
        tiny_pipeline.invert(photo)
    with pytest.raises(InputError, match="style must be a photograph from `invert`, but it is a int"):
        tiny_pipeline(None, style=5)  # type: ignore[arg-type]
    wrong = Inversion(
        **{name: getattr(inversion, name) for name in ("photo", "image", "proxy", "labels", "labels_from")}, ws=inversion.ws[:, :3]
    )
    with pytest.raises(InputError, match=r"style\.ws must have the shape"):
        tiny_pipeline(None, style=wrong)


def test_a_photographs_style_is_edited(photo_pipeline: Pipeline, inversion: Inversion) -> None:
    direction = photo_pipeline.directions()[0]
    plain = photo_pipeline(style=inversion).images
    edited = photo_pipeline.edit(inversion, direction, 2.0)
    assert isinstance(edited, Inversion) and edited.key != inversion.key
    assert float((photo_pipeline(style=edited).images - plain).abs().max()) > 1e-3
    same = photo_pipeline.edit(inversion, direction, 0.0)
    assert torch.allclose(photo_pipeline(style=same).images, plain, atol=1e-5)


def test_everything_of_an_edited_photograph_is_that_of_its_new_rows(photo_pipeline: Pipeline, inversion: Inversion, tmp_path: Path) -> None:
    engine, direction = photo_pipeline.engine, photo_pipeline.directions()[0]
    edited = photo_pipeline.edit(inversion, direction, 4.0)
    steps = engine.generator.hypercolumn(edited.ws)
    assert torch.equal(edited.image, steps[-1].rgb) and float((edited.image - inversion.image).abs().max()) > 1e-2
    probs = engine.clusters({step.resolution: step.map for step in steps}).probs
    torch.testing.assert_close(edited.proxy.probs, probs, atol=1e-5, rtol=1e-4)
    assert float((edited.proxy.probs - inversion.proxy.probs).abs().max()) > 1e-2  # what it was before

    # The labels move where the reader sees a change, and only there.
    before, after = (engine.reader.read(one.image.clamp(-1, 1)) for one in (inversion, edited))
    assert bool((before != after).any()) and bool((before == after).any())
    assert torch.equal(edited.labels, torch.where(before == after, inversion.labels, after))
    assert torch.equal(photo_pipeline.edit(inversion, direction, 0.0).labels, inversion.labels)

    # What is saved comes back the same, and the shape that it lends is its own.
    photo_pipeline.save_inversion(tmp_path / "edited.safetensors", edited)
    loaded = photo_pipeline.load_inversion(tmp_path / "edited.safetensors")
    assert torch.equal(loaded.labels, edited.labels) and torch.allclose(loaded.proxy.probs, edited.proxy.probs, atol=1e-5)
    shapes = [photo_pipeline.exemplar(one).map for one in (inversion, edited, loaded)]
    assert torch.allclose(shapes[1], shapes[2], atol=1e-5) and not torch.allclose(shapes[0], shapes[1], atol=1e-2)
