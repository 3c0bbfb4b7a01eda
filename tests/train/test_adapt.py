"""Adaptation of tiny generators: order, resume after a kill, what is kept, and which model stays."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sisgen.errors import InputError, SisgenError, TrainingError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.io.configs import read_json, to_dict, write_json
from sisgen.io.files import sha256_of
from sisgen.io.labels import write_labels, write_palettes
from sisgen.io.weights import read_weights, save_weights
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.pipeline import Pipeline
from sisgen.shapes import drawing_size
from sisgen.train.adapt import AdaptConfig, AdaptProgress, AdaptSizes, StageSizes, adapt, sizes_for
from sisgen.train.adaptation.copies import edit_copy
from sisgen.train.adaptation.labels import open_labels
from sisgen.train.adaptation.starts import choose_start
from sisgen.train.adaptation.state import claim, load_state
from sisgen.train.checkpoints import export_parts
from sisgen.types import LabelSet

STAGES = ["segmenter", "clusters", "rearranger", "reader", "mapper", "validation"]
PETS = LabelSet(names=("ground", "head", "ear"), colors=((20, 20, 20), (220, 180, 140), (120, 60, 200)))


def stage(share: float, images: int) -> StageSizes:
    return StageSizes(share=share, images=images, most=10**6, batch=4)


TINY = AdaptSizes(
    sources=(8, 16),
    num_clusters=5,
    cluster_samples=8,
    rearranger=stage(0.5, 8),
    segmenter=stage(0.1, 8),
    reader=stage(0.1, 8),
    mapper=stage(0.25, 8),
    mapper_width=8,
    held_out=8,
    validation=4,
    validation_batch=4,
    class_samples=4,
)


@pytest.fixture(scope="module")
def annotator(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A reader with random weights, which tells classes apart all the same."""
    folder = tmp_path_factory.mktemp("adapt") / "annotator"
    torch.manual_seed(4)
    reader = Reader(ReaderConfig(num_labels=4, width=8)).eval()
    export_parts(folder, {"reader": reader}, {"labels": read_json(tiny_model / "config.json")["labels"], "reader": to_dict(reader.config)})
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, tiny_generator: StyleGAN2) -> Path:
    """A model folder with nothing but a generator."""
    folder = tmp_path_factory.mktemp("adapt") / "bare"
    export_parts(folder, {"generator": tiny_generator}, {"generator": to_dict(tiny_generator.config)})
    return folder


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory, bare: Path, annotator: Path) -> Path:
    """That model, adapted once."""
    root = tmp_path_factory.mktemp("adapted")
    assert adapt(snapping(bare, root, annotator)).replaced
    return root / "model"


def settings(model: Path, work: Path, annotator: Path | None, **changes: Any) -> AdaptConfig:
    values: dict[str, Any] = {"out": model, "labels": 3, "sizes": TINY, "device": "cpu", **changes}
    return AdaptConfig(model=model, work=work, annotator=annotator, **values)


def snapping(model: Path, root: Path, annotator: Path) -> AdaptConfig:
    """A run whose segmenter takes a while, with a snapshot after every step."""
    sizes = replace(TINY, segmenter=stage(0.1, 80))
    return settings(model, root / "work", annotator, out=root / "model", sizes=sizes, snapshot_minutes=0.0)


def run(config: AdaptConfig, **more: Any) -> tuple[Any, list[AdaptProgress]]:
    told: list[AdaptProgress] = []
    return adapt(config, report=told.append, **more), told


def stages_of(told: list[AdaptProgress]) -> list[str]:
    return list(dict.fromkeys(progress.stage for progress in told))


def copy(model: Path, to: Path) -> Path:
    shutil.copytree(model, to)
    return to


def paint(folder: Path, label_set: LabelSet, seeds: tuple[int, ...] = (2, 5)) -> Path:
    for seed in seeds:
        mask = np.zeros((32, 32), dtype=np.int64)
        mask[8:24, 6 + seed : 26] = 1
        mask[4:8, 10:14] = 2
        write_labels(folder / f"{seed}.png", mask, label_set)
    write_palettes(folder, label_set, "pets")
    return folder


