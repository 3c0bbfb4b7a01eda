import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sisgen.cli.generate import plan_jobs, report_errors
from sisgen.cli.main import main
from sisgen.conditions.mask import mask_condition
from sisgen.engines.regions import Regions
from sisgen.errors import InputError
from sisgen.io.configs import read_json, write_json
from sisgen.io.files import sha256_of
from sisgen.io.images import load_image, read_png_text, save_png, to_uint8
from sisgen.io.labels import read_labels, write_labels
from sisgen.io.weights import read_weights, save_weights
from sisgen.types import LabelSet


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_a_folder_gives_one_job_a_mask(tmp_path):
    masks = touch(tmp_path / "masks", "b.png", "a.png", ".hidden.png", "notes.txt")

    jobs = plan_jobs({"mask": masks}, [3, 1, 3], tmp_path / "out", overwrite=False)

    assert [job.drawings["mask"].name for job in jobs] == ["a.png", "b.png"]
    assert {seed: path.name for seed, path in jobs[0].outputs.items()} == {3: "a_seed3.png", 1: "a_seed1.png"}


def test_existing_pictures_are_skipped_unless_told(tmp_path):
    out = touch(tmp_path / "out", "sample_seed1.png")

    assert list(plan_jobs({}, [0, 1], out, overwrite=False)[0].outputs) == [0]
    assert list(plan_jobs({}, [0, 1], out, overwrite=True)[0].outputs) == [0, 1]


def test_masks_that_differ_in_suffix_only_keep_apart(tmp_path):
    masks = touch(tmp_path / "masks", "a.png", "a.gif")

    outputs = [path.name for job in plan_jobs({"mask": masks}, [0], tmp_path / "out", overwrite=False) for path in job.outputs.values()]

    assert outputs == ["a_gif_seed0.png", "a_png_seed0.png"]


def test_impossible_plans(tmp_path):
    masks = touch(tmp_path / "masks", "a.png")
    touch(tmp_path / "empty")

    with pytest.raises(InputError, match="is a file"):
        plan_jobs({}, [0], masks / "a.png", overwrite=False)
    with pytest.raises(InputError, match="must differ from the folder of --mask"):
        plan_jobs({"mask": masks}, [0], masks, overwrite=False)
    with pytest.raises(InputError, match="holds none"):
        plan_jobs({"mask": tmp_path / "empty"}, [0], tmp_path / "out", overwrite=False)
    with pytest.raises(InputError, match="does not exist"):
        plan_jobs({"mask": tmp_path / "gone.png"}, [0], tmp_path / "out", overwrite=False)


