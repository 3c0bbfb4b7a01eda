"""The one door: what goes in is checked first, what comes out depends on nothing but what went in."""

import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.errors import CheckpointError, InputError, ModelNotFoundError
from sisgen.io.configs import read_json, write_json
from sisgen.pipeline import CHUNK, Pipeline
from sisgen.shapes import UNPAINTED
from sisgen.types import Condition


def draw(pipeline: Pipeline, *offsets: int) -> Condition:
    """One drawing an offset: a band of skin and a hat, moved."""
    masks = []
    for offset in offsets:
        labels = np.zeros((32, 32), dtype=np.int64)
        labels[16:28, 8:24] = 1
        labels[4:14, 2 + offset : 18 + offset] = 3
        masks.append(labels)
    return mask_condition(masks, pipeline.labels, pipeline.resolution)


def test_a_picture_a_seed_in_the_models_range(tiny_pipeline: Pipeline) -> None:
    result = tiny_pipeline(draw(tiny_pipeline, 4), seeds=[3, 5])
    assert result.images.shape == (2, 3, 32, 32) and result.seeds == (3, 5)
    assert bool(torch.isfinite(result.images).all()) and result.labels is None and result.agreement == ()
    assert float((result.images - tiny_pipeline(seeds=[3, 5]).images).abs().mean()) > 1e-3
    result.images.add_(1)  # a caller may change them
    assert set(result.timings) == {"condition", "style", "proxy", "rearrange", "generate", "total"}
    assert result.timings["total"] >= result.timings["proxy"] > 0


def test_the_latent_of_a_seed_is_that_of_the_official_tools(tiny_pipeline: Pipeline) -> None:
    z = torch.from_numpy(np.random.RandomState(1234).randn(1, 8)).float()
    generator = tiny_pipeline.engine.generator
    wanted = generator(generator.map(z, psi=0.5))
    assert torch.allclose(tiny_pipeline(seeds=[1234], truncation=0.5).images, wanted, atol=1e-6)


def test_a_blank_canvas_is_a_plain_sample_exactly(tiny_pipeline: Pipeline) -> None:
    plain = tiny_pipeline(seeds=[3, 5]).images
    blank = mask_condition(np.full((40, 40), UNPAINTED), tiny_pipeline.labels, 32)
    result = tiny_pipeline(blank, seeds=[3, 5])
    assert torch.equal(result.images, plain) and result.settings["condition"] is None and result.timings["rearrange"] == 0


def test_no_strength_is_a_plain_sample_exactly(tiny_pipeline: Pipeline) -> None:
    plain = tiny_pipeline(seeds=[3]).images
    assert torch.equal(tiny_pipeline(draw(tiny_pipeline, 4), seeds=[3], strength=0).images, plain)
    assert not torch.equal(tiny_pipeline(draw(tiny_pipeline, 4), seeds=[3], strength=0.5).images, plain)


def test_one_drawing_serves_all_seeds_and_many_are_paired(tiny_pipeline: Pipeline) -> None:
    first, second = draw(tiny_pipeline, 0), draw(tiny_pipeline, 10)
    both = tiny_pipeline(draw(tiny_pipeline, 0, 10), seeds=[3, 5]).images
    for i, (condition, seed) in enumerate([(first, 3), (second, 5)]):
        assert torch.allclose(tiny_pipeline(condition, seeds=[seed]).images, both[i : i + 1], atol=1e-5)
    shared = tiny_pipeline(first, seeds=[3, 5]).images
    assert torch.allclose(shared[0], both[0], atol=1e-5) and not torch.allclose(shared[1], both[1], atol=1e-3)


def test_more_seeds_than_run_at_once_keep_their_drawings(tiny_pipeline: Pipeline) -> None:
    offsets = [i % 12 for i in range(CHUNK + 3)]
    seeds = list(range(CHUNK + 3))
    many = tiny_pipeline(draw(tiny_pipeline, *offsets), seeds=seeds).images
    assert len(many) == CHUNK + 3
    last = tiny_pipeline(draw(tiny_pipeline, offsets[-1]), seeds=seeds[-1:]).images
    assert torch.allclose(many[-1:], last, atol=1e-5)


