"""Parts that were trained for another generator than a model's own: left out with a sentence, or refused with one."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.engines.models import read_config
from sisgen.errors import CheckpointError, InputError
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.io.configs import read_json, to_dict, write_json
from sisgen.io.models import fitted_elsewhere
from sisgen.io.weights import read_weights
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator, training_notes
from sisgen.train.drawing_mapper import export_drawing_mapper, open_drawing_mapper
from sisgen.train.segmenter import load_segmenter

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def model(drawing_model: Path, tmp_path: Path) -> Path:
    """A model with drawing mappers and an encoder, all noted as trained for its generator."""
    folder = tmp_path / "model"
    shutil.copytree(drawing_model, folder)
    sizes = encoder_config(load_generator(folder).config)
    export_parts(folder, {"encoder": Encoder(sizes)}, {"encoder": to_dict(sizes)})
    for part in ("rearranger", "mapper", "encoder", "segmenter", "mapper_sketch", "mapper_hed"):
        write_json(folder / "config.json", read_json(folder / "config.json") | {"training": training_notes(folder, part, {}, model=folder)})
    return folder


def train_generator_on(model: Path) -> None:
    """Give a model another generator, as `sisgen train gan` does; its other parts stay."""
    generator = load_generator(model).requires_grad_(False)
    next(iter(generator.synthesis.parameters())).mul_(1.5)
    export_parts(model, {"generator": generator}, {})


def note(model: Path, part: str, fitted_to: str) -> None:
    content = read_json(model / "config.json")
    content["training"][part]["fitted_to"] = fitted_to
    write_json(model / "config.json", content)


def test_parts_of_the_models_own_generator_are_loaded_in_silence(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = Pipeline.from_pretrained(model, device="cpu")
    assert pipe.has_encoder and {"sketch", "hed", "canny", "scribble", "depth"} < set(pipe.kinds) and not caplog.records


def test_an_encoder_and_drawing_mappers_of_another_generator_are_left_out(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    for part in ("encoder", "mapper_sketch"):
        note(model, part, "0" * 64)
    with caplog.at_level(logging.WARNING):
        pipe = Pipeline.from_pretrained(model, device="cpu")
    lost = f"of '{pipe.name}' was trained for another generator than the model's and is left out; run `python -m sisgen train"
    assert [record.getMessage() for record in caplog.records] == [
        f"The sketch mapper {lost} drawing-mapper --kind sketch` again.",
        f"The encoder {lost} encoder` again.",
    ]
    assert "sketch" not in pipe.kinds and {"hed", "canny"} < set(pipe.kinds)  # of the latter nothing is noted
    assert "sketch" not in pipe.engine.drawing_mappers and pipe.engine.encoder is None
    with pytest.raises(InputError, match="has no encoder for photographs"):
        pipe.invert(np.zeros((32, 32, 3), dtype=np.uint8))


def test_what_no_drawing_can_do_without_stays_and_is_told_after_the_generator_changed(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_generator_on(model)
    with caplog.at_level(logging.WARNING):
        config = read_config(model)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 5 and config.encoder is None and not {"sketch", "hed"} & set(config.drawing_mappers)
    for part, trainer in (("rearranger", "rearranger"), ("mask mapper", "mapper")):
        lost = "was trained for another generator than the model's and may not follow drawings"
        assert f"The {part} of '{config.name}' {lost}; run `python -m sisgen train {trainer}` again." in told


def test_a_segmenter_of_another_generator_teaches_nothing(model: Path) -> None:
    content = read_json(model / "config.json")
    content["training"]["segmenter"] = {"config": {}, "fitted_to": "0" * 64}
    write_json(model / "config.json", content)
    with pytest.raises(CheckpointError, match=r"The segmenter of .* was trained for another one; run `python -m sisgen train segmenter"):
        load_segmenter(model)


def test_trained_again_they_belong(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    note(model, "mapper_sketch", "0" * 64)
    old = read_weights(model / "mapper_sketch.safetensors")
    task = open_drawing_mapper(model, "sketch", CPU, width=6)
    assert all(torch.equal(value, old[name].to(value)) for name, value in task.mapper.state_dict().items())  # it goes on from there
    export_drawing_mapper(model, task, {})
    caplog.clear()
    assert "sketch" in Pipeline.from_pretrained(model, device="cpu").kinds and not caplog.records


def test_notes_that_say_nothing_refuse_nothing() -> None:
    files = {"generator.safetensors": "a"}
    assert fitted_elsewhere({"encoder": {"fitted_to": "b"}}, files, "encoder")
    for training in ({}, {"encoder": {}}, {"encoder": "by hand"}, {"encoder": {"fitted_to": "a"}}, {"encoder": {"fitted_to": None}}):
        assert not fitted_elsewhere(training, files, "encoder")
    assert not fitted_elsewhere({"encoder": {"fitted_to": "b"}}, {}, "encoder")


@pytest.mark.parametrize("name", ["portraits", "cats"])
def test_all_parts_of_a_shipped_model_belong_to_its_generator(name: str) -> None:
    content = read_json(ROOT / "checkpoints" / name / "config.json")
    strangers = [part for part in content["training"] if fitted_elsewhere(content["training"], content["files"], part)]
    assert strangers == []