def test_errors_are_listed_and_cleared(tmp_path):
    report_errors(tmp_path, [{"file": "a.png", "error": "Odd.", "pictures": 2}])
    assert (tmp_path / "errors.jsonl").read_text() == '{"file": "a.png", "error": "Odd."}\n'

    report_errors(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", str(2**70)],
        ["--seeds", "-1"],
        ["--truncation", "nan"],
        ["--truncation", "9"],
        ["--strength", "inf"],
        ["--mask", "gone.png"],
        ["--region", "hair"],
        ["--region", "=7"],
        ["--region", "hair=blue"],
        ["--region", f"hair={2**32}"],
        ["--region", "hair=7", "--region", "hair=8"],
    ],
)
def test_bad_arguments_exit_with_2_and_write_nothing(tmp_path, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(["generate", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(Path().iterdir()) == []


def class_labels(model):
    labels = read_json(model / "config.json")["labels"]
    return LabelSet(names=tuple(labels["names"]), colors=tuple(tuple(color) for color in labels["colors"]))


@pytest.fixture
def mask(tiny_model, tmp_path):
    """A mask of two classes."""
    labels = np.zeros((20, 20), dtype=np.int64)
    labels[5:15, 5:15] = 1
    write_labels(tmp_path / "mask.png", labels, class_labels(tiny_model))
    return tmp_path / "mask.png"


def generate(model, *words):
    return main(["generate", "--model", str(model), "--device", "cpu", *map(str, words)])


def test_one_mask_and_two_seeds(tiny_model, mask, tmp_path, capsys):
    out = tmp_path / "out"

    assert generate(tiny_model, "--mask", mask, "--seeds", 0, 7, "--truncation", 0.5, "--out", out) == 0

    assert sorted(path.name for path in out.iterdir()) == ["mask_seed0.png", "mask_seed7.png"]
    settings = json.loads(read_png_text(out / "mask_seed7.png")["sisgen"])
    assert (settings["seed"], settings["truncation"], settings["mask"]) == (7, 0.5, "mask.png")
    assert settings["model"]
    first, second = load_image(out / "mask_seed0.png"), load_image(out / "mask_seed7.png")
    assert first.shape[0] == first.shape[1]
    assert not np.array_equal(first, second)
    assert "2 pictures written" in capsys.readouterr().out


def test_a_wide_mask_gives_a_wide_picture(tiny_model, tmp_path):
    write_labels(tmp_path / "wide.png", np.zeros((10, 20), dtype=np.int64), class_labels(tiny_model))

    assert generate(tiny_model, "--mask", tmp_path / "wide.png", "--out", tmp_path / "out") == 0

    height, width, _ = load_image(tmp_path / "out" / "wide_seed0.png").shape
    assert width == 2 * height


def test_without_a_mask_there_are_plain_samples(tiny_model, tmp_path):
    assert generate(tiny_model, "--seeds", 3, "--out", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sample_seed3.png"]


def test_classes_take_their_style_from_other_seeds(tiny_model, tiny_pipeline, mask, tmp_path):
    words = ["--mask", mask, "--seeds", 3, "--region", "skin=5", "--region", "hair=8"]
    assert generate(tiny_model, *words, "--out", tmp_path / "parts") == 0
    assert generate(tiny_model, *words[:4], "--out", tmp_path / "plain") == 0

    settings = json.loads(read_png_text(tmp_path / "parts" / "mask_seed3.png")["sisgen"])
    assert (settings["style"], settings["base"], settings["regions"]) == ("regions", "seeds", {"skin": 5, "hair": 8})
    labels = read_labels(mask, tiny_pipeline.labels)
    style = Regions(sources=settings["regions"])
    again = tiny_pipeline(mask_condition(labels, tiny_pipeline.labels, 32), seeds=[settings["seed"]], style=style).images
    made, plain = (load_image(tmp_path / name / "mask_seed3.png") for name in ("parts", "plain"))
    assert np.array_equal(made, to_uint8(again)[0]), "the settings are all that it takes"
    assert not np.array_equal(made, plain)
    assert "regions" not in json.loads(read_png_text(tmp_path / "plain" / "mask_seed3.png")["sisgen"])


def test_regions_that_no_picture_can_have_are_told_once(tiny_model, mask, tmp_path, capsys):
    masks = touch(tmp_path / "masks")
    shutil.copy(mask, masks / "one.png")

    assert generate(tiny_model, "--mask", masks, "--region", "tail=1", "--out", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert "Regions must be classes of background, skin, hair, hat, but 'tail' came" in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_in_a_folder_the_good_ones_are_written_and_the_bad_ones_listed(tiny_model, mask, tmp_path, capsys):
    masks, out = touch(tmp_path / "masks", "broken.png"), tmp_path / "out"
    shutil.copy(mask, masks / "good.png")

    assert generate(tiny_model, "--mask", masks, "--out", out) == 1
    assert sorted(path.name for path in out.iterdir()) == ["errors.jsonl", "good_seed0.png"]
    (entry,) = [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
    assert entry["file"].endswith("broken.png")
    assert "cannot be read" in entry["error"]
    assert "1 pictures written" in capsys.readouterr().out

    # Again with the broken one mended: what exists is left alone.
    before = (out / "good_seed0.png").stat().st_mtime_ns
    shutil.copy(mask, masks / "broken.png")
    assert generate(tiny_model, "--mask", masks, "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["broken_seed0.png", "good_seed0.png"]
    assert (out / "good_seed0.png").stat().st_mtime_ns == before


def write_noise(path):
    save_png(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))


def write_claim(path):
    """Write a PNG of a few bytes whose header claims 20,000 x 20,000 pixels."""
    Image.new("L", (1, 1)).save(path)
    data = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])


def write_truncated(path):
    write_noise(path)
    path.write_bytes(path.read_bytes()[:-2000])


BAD_MASKS = {
    "a photograph": (write_noise, "looks like a photograph"),
    "unknown colours": (lambda path: Image.new("RGB", (9, 9), (3, 251, 7)).save(path), "belongs to no class"),
    "unknown labels": (lambda path: Image.new("L", (9, 9), 200).save(path), "it holds 200"),
    "no labels": (lambda path: Image.new("L", (9, 9), 255).save(path), "all of it is unpainted"),
    "a truncated PNG": (write_truncated, "damaged or cut off"),
    "a text file": (lambda path: path.write_text("a mask, please"), "cannot be read as one"),
    "an empty file": (lambda path: path.write_bytes(b""), "is empty"),
    "20,000 x 20,000": (write_claim, "at most 25 megapixels"),
}


@pytest.mark.parametrize("kind", BAD_MASKS)
def test_a_bad_mask_exits_with_2_and_one_sentence(tiny_model, tmp_path, capsys, kind):
    write, message = BAD_MASKS[kind]
    write(tmp_path / "bad.png")

    assert generate(tiny_model, "--mask", tmp_path / "bad.png", "--out", tmp_path / "out") == 2

    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


def without_a_tensor(model):
    replace_generator(model, lambda state: dict(list(state.items())[1:]))


def with_another_shape(model):
    replace_generator(model, lambda state: {name: tensor[None] for name, tensor in state.items()})


def replace_generator(model, change):
    """Change the generator's tensors and keep the checksum true, so that the tensors themselves must be checked."""
    path = model / "generator.safetensors"
    digest = save_weights(path, change(read_weights(path)), half=False)
    change_config(model, lambda config: config["files"].update({path.name: digest}))


def with_other_bytes(model):
    data = bytearray((model / "generator.safetensors").read_bytes())
    data[-1] ^= 255
    (model / "generator.safetensors").write_bytes(data)


def with_values_that_are_not_finite(model):
    path = model / "generator.safetensors"
    stored = read_weights(path)
    name = next(name for name, tensor in stored.items() if tensor.is_floating_point() and tensor.numel() > 4)
    stored[name] = torch.full_like(stored[name], 0.123)
    save_weights(path, stored)
    data, half = path.read_bytes(), np.float16(0.123).tobytes()
    path.write_bytes(data.replace(half, np.float16(np.nan).tobytes()))
    change_config(model, lambda config: config["files"].update({path.name: sha256_of(path)}))


def with_a_billion_channels(model):
    def claim(config):
        channels = config["generator"]["channels"]
        channels[next(iter(channels))] = 10**9

    change_config(model, claim)


def change_config(model, change):
    config = read_json(model / "config.json")
    change(config)
    write_json(model / "config.json", config)


BAD_MODELS = {
    "a missing tensor": (without_a_tensor, "but it lacks it"),
    "a tensor of another shape": (with_another_shape, "must have the shape"),
    "an altered tensor": (with_other_bytes, "SHA-256 differs"),
    "values that are not finite": (with_values_that_are_not_finite, "must be finite"),
    "10^9 channels": (with_a_billion_channels, "1000000000"),
    "no generator": (lambda model: (model / "generator.safetensors").unlink(), "does not exist"),
    "a config that is no JSON": (lambda model: (model / "config.json").write_text("{"), "must be JSON"),
    "a config without classes": (lambda model: change_config(model, lambda config: config.pop("labels")), "labels"),
    "an unknown key": (lambda model: change_config(model, lambda config: config["generator"].update(depth=3)), "unknown key 'depth'"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_bad_checkpoint_exits_with_2_and_one_sentence(tiny_model, tmp_path, capsys, kind):
    spoil, message = BAD_MODELS[kind]
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    spoil(model)

    assert generate(model, "--out", tmp_path / "out") == 2

    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_exits_with_2_and_names_the_places(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert generate("nobodys-model", "--out", tmp_path / "out") == 2
    assert "There is no model 'nobodys-model' in any of the places tried" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