def change_generator(model: Path) -> None:
    """As if the generator had gone on training."""
    state = read_weights(model / "generator.safetensors")
    state["synthesis.b16.conv1.bias"] = state["synthesis.b16.conv1.bias"] + 0.05
    content = read_json(model / "config.json")
    content["files"]["generator.safetensors"] = save_weights(model / "generator.safetensors", state)
    write_json(model / "config.json", content)


def test_a_bare_generator_becomes_a_whole_model(bare: Path, annotator: Path, tmp_path: Path) -> None:
    before = sha256_of(bare / "generator.safetensors")
    result, told = run(settings(bare, tmp_path / "work", annotator, out=tmp_path / "model"))

    assert (result.folder, result.validation_before, result.replaced, result.finished) == (tmp_path / "model", None, True, True)
    assert 0 <= result.validation_after <= 1 and "none to compare with" in result.sentence
    assert stages_of(told) == STAGES
    assert all(a.done <= b.done + 1e-9 for a, b in itertools.pairwise(told)) and 0 <= told[0].done < 0.1 < told[-1].done <= 1
    assert told[-1].picture == tmp_path / "work" / "mapper" / "samples-00000008.png" and told[-1].picture.exists()

    pipe = Pipeline.from_pretrained(tmp_path / "model", device="cpu")
    assert pipe.name == "model" and len(pipe.labels) == 4 and pipe.revision != "local"
    training = read_json(tmp_path / "model" / "config.json")["training"]
    for part in ("proxy", "rearranger", "segmenter", "reader", "mapper"):
        assert training[part]["fitted_to"] == before, part
    assert training["validation"]["miou"] == round(result.validation_after, 4) and training["validation"]["before"] is None
    assert (tmp_path / "model" / "CARD.md").read_text().count("## Last adaptation") == 1
    assert "proxy" not in read_json(bare / "config.json")

    again, told = run(settings(bare, tmp_path / "work", annotator, out=tmp_path / "model"))
    assert told == [] and again.replaced and "finished before" in again.sentence


def test_a_killed_run_goes_on_where_it_was_and_comes_out_the_same(bare: Path, adapted: Path, annotator: Path, tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("tiny_adapt.py")), str(bare), str(tmp_path / "killed"), str(annotator)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(words, env=env)
    work = tmp_path / "killed" / "work"
    while process.poll() is None and len(list(work.glob("rearranger/state-*.pt"))) < 2:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model").exists()
    state = load_state(work)
    assert state is not None and state.stages["segmenter"].done and not state.stages["rearranger"].done

    result, told = run(snapping(bare, tmp_path / "killed", annotator))
    assert stages_of(told) == STAGES[2:] and result.replaced
    for name in read_json(adapted / "config.json")["files"]:
        assert sha256_of(adapted / name) == sha256_of(tmp_path / "killed" / "model" / name), name


def test_a_stop_leaves_a_snapshot_and_the_model_alone(adapted: Path, annotator: Path, tmp_path: Path) -> None:
    model, stop = copy(adapted, tmp_path / "model"), threading.Event()
    held = sha256_of(model / "config.json")

    def report(progress: AdaptProgress) -> None:
        if progress.stage == "mapper":
            stop.set()

    config = settings(model, tmp_path / "work", annotator, seed=3)
    result = adapt(config, report=report, stop=stop)
    assert (result.finished, result.replaced, result.validation_after) == (False, False, None)
    assert sha256_of(model / "config.json") == held
    result, told = run(config)
    assert result.finished and stages_of(told) == STAGES[4:]


