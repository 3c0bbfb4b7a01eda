"""Training of drawing mappers on the tiny model: every kind, both stages, a resumed run, the command and its export."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.errors import TrainingError
from sisgen.io.configs import read_json
from sisgen.pipeline import Pipeline
from sisgen.proxy.drawing_mapper import COMPLETED_KINDS, DRAWING_KINDS
from sisgen.train.drawing_mapper import DrawingMapperTask, open_drawing_mapper
from sisgen.train.drawings.kinds import DrawingSource
from sisgen.train.loop import LoopConfig, StepInfo, generator_for, load_newest_state, run_loop


def make_task(folder: Path, kind: str) -> DrawingMapperTask:
    network = folder.parent / "depth" if kind == "depth" else None
    return open_drawing_mapper(folder, kind, torch.device("cpu"), network=network, width=8, fresh=True)


def info(step: int, total: int, batch: int = 4) -> StepInfo:
    first = step * batch
    return StepInfo(
        step=step, sample_ids=tuple(range(first, first + batch)), batch_size=batch, images_seen=first, total_images=total * batch, seed=0
    )


@pytest.mark.parametrize("kind", [kind for kind in DRAWING_KINDS if kind not in COMPLETED_KINDS])
def test_every_kind_learns_and_pictures_come_in_the_second_stage(complete: Path, kind: str) -> None:
    task = make_task(complete, kind)
    frozen = {name: value.clone() for name, value in task.engine.state_dict().items()}
    fixed = StepInfo(step=0, sample_ids=tuple(range(10**6, 10**6 + 8)), batch_size=8, images_seen=0, total_images=8, seed=0)
    before = task.step(fixed)
    stats = [task.step(info(step, 8)) for step in range(8)]
    after = task.step(fixed)

    assert after["reconstruction"] < before["reconstruction"]
    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert ["picture" in line for line in stats] == [step >= 4 for step in range(8)]
    assert "edges" in stats[-1]
    assert all(torch.equal(task.engine.state_dict()[name], value) for name, value in frozen.items())


@pytest.mark.parametrize("kind", ["scribble", "depth", "sketch"])
def test_a_pair_depends_on_its_own_id_alone(complete: Path, kind: str) -> None:
    task = make_task(complete, kind)
    whole = task._draw(
        task._samples([generator_for(0, i) for i in (5, 6, 7)]),
        [generator_for(0, i, 9) for i in (5, 6, 7)],
        [True, False, True],
        [False, False, False],
    )
    alone = task._draw(task._samples([generator_for(0, 6)]), [generator_for(0, 6, 9)], [False], [False])
    if kind == "depth":  # a network reads it, whose sums depend on the batch
        assert torch.allclose(whole.drawings[1:2], alone.drawings, atol=1e-5)
    else:
        assert torch.equal(whole.drawings[1:2], alone.drawings)
    if kind in COMPLETED_KINDS:
        assert whole.own is None and alone.own is None and torch.equal(whole.labels[1:2], alone.labels)
    else:
        assert torch.allclose(whole.own[1:2], alone.own, atol=1e-5)


@pytest.mark.parametrize("kind", COMPLETED_KINDS)
def test_they_learn_to_be_completed_without_a_picture(complete: Path, kind: str) -> None:
    task = make_task(complete, kind)
    assert task.mapper.config.completes and task.mapper.config.outputs == (4, 32)
    assert task.config.composed == (0.5 if kind == "scribble" else 0.0)  # depth of a composed mask is nowhere to be read
    fixed = StepInfo(step=0, sample_ids=tuple(range(10**6, 10**6 + 8)), batch_size=8, images_seen=0, total_images=8, seed=0)
    before = task.step(fixed)
    stats = [task.step(info(step, 8)) for step in range(8)]
    after = task.step(fixed)
    assert after["labels"] < before["labels"] and after["accuracy"] > before["accuracy"]
    assert all(line.keys() == {"labels", "accuracy"} and all(map(math.isfinite, line.values())) for line in stats)


def test_what_was_drawn_teaches_the_completion_nothing(complete: Path) -> None:
    losses = []
    for change in (0.0, 50.0):
        task = make_task(complete, "scribble")
        samples = task._samples([generator_for(0, i) for i in range(2)])
        pairs = task._draw(samples, [generator_for(0, i, 9) for i in range(2)], [False] * 2, [False] * 2)
        drawn = pairs.drawings.amax(dim=1, keepdim=True)
        assert 0 < float(drawn.mean()) < 1
        logits = task.mapper(pairs.drawings) + change * drawn * pairs.drawings.flip(1)
        losses.append(float(task._complete(logits, pairs, 0.0)["labels"]))
    assert losses[0] == losses[1]


def test_scribbles_of_composed_masks_show_classes_where_no_sample_has_them(complete: Path) -> None:
    task = make_task(complete, "scribble")
    samples = task._samples([generator_for(0, i) for i in range(4)])
    pairs = task._draw(samples, [generator_for(0, i, 9) for i in range(4)], [False] * 4, [True, True, False, False])
    assert torch.equal(pairs.labels[2:], samples.labels[2:])
    assert all(not torch.equal(pairs.labels[i], samples.labels[i]) for i in range(2))
    strokes = pairs.drawings.amax(dim=1) > 0
    wanted = pairs.drawings.argmax(dim=1)
    assert float((wanted == pairs.labels)[strokes].float().mean()) > 0.6  # strokes wobble over borders


class Flat:
    """Pictures of one colour each, by index."""

    def __len__(self) -> int:
        return 5

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        return torch.stack([torch.full((3, 32, 32), i / 4 - 0.5) for i in indices])


@pytest.mark.parametrize("kind", COMPLETED_KINDS)
def test_half_of_the_drawings_are_made_from_training_pictures(complete: Path, kind: str) -> None:
    mixed = make_task(complete, kind)
    mixed.pictures = Flat()
    samples = mixed._samples([generator_for(0, i) for i in range(12)])
    flat = [bool((image == image[0, 0, 0]).all()) for image in samples.images]
    assert 2 <= sum(flat) <= 10
    assert torch.equal(samples.labels[flat], mixed.engine.reader.read(samples.images[flat]))
    one = flat.index(False)
    again = mixed._samples([generator_for(0, one)])
    assert torch.allclose(again.images, samples.images[one : one + 1], atol=1e-5)
    assert math.isfinite(mixed.step(info(0, 4))["labels"])


def test_the_edges_alone_teach_the_mapper(complete: Path) -> None:
    task = make_task(complete, "canny")
    object.__setattr__(task.config, "stage_two", 0.0)
    for name in ("reconstruction", "picture"):
        object.__setattr__(task.config, name, 0.0)
    fixed = StepInfo(step=0, sample_ids=tuple(range(8)), batch_size=8, images_seen=0, total_images=8, seed=0)
    first = task.step(fixed)["edges"]
    for _ in range(12):
        task.step(fixed)
    assert task.step(fixed)["edges"] < first


def test_a_resumed_run_equals_an_uninterrupted_one(complete: Path, tmp_path: Path) -> None:
    def settings(name: str, images: int) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=images, batch=4, snapshot_minutes=0)

    run_loop(make_task(complete, "sketch"), settings("whole", 16))
    cut = make_task(complete, "sketch")
    run_until_killed(cut, settings("cut", 16))
    assert run_loop(make_task(complete, "sketch"), settings("cut", 16)) == 16
    whole, resumed = load_newest_state(tmp_path / "whole"), load_newest_state(tmp_path / "cut")
    assert whole is not None and resumed is not None
    for name, value in whole["networks"]["mapper"].items():
        assert torch.equal(value, resumed["networks"]["mapper"][name]), name


def train(model: Path, out: Path, *words: str) -> int:
    return main(["train", "drawing-mapper", "--model", str(model), "--out", str(out), "--batch", "2", "--device", "cpu", *words])


def test_the_command_writes_mappers_that_the_pipeline_reads(complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    shutil.copytree(complete, model)
    assert train(model, tmp_path / "hed", "--kind", "hed", "--images", "4", "--width", "8") == 0
    assert (tmp_path / "hed" / "samples-00000004.png").exists()
    assert train(model, tmp_path / "scribble", "--kind", "scribble", "--images", "2", "--width", "8") == 0
    pipe = Pipeline.from_pretrained(model, device="cpu")
    assert pipe.kinds == ("mask", "scribble", "hed", "exemplar")
    content: dict[str, Any] = read_json(model / "config.json")
    assert content["drawing_mappers"]["scribble"]["channels"] == 4 and content["training"]["mapper_hed"]["images_seen"] == 4
    assert content["training"]["mapper_hed"]["fitted_to"] == content["files"]["generator.safetensors"]

    # Warm: the same command in another folder goes on from what is there.
    before = pipe.engine.drawing_mappers["hed"].state_dict()
    task = open_drawing_mapper(model, "hed", torch.device("cpu"), seed=9)
    assert all(torch.equal(value, before[name]) for name, value in task.mapper.state_dict().items())

    # Another run's folder, a network that is not there.
    assert train(model, tmp_path / "hed", "--kind", "sketch", "--width", "8") == 2
    assert "holds a run of 'hed_mapper'" in capsys.readouterr().err
    assert train(model, tmp_path / "hed2", "--kind", "hed", "--data", str(tmp_path)) == 2
    assert "--data is for --kind scribble and depth alone, but --kind is hed; leave it out." in capsys.readouterr().err
    assert train(model, tmp_path / "depth", "--kind", "depth", "--depth", str(tmp_path / "gone")) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_source_checks_its_kind() -> None:
    with pytest.raises(TrainingError, match="The kind must be one of scribble"):
        DrawingSource(kind="doodle", num_labels=3)
    with pytest.raises(TrainingError, match="pass --depth"):
        DrawingSource(kind="depth", num_labels=3)


REFUSED = [("lr", 0.0, "--lr must lie in"), ("lr", math.nan, "--lr must lie in"), ("stage_two", 1.5, "--stage-two must be")]


@pytest.mark.parametrize(("setting", "value", "words"), REFUSED)
def test_settings_out_of_range_are_refused(complete: Path, setting: str, value: float, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        open_drawing_mapper(complete, "sketch", torch.device("cpu"), width=8, **{setting: value})
