"""Training of the mask mapper on the tiny model, its second stage included."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.io.configs import from_dict, read_json, write_json
from sisgen.io.weights import read_weights
from sisgen.pipeline import Pipeline
from sisgen.proxy.mapper import MaskMapper
from sisgen.train.loop import LoopConfig, StepInfo, generator_for, load_newest_state, run_loop
from sisgen.train.mapper import MapperTask, MapperTrainConfig
from sisgen.train.segmenter import load_segmenter
from sisgen.types import LabelSet


def make_task(folder: Path, **changes: Any) -> MapperTask:
    pipeline, (segmenter, labels) = Pipeline.from_pretrained(folder, device="cpu"), load_segmenter(folder)
    torch.manual_seed(0)
    pipeline.engine.mapper = MaskMapper(pipeline.engine.mapper.config)
    return MapperTask(MapperTrainConfig(mapper=pipeline.engine.mapper.config, lr=1e-2, **changes), pipeline.engine, segmenter, labels)


def info(step: int, total: int, batch: int = 6) -> StepInfo:
    first = step * batch
    ids = tuple(range(first, first + batch))
    return StepInfo(step=step, sample_ids=ids, batch_size=batch, images_seen=first, total_images=total * batch, seed=0)


def test_the_reconstruction_falls_and_pictures_come_in_the_second_stage(complete: Path) -> None:
    task = make_task(complete)
    frozen = {name: value.clone() for name, value in task.engine.state_dict().items() if not name.startswith("mapper")}
    fixed = StepInfo(step=0, sample_ids=tuple(range(10**6, 10**6 + 24)), batch_size=24, images_seen=0, total_images=24, seed=0)
    before = task.step(fixed)
    stats = [task.step(info(step, 25)) for step in range(25)]
    after = task.step(fixed)

    assert after["reconstruction"] < 0.94 * before["reconstruction"]
    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert ["picture" in line for line in stats] == [step / 25 >= 0.4 for step in range(25)]
    assert all(0 <= line["accuracy"] <= 1 for line in stats if "accuracy" in line)
    assert all(torch.equal(task.engine.state_dict()[name], value) for name, value in frozen.items())


def test_the_picture_alone_teaches_the_mapper(complete: Path) -> None:
    task = make_task(complete, stage_two=0.0, reconstruction=0.0)
    fixed = StepInfo(step=0, sample_ids=tuple(range(24)), batch_size=24, images_seen=0, total_images=24, seed=0)
    before = {name: p.detach().clone() for name, p in task.engine.mapper.named_parameters()}
    first = task.step(fixed)["picture"]
    assert [name for name, p in task.engine.mapper.named_parameters() if torch.equal(p, before[name])] == []
    for _ in range(12):
        task.step(fixed)
    assert task.step(fixed)["picture"] < first


class Noise:
    """Pictures of noise, by index."""

    def __len__(self) -> int:
        return 5

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        return torch.stack([torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(i)).clamp(-1, 1) for i in indices])


def test_training_pictures_bring_masks_as_the_reader_reads_them(complete: Path) -> None:
    task = make_task(complete, stage_two=0.0)
    task.pictures = Noise()
    sources = [generator_for(0, i, stream=3) for i in range(6)]
    of_samples = task._pairs(sources)[1].argmax(dim=1)
    masks = task._foreign(of_samples, sources, 0, range(6))
    known = task.engine.reader.read(torch.cat([(images := Noise().images(range(5))), images.flip(3)]))
    assert [any(torch.equal(mask, one) for one in known) for mask in masks] == [True, False] * 3
    assert math.isfinite(task.step(info(0, 4))["picture"])


def test_a_resumed_run_equals_an_uninterrupted_one(complete: Path, tmp_path: Path) -> None:
    def settings(name: str) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=16, batch=4, snapshot_minutes=0)

    run_loop(make_task(complete), settings("whole"))
    cut = make_task(complete)
    run_until_killed(cut, settings("cut"))
    assert run_loop(make_task(complete), settings("cut")) == 16

    whole, resumed = load_newest_state(tmp_path / "whole"), load_newest_state(tmp_path / "cut")
    assert whole is not None and resumed is not None
    for name, value in whole["networks"]["mapper"].items():
        assert torch.equal(value, resumed["networks"]["mapper"][name]), name


def train(model: Path, out: Path, *words: str) -> int:
    return main(["train", "mapper", "--model", str(model), "--out", str(out), "--batch", "2", "--device", "cpu", *words])


def test_the_command_writes_a_mapper_that_the_pipeline_reads(complete: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(complete, model)
    assert train(model, tmp_path / "fresh", "--images", "6", "--width", "12", "--fresh") == 0
    assert (tmp_path / "fresh" / "samples-00000006.png").exists()
    mapper = Pipeline.from_pretrained(model, device="cpu").engine.mapper
    assert mapper.config.width == 12
    content = read_json(model / "config.json")
    assert content["training"]["mapper"]["fitted_to"] == content["files"]["generator.safetensors"]
    assert len(from_dict(LabelSet, read_json(model / "config.json")["labels"])) == mapper.config.num_labels

    # Warm: the same command in another folder starts from what is there.
    before = read_weights(model / "mapper_mask.safetensors")["head.weight"].float()
    assert train(model, tmp_path / "warm", "--images", "2", "--width", "12", "--seed", "5") == 0
    after = read_weights(model / "mapper_mask.safetensors")["head.weight"].float()
    assert 0 < float((after - before).abs().max()) < 0.05


def test_a_missing_part_is_named(complete: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    shutil.copytree(complete, model)
    content = read_json(model / "config.json")
    content.pop("rearranger")
    write_json(model / "config.json", content)
    assert train(model, tmp_path / "run") == 2
    assert "needs a rearranger before its mapper, but it has none" in capsys.readouterr().err

    assert train(tiny_model, tmp_path / "run") == 2
    assert "must have a segmenter, but it has none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