def test_threads_get_their_own_pictures(tiny_pipeline: Pipeline) -> None:
    drawings = [draw(tiny_pipeline, offset) for offset in range(6)]
    wanted = [tiny_pipeline(drawing, seeds=[i]).images for i, drawing in enumerate(drawings)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: tiny_pipeline(drawings[i % 6], seeds=[i % 6]).images, range(24)))
    assert all(torch.allclose(picture, wanted[i % 6], atol=1e-5) for i, picture in enumerate(made))


def test_labels_are_read_back_and_compared(tiny_pipeline: Pipeline) -> None:
    result = tiny_pipeline(draw(tiny_pipeline, 4), seeds=[3, 5], read_back=True)
    assert result.labels is not None and result.labels.shape == (2, 32, 32) and result.labels.dtype == torch.int64
    assert torch.equal(result.labels, tiny_pipeline.engine.reader.read(result.images.clamp(-1, 1)))
    drawn = draw(tiny_pipeline, 4).labels
    assert drawn is not None and len(result.agreement) == 2
    assert result.agreement[1].accuracy == pytest.approx(float((result.labels[1] == drawn[0]).float().mean()), abs=1e-6)
    assert set(result.agreement[0].per_class) == {"background", "skin", "hat"}

    plain = tiny_pipeline(seeds=[3], read_back=True)
    assert plain.agreement == () and plain.labels is not None
    assert torch.equal(tiny_pipeline.sample_labels([3]), plain.labels)


def test_settings_make_the_same_pictures_again(tiny_pipeline: Pipeline) -> None:
    result = tiny_pipeline(draw(tiny_pipeline, 4), seeds=[3], strength=0.8)
    settings = result.settings
    assert settings["truncation"] == 0.7 and settings["condition"] == "mask" and settings["model"] == "tiny"
    arguments = {name: settings[name] for name in ("seeds", "truncation", "strength")}
    assert torch.equal(tiny_pipeline(draw(tiny_pipeline, 4), **arguments).images, result.images)


def test_the_model_describes_itself(tiny_pipeline: Pipeline, tiny_model: Path) -> None:
    assert (tiny_pipeline.name, tiny_pipeline.license, tiny_pipeline.resolution) == ("tiny", "apache-2.0", 32)
    assert tiny_pipeline.defaults == {"truncation": 0.7, "seed": 3} and tiny_pipeline.class_seeds == {"hat": [5, 8]}
    assert tiny_pipeline.labels.names == ("background", "skin", "hair", "hat")
    assert tiny_pipeline.revision and tiny_pipeline.description and tiny_pipeline.source
    assert tiny_pipeline.device == torch.device("cpu")
    on_disk = sum(path.stat().st_size for path in tiny_model.glob("*.safetensors"))
    assert on_disk < tiny_pipeline.num_bytes < 4 * on_disk


BAD_CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "no seed": ({"seeds": []}, "Between 1 and 4096 seeds"),
    "too many seeds": ({"seeds": range(5000)}, "Between 1 and 4096 seeds are needed, but 5000 came"),
    "a large seed": ({"seeds": [2**70]}, "whole number in 0..4294967295"),
    "a negative seed": ({"seeds": [0, -1]}, "but it is -1"),
    "half a seed": ({"seeds": [0.5]}, "but it is 0.5"),
    "a true seed": ({"seeds": [True]}, "but it is True"),
    "a word as seed": ({"seeds": ["1" * 1000]}, "but it is 1111"),
    "NaN truncation": ({"truncation": math.nan}, "truncation must be a number in 0..1.5, but it is nan"),
    "large truncation": ({"truncation": 1.6}, "truncation must be"),
    "a word as truncation": ({"truncation": "0.7"}, "truncation must be"),
    "negative strength": ({"strength": -0.1}, "strength must be a number in 0..1"),
    "infinite strength": ({"strength": math.inf}, "strength must be"),
    "a true strength": ({"strength": True}, "strength must be"),
}