def test_new_classes_keep_clusters_and_rearranger_bit_for_bit(adapted: Path, tmp_path: Path) -> None:
    model = copy(adapted, tmp_path / "model")
    (model / "notes.txt").write_text("mine")
    held = {name: (model / name).read_bytes() for name in ("proxy.safetensors", "rearranger.safetensors", "generator.safetensors")}
    result, told = run(settings(model, tmp_path / "work", None, masks=paint(tmp_path / "masks", PETS)))

    assert stages_of(told) == [stage for stage in STAGES if stage not in ("clusters", "rearranger")]
    assert result.replaced and result.validation_before is None  # other classes: no score to compare with
    assert {name: (model / name).read_bytes() for name in held} == held
    content = read_json(model / "config.json")
    assert content["labels"]["names"] == list(PETS.names) and content["mappers"]["mask"]["num_labels"] == 3
    assert content["training"]["segmenter"]["seeds"] == [2, 5]
    assert set(content["class_seeds"]) <= set(PETS.names)
    assert Pipeline.from_pretrained(model, device="cpu").labels == PETS
    assert (model / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_changed_generator_is_followed_and_said_so(
    adapted: Path, annotator: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = copy(adapted, tmp_path / "model")
    centroids = read_weights(model / "proxy.safetensors")["centroids"]
    change_generator(model)
    with caplog.at_level("INFO"):
        result, told = run(settings(model, tmp_path / "work", annotator, force=True))

    assert "generator changed since the rearranger was fitted: it goes on from what is there" in caplog.text
    assert stages_of(told) == [stage for stage in STAGES if stage != "clusters"] and result.validation_before is not None
    assert "its clusters follow" in caplog.text and not torch.equal(read_weights(model / "proxy.safetensors")["centroids"], centroids)
    training = read_json(model / "config.json")["training"]
    assert training["rearranger"]["fitted_to"] == training["proxy"]["fitted_to"] == sha256_of(model / "generator.safetensors")


def test_a_worse_model_does_not_replace_a_better_one(adapted: Path, annotator: Path, tmp_path: Path) -> None:
    out = copy(adapted, tmp_path / "model")
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    config = settings(adapted, tmp_path / "work", annotator, out=out, seed=7)
    stop = threading.Event()
    adapt(config, report=lambda progress: stop.set() if progress.stage == "validation" else None, stop=stop)
    worsen_mapper(tmp_path / "work" / "model")
    result = adapt(config)

    assert not result.replaced and result.folder == tmp_path / "work" / "model"
    assert result.validation_before is not None and result.validation_after is not None
    assert result.validation_after <= result.validation_before and "no better" in result.sentence
    assert {path.name: path.read_bytes() for path in out.iterdir()} == held

    # Not even by force where somebody else was there meanwhile; else by force, and without training again.
    change_generator(out)
    meddled, told = run(replace(config, force=True))
    assert not meddled.replaced and told == [] and "was changed by another meanwhile" in meddled.sentence
    shutil.rmtree(out)
    copy(adapted, out)
    forced, told = run(replace(config, force=True))
    assert forced.replaced and told == [] and (out / "mapper_mask.safetensors").read_bytes() != held["mapper_mask.safetensors"]
    notes = read_json(out / "config.json")["training"]["validation"]
    assert notes["before"] == round(result.validation_before, 4) and notes["miou"] == round(result.validation_after, 4)


def worsen_mapper(model: Path) -> None:
    """A mapper that says the same of every mask."""
    state = {name: torch.zeros_like(value) for name, value in read_weights(model / "mapper_mask.safetensors").items()}
    content = read_json(model / "config.json")
    content["files"]["mapper_mask.safetensors"] = save_weights(model / "mapper_mask.safetensors", state)
    write_json(model / "config.json", content)


def test_a_budget_is_kept_and_a_fresh_discriminator_joins_on_request(bare: Path, annotator: Path, tmp_path: Path) -> None:
    endless = StageSizes(share=0.2, images=10**7, most=10**7, batch=4)  # without a budget it would not come to an end
    sizes = replace(TINY, rearranger=endless, segmenter=endless, reader=endless, mapper=endless)
    config = settings(bare, tmp_path / "work", annotator, out=tmp_path / "model", sizes=sizes, minutes=0.05, adversarial=True)
    result, told = run(config)
    assert result.replaced
    assert all(progress.minutes_left <= 0.051 for progress in told)
    state = load_state(tmp_path / "work")
    training = read_json(tmp_path / "model" / "config.json")["training"]
    assert state is not None and 0 < training["mapper"]["images_seen"] <= state.stages["mapper"].images < 10**6
    assert training["rearranger"]["adversarial"] == "a fresh discriminator"
    assert "d_accuracy" in (tmp_path / "work" / "rearranger" / "stats.jsonl").read_text()


def test_a_model_that_notes_nothing_keeps_its_rearranger_only_as_it_was_released(
    adapted: Path, annotator: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = copy(adapted, tmp_path / "model")
    content = read_json(model / "config.json")
    del content["training"]["rearranger"]["fitted_to"], content["training"]["segmenter"]["labels_key"]
    write_json(model / "config.json", content)
    pets = open_labels(settings(model, tmp_path, None, masks=paint(tmp_path / "masks", PETS)), 32, torch.device("cpu"))
    same = open_labels(settings(model, tmp_path, annotator), 32, torch.device("cpu"))
    config = settings(model, tmp_path / "work", annotator)

    assert choose_start(model, config, pets) == "kept" and choose_start(model, config, same) == "warm"
    assert choose_start(model, replace(config, fresh=True), pets) == "anew"
    change_generator(model)
    with caplog.at_level("INFO"):
        assert choose_start(model, config, pets) == "warm"
    assert "It is not known which generator the rearranger was fitted to" in caplog.text


def test_a_copy_that_is_being_written_stays_whole(adapted: Path, tmp_path: Path) -> None:
    model = copy(adapted, tmp_path / "model")
    held = {path.name: path.read_bytes() for path in model.iterdir()}
    with pytest.raises(KeyboardInterrupt), edit_copy(model) as twin:
        export_parts(twin, {"reader": Reader(ReaderConfig(num_labels=4, width=4))}, {})
        raise KeyboardInterrupt  # what a kill leaves
    assert {path.name: path.read_bytes() for path in model.iterdir()} == held
    with edit_copy(model) as twin:
        export_parts(twin, {"reader": Reader(ReaderConfig(num_labels=4, width=4))}, {})
    changed = {name for name, content in held.items() if (model / name).read_bytes() != content}
    assert changed == {"config.json", "reader.safetensors"} and len(list(model.iterdir())) == len(held)


def test_two_runs_do_not_share_a_work_folder(bare: Path, annotator: Path, tmp_path: Path) -> None:
    with claim(tmp_path / "work"), pytest.raises(TrainingError, match="Another adaptation is at work"):
        adapt(settings(bare, tmp_path / "work", annotator))


def test_what_cannot_be_adapted_is_one_sentence(bare: Path, adapted: Path, annotator: Path, tmp_path: Path) -> None:
    def refuse(error: type[SisgenError], words: str, config: AdaptConfig) -> None:
        with pytest.raises(error, match=words):
            adapt(config)
        assert not (tmp_path / "model").exists()

    work, out = tmp_path / "work", tmp_path / "model"
    refuse(TrainingError, "either painted masks or an annotator", settings(bare, work, None, out=out))
    refuse(TrainingError, "must hold masks named SEED.png", settings(adapted, work, None, out=out, masks=tmp_path))
    refuse(InputError, "has no config.json", settings(tmp_path / "gone", work, annotator, out=out))
    refuse(SisgenError, "does not exist", settings(bare, work, tmp_path / "gone", out=out))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    refuse(InputError, "holds other things", settings(bare, work, annotator, out=tmp_path / "full"))
    masks = paint(tmp_path / "masks", PETS)
    (masks / "palette.json").unlink()
    refuse(InputError, "classes of the masks", settings(bare, work, None, out=out, masks=masks))
    write_labels(masks / "9.png", np.zeros((32, 16), dtype=np.int64), PETS)
    refuse(InputError, "must be square", settings(bare, work, None, out=out, masks=masks, label_set=PETS))


@pytest.mark.parametrize(("resolution", "sources"), [(32, (8, 16)), (64, (16, 32)), (128, (32, 64)), (256, (32, 64)), (1024, (32, 128))])
def test_sizes_suit_every_resolution(resolution: int, sources: tuple[int, int]) -> None:
    sizes = sizes_for(StyleGAN2Config(resolution=resolution, channels=channels_by_rule(resolution, 32768, 512)))
    assert sizes.sources == sources and 32 <= sizes.cluster_samples <= 512
    assert sizes.rearranger.share == 0.35 and sizes.mapper.share == 0.37
    assert (resolution // sources[1]) in (1, 2, 4, 8)
    assert sizes.segmenter.batch * drawing_size(resolution) ** 2 <= 4 * 256**2 and sizes.rearranger.batch * resolution**2 <= 2 * 1024**2
