"""Inversions as files: the same reconstruction after a round trip; other models' and other files are refused."""

import shutil
from pathlib import Path

import pytest
import torch

from sisgen.errors import SisgenError
from sisgen.inversion.inversion import Inversion
from sisgen.io.weights import read_weights, save_weights
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator


def test_a_round_trip_keeps_everything(photo_pipeline: Pipeline, inversion: Inversion, tmp_path: Path) -> None:
    photo_pipeline.save_inversion(tmp_path / "me.safetensors", inversion)
    loaded = photo_pipeline.load_inversion(tmp_path / "me.safetensors")
    assert torch.equal(loaded.ws, inversion.ws) and torch.equal(loaded.image, inversion.image)
    assert torch.equal(loaded.labels, inversion.labels) and loaded.labels_from == inversion.labels_from
    assert torch.allclose(loaded.photo, inversion.photo, atol=1 / 127)
    assert torch.equal(photo_pipeline(None, style=loaded).images, inversion.image)


def test_other_models_and_other_files_are_refused(
    photo_model: Path, photo_pipeline: Pipeline, inversion: Inversion, tmp_path: Path
) -> None:
    path = tmp_path / "me.safetensors"
    photo_pipeline.save_inversion(path, inversion)
    other = tmp_path / "other"
    shutil.copytree(photo_model, other)
    generator = load_generator(other)
    with torch.no_grad():
        generator.synthesis.block(4).const.add_(0.1)
    export_parts(other, {"generator": generator}, {})
    with pytest.raises(SisgenError, match="must be inverted with this model, but it was made with the model 'tiny' in another state"):
        Pipeline.from_pretrained(other, device="cpu").load_inversion(path)

    tensors = read_weights(path)
    tensors["labels"] = tensors["labels"] + 100
    metadata = {"generator": photo_pipeline.config.files["generator.safetensors"], "labels_from": "photo"}
    save_weights(tmp_path / "labels.safetensors", tensors, half=False, metadata=metadata)
    (tmp_path / "words.safetensors").write_text("no weights")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:2000])
    for name, message in {
        "labels": "must lie in 0..3",
        "words": "must be an inverted photograph",
        "cut": "header cannot be read",
        "missing": "must be an inverted photograph",
    }.items():
        with pytest.raises(SisgenError, match=message) as caught:
            photo_pipeline.load_inversion(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)
    with pytest.raises(SisgenError, match="another file of weights"):
        photo_pipeline.load_inversion(photo_model / "reader.safetensors")