@pytest.mark.parametrize("kind", BAD_CALLS)
def test_bad_arguments_are_one_sentence(tiny_pipeline: Pipeline, kind: str) -> None:
    arguments, message = BAD_CALLS[kind]
    with pytest.raises(InputError, match=message) as caught:
        tiny_pipeline(None, **{"seeds": [0], **arguments})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200 and str(caught.value).endswith(".")


def spoil(condition: Condition, **changes: Any) -> Condition:
    return Condition(**{"kind": condition.kind, "map": condition.map, "labels": condition.labels, **changes})


BAD_CONDITIONS: dict[str, tuple[Callable[[Condition], Condition], str]] = {
    "another kind": (lambda c: spoil(c, kind="sketch"), "reads mask, exemplar, but a sketch came"),
    "another size": (lambda c: spoil(c, map=c.map[..., :16]), r"must have the shape \[any, 4, 32, 32\]"),
    "other classes": (lambda c: spoil(c, map=c.map[:, :3]), r"must have the shape \[any, 4, 32, 32\]"),
    "another number": (lambda c: spoil(c, map=c.map.expand(2, -1, -1, -1)), "there are 2 for 3 seeds"),
    "NaN": (lambda c: spoil(c, map=c.map * math.nan), "must hold finite numbers"),
}


@pytest.mark.parametrize("kind", BAD_CONDITIONS)
def test_bad_conditions_are_one_sentence(tiny_pipeline: Pipeline, kind: str) -> None:
    change, message = BAD_CONDITIONS[kind]
    with pytest.raises(InputError, match=message):
        tiny_pipeline(change(draw(tiny_pipeline, 4)), seeds=[0, 1, 2])


@pytest.mark.parametrize("name", ["generator", "proxy", "rearranger", "mapper_mask", "reader"])
@pytest.mark.parametrize("damage", ["missing", "altered", "truncated", "not listed"])
def test_a_damaged_part_is_refused_by_name(tiny_model: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    path = folder / f"{name}.safetensors"
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "altered":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        content = read_json(folder / "config.json")
        content["files"].pop(path.name)
        write_json(folder / "config.json", content)
    with pytest.raises(CheckpointError, match=path.name) as caught:
        Pipeline.from_pretrained(folder, device="cpu")
    assert "\n" not in str(caught.value)


BAD_CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another format": (lambda c: c.update(format=2), "must have format 1, but it has 2"),
    "no mapper for masks": (lambda c: c.update(mappers={}), "must name a mapper for masks"),
    "an unknown key": (lambda c: c["rearranger"].update(depth=3), "unknown key 'depth'"),
    "a missing key": (lambda c: c.pop("reader"), "reader"),
    "10^9 clusters": (lambda c: c["proxy"].update(num_clusters=10**9), "1000000000"),
    "a word as size": (lambda c: c["generator"].update(resolution="large"), "resolution"),
    "another size": (lambda c: c["rearranger"].update(channels=9), "rearranger.safetensors"),
}


@pytest.mark.parametrize("kind", BAD_CONFIGS)
def test_a_hostile_config_is_refused(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    change, message = BAD_CONFIGS[kind]
    content = read_json(folder / "config.json")
    change(content)
    write_json(folder / "config.json", content)
    with pytest.raises((CheckpointError, InputError), match=message) as caught:
        Pipeline.from_pretrained(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_an_unknown_name_and_an_unknown_device_are_one_sentence(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match="There is no model 'nobodys'"):
        Pipeline.from_pretrained("nobodys")
    with pytest.raises(InputError):
        Pipeline.from_pretrained(tiny_model, device="abacus")
