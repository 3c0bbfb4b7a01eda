"""`sisgen invert`, and what `generate` makes of its files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.cli.main import main
from sisgen.generators.latents import latents
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.io.configs import to_dict
from sisgen.io.images import load_image, read_png_text, save_png, to_uint8
from sisgen.io.labels import read_labels, write_labels
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invert") / "tiny"
    shutil.copytree(tiny_model, folder)
    generator = load_generator(folder)
    torch.manual_seed(5)
    encoder = Encoder(encoder_config(generator.config))
    encoder.measure_spread(generator, latents(range(64), 8))
    export_parts(folder, {"encoder": encoder}, {"encoder": to_dict(encoder.config)})
    return folder


@pytest.fixture(scope="module")
def photo(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "me.png"
    sample = to_uint8(Pipeline.from_pretrained(model, device="cpu")(seeds=[11]).images)[0]
    save_png(path, sample.repeat(2, axis=0).repeat(3, axis=1))
    return path


def call(verb: str, model: Path, out: Path, *words: str) -> int:
    return main([verb, "--model", str(model), "--out", str(out), "--device", "cpu", *words])


def test_a_photograph_becomes_files_that_generate_takes(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("invert", model, tmp_path / "me", "--photo", str(photo), "--steps", "2", "--box", "0", "0", "64", "64") == 0
    assert "mean squared error" in capsys.readouterr().out
    names = {"me.safetensors", "me_reconstruction.png", "me_photo.png", "me_labels.png"}
    assert {path.name for path in (tmp_path / "me").iterdir()} == names
    pipe = Pipeline.from_pretrained(model, device="cpu")
    labels = read_labels(tmp_path / "me" / "me_labels.png", pipe.labels)
    assert np.array_equal(labels, pipe.load_inversion(tmp_path / "me" / "me.safetensors").labels[0].numpy())
    reconstruction = load_image(tmp_path / "me" / "me_reconstruction.png")

    # Its own labels in its own style are the reconstruction; other labels are not.
    style = ["--style", str(tmp_path / "me" / "me.safetensors")]
    assert call("generate", model, tmp_path / "same", *style, "--mask", str(tmp_path / "me" / "me_labels.png")) == 0
    assert np.abs(load_image(tmp_path / "same" / "me_labels_seed0.png").astype(int) - reconstruction).max() <= 1
    write_labels(tmp_path / "edited.png", np.where(labels == 1, 2, 1), pipe.labels)
    assert call("generate", model, tmp_path / "edited", *style, "--mask", str(tmp_path / "edited.png")) == 0
    assert np.abs(load_image(tmp_path / "edited" / "edited_seed0.png").astype(int) - reconstruction).max() > 1

    # One class of the photograph from a seed.
    words = [*style, "--mask", str(tmp_path / "me" / "me_labels.png"), "--region", f"{pipe.labels.names[labels[0, 0]]}=5"]
    assert call("generate", model, tmp_path / "part", *words) == 0
    assert np.abs(load_image(tmp_path / "part" / "me_labels_seed0.png").astype(int) - reconstruction).max() > 1
    assert json.loads(read_png_text(tmp_path / "part" / "me_labels_seed0.png")["sisgen"])["base"] == "photo"

    # The shape of a picture, in the styles of seeds.
    assert call("generate", model, tmp_path / "shape", "--exemplar", str(photo), "--seeds", "1", "2") == 0
    first, second = (load_image(tmp_path / "shape" / f"{photo.stem}_seed{seed}.png") for seed in (1, 2))
    assert not np.array_equal(first, second)


BAD = {
    "no file": (["--photo", "nowhere.png"], "nowhere.png"),
    "half a step": (["--photo", "{photo}", "--steps", "1.5"], "--steps must be a whole number, but it is 1.5"),
    "a box outside": (["--photo", "{photo}", "--box", "0", "0", "999", "999"], "within 96 x 64, but it is 0, 0, 999, 999"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_arguments_are_one_sentence(model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    words, message = BAD[kind]
    assert call("invert", model, tmp_path, *(word.format(photo=photo) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_generate_says_what_is_wrong_with_a_photograph(
    model: Path, tiny_model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("generate", model, tmp_path, "--style", "nowhere.png") == 2
    assert "--style must be a picture or a file of `sisgen invert`, but 'nowhere.png' is no file" in capsys.readouterr().err
    assert call("generate", tiny_model, tmp_path, "--exemplar", str(photo)) == 2
    assert "has no encoder for photographs" in capsys.readouterr().err
