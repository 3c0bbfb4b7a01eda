"""Training of the blocks behind the cut: pictures come back better, what stands in front of the cut stays, runs resume."""

import dataclasses
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.data.cache import write_cache
from sisgen.generators.discriminator import PatchDiscriminator
from sisgen.generators.encoder import PictureEncoder
from sisgen.generators.widen import widen_last
from sisgen.io.configs import from_dict, read_json, write_json
from sisgen.io.models import fitted_elsewhere
from sisgen.io.weights import read_weights
from sisgen.nets.squeezenet import load_squeezenet
from sisgen.pipeline import Pipeline
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.train.checkpoints import export_parts, generator_sha256, load_generator, load_part
from sisgen.train.fitting import load_clusters
from sisgen.train.guide import load_guide
from sisgen.train.loop import LoopConfig, StepInfo, run_loop
from sisgen.train.tail import TailConfig, TailTask
from sisgen.train.warmup import ENCODER_FILE, MAPPING_FILE

CPU = torch.device("cpu")
SQUEEZENET = Path(__file__).parents[2] / "checkpoints" / "squeezenet"


class Discs:
    """Pictures of one bright disc each, by index."""

    def __len__(self) -> int:
        return 40

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        line = torch.arange(32)
        pictures = torch.full((len(indices), 3, 32, 32), -0.6)
        for picture, index in zip(pictures, indices):
            x, y = 8 + 2 * (index % 8), 10 + 2 * (index // 8)
            picture[index % 3, (line[:, None] - y) ** 2 + (line[None] - x) ** 2 < 49] = 0.8
        return pictures


@pytest.fixture
def started(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with a warm start's encoder and mapping of random weights."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    generator = load_generator(folder)
    torch.manual_seed(3)
    export_parts(folder, {ENCODER_FILE: PictureEncoder(generator.config), MAPPING_FILE: generator.mapping}, {})
    return folder


def make_task(model: Path, *, guided: bool = False, lr: float = 5e-3) -> TailTask:
    generator = load_generator(model)
    encoder = PictureEncoder(generator.config)
    load_part(model, ENCODER_FILE, encoder)
    rearranger = Rearranger(from_dict(RearrangerConfig, read_json(model / "config.json")["rearranger"]))
    load_part(model, "rearranger", rearranger)
    torch.manual_seed(0)
    return TailTask(
        TailConfig(lr=lr, r1_interval=2),
        widen_last(generator, 12),
        load_clusters(model),
        rearranger,
        encoder=encoder,
        mapping=generator.mapping,
        critic=PatchDiscriminator(32, generator.config.channels, unpack=2, blocks=1),
        squeezenet=load_squeezenet(SQUEEZENET),
        pictures=Discs(),
        guide=load_guide(model, CPU) if guided else None,
    )


def info(step: int, num: int = 40, batch: int = 4) -> StepInfo:
    first = step * batch
    ids = tuple(range(first, first + batch))
    return StepInfo(step=step, sample_ids=ids, batch_size=batch, images_seen=first, total_images=num * batch, seed=0)


def test_pictures_come_back_better_and_the_head_stays(started: Path) -> None:
    task = make_task(started)
    head = {name: value.clone() for name, value in task.generator.state_dict().items() if ".b16." not in name and ".b32." not in name}
    stats = [task.step(info(step)) for step in range(40)]
    assert all(math.isfinite(value) for line in stats for value in line.values())
    early, late = (sum(line["difference"] for line in part) for part in (stats[:8], stats[-8:]))
    assert late < 0.8 * early
    now = task.generator.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in head.items())


def test_all_that_learns_moves_and_nothing_else(started: Path) -> None:
    task = make_task(started)
    before = {f"{part}.{name}": p.detach().clone() for part, net in task.networks().items() for name, p in net.named_parameters()}
    for step in range(2):
        task.step(info(step))
    after = {f"{part}.{name}": p for part, net in task.networks().items() for name, p in net.named_parameters()}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    learn = ("generator.synthesis.b16.", "generator.synthesis.b32.", "rearranger.query.", "rearranger_ema.", "generator_ema.", "critic.")
    assert all(any(name.startswith(start) for name in moved) for start in learn)
    fixed = (
        "generator.mapping",
        "generator.synthesis.b4",
        "generator.synthesis.b8",
        "generator_ema.mapping",
        "rearranger.tokens",
        "rearranger.fine_tokens",
    )
    assert not any(name.startswith(fixed) or "noise_strength" in name for name in moved)


def test_a_guide_maps_classes_as_people_draw_them(started: Path) -> None:
    guide = load_guide(started, CPU)
    assert guide is not None
    labels = guide.read(Discs().images(range(3)))
    masks = torch.nn.functional.one_hot(labels, guide.mapper.config.num_labels).permute(0, 3, 1, 2).float()
    assert torch.allclose(guide.proxy_of(labels), guide.mapper(masks).softmax(dim=1), atol=1e-6)

    composed = dataclasses.replace(guide, composed=1.0).compose(labels, 0, range(3))
    assert composed.shape == labels.shape and torch.equal(composed, dataclasses.replace(guide, composed=1.0).compose(labels, 0, range(3)))
    assert torch.equal(dataclasses.replace(guide, composed=0.0).compose(labels, 0, range(3)), labels)
    content = read_json(started / "config.json")
    write_json(started / "config.json", {**content, "mappers": {}})
    assert load_guide(started, CPU) is None


def test_a_picture_that_reads_as_asked_costs_less(started: Path) -> None:
    guide = load_guide(started, CPU)
    assert guide is not None
    pictures = Discs().images(range(4))
    read = guide.read(pictures)
    assert guide.loss(pictures, read) < guide.loss(pictures, (read + 1) % guide.mapper.config.num_labels)


@pytest.mark.parametrize("knows_pictures", [True, False])
def test_half_of_the_samples_are_driven_by_own_proxy_masks_and_half_by_mapped_classes(started: Path, knows_pictures: bool) -> None:
    task = make_task(started, guided=True)
    assert task.guide is not None
    task.guide = dataclasses.replace(task.guide, knows_pictures=knows_pictures, composed=0.0)
    real, decoded = Discs().images(range(4)), Discs().images([20, 21])
    own = torch.rand(4, task.clusters.config.num_clusters, 16, 16).softmax(dim=1)
    wanted, classes = task._drive(own, decoded, real, info(0))
    assert classes is not None and torch.equal(wanted[:2], own[:2])
    assert torch.equal(classes, task.guide.read(torch.cat([decoded, real[2:] if knows_pictures else decoded])))
    assert torch.equal(wanted[2:], task.guide.proxy_of(classes[2:]))


def test_only_a_guide_asks_for_classes(started: Path) -> None:
    guided, alone = (make_task(started, guided=yes).step(info(0)) for yes in (True, False))
    assert guided["keep"] == alone["keep"] and guided["mask"] != alone["mask"]
    assert "classes" in guided and "classes" not in alone and alone["edges"] > 0


def test_a_resumed_run_equals_an_uninterrupted_one(started: Path, tmp_path: Path) -> None:
    def settings(name: str) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=16, batch=4, snapshot_minutes=0)

    whole, cut, resumed = make_task(started), make_task(started), make_task(started)
    run_loop(whole, settings("whole"))
    run_until_killed(cut, settings("cut"))
    run_loop(resumed, settings("cut"))
    for name, network in whole.networks().items():
        state = resumed.networks()[name].state_dict()
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items()), name


def test_the_command_widens_the_model_and_keeps_what_still_belongs_to_it(started: Path, tmp_path: Path) -> None:
    content, before = read_json(started / "config.json"), generator_sha256(started)
    notes = {part: {"fitted_to": before} for part in ("proxy", "rearranger", "mapper", "segmenter")}
    write_json(started / "config.json", {**content, "images_seen": 100, "training": notes})
    head = read_weights(started / "generator.safetensors")["synthesis.b8.conv1.weight"]
    write_cache(tmp_path / "cache", range(6), 32)
    words = ["train", "tail", "--model", started, "--data", tmp_path / "cache", "--squeezenet", SQUEEZENET, "--width", 12]
    words += ["--out", tmp_path / "run", "--batch", 4, "--device", "cpu", "--images"]
    assert main([str(word) for word in [*words, 4]]) == 0
    assert read_json(started / "config.json")["images_seen"] == 104
    assert main([str(word) for word in [*words, 8]]) == 0  # the same run goes on, and what it counted is not counted again

    content = read_json(started / "config.json")
    assert content["generator"]["channels"]["32"] == 12 and content["images_seen"] == 108
    assert content["training"]["tail"] == {"seed": 0, "images_seen": 8, "fitted_to": generator_sha256(started)}
    elsewhere = {part for part in notes if fitted_elsewhere(content["training"], content["files"], part)}
    assert elsewhere == {"segmenter"} and generator_sha256(started) != before
    assert torch.equal(read_weights(started / "generator.safetensors")["synthesis.b8.conv1.weight"], head)
    assert Pipeline.from_pretrained(started, device="cpu")(None, seeds=[1]).images.shape == (1, 3, 32, 32)


def test_the_rate_holds_for_blocks_and_rearranger_alike(started: Path) -> None:
    moved = []
    for lr in (1e-2, 1e-3):
        task = make_task(started, lr=lr)
        parts = (task.tail_weights, task.rearranger_weights)
        before = [[p.detach().clone() for p in part] for part in parts]
        task.step(info(0))
        moved.append([max(float((p.detach() - old).abs().max()) for p, old in zip(*pair)) for pair in zip(parts, before)])
    for fast, slow in zip(*moved):  # Adam's first step is as long as the rate
        assert fast == pytest.approx(10 * slow, rel=0.05)


@pytest.mark.parametrize("lr", ["0", "-0.001", "nan", "2"])
def test_a_rate_that_cannot_be_is_refused(started: Path, tmp_path: Path, lr: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "tail", "--model", started, "--data", tmp_path, "--squeezenet", SQUEEZENET, "--out", tmp_path / "run", f"--lr={lr}"]
    assert main([str(word) for word in words]) == 2
    assert f"--lr must lie in (0, 1], but it is {float(lr):g}; give a rate such as 0.001." in capsys.readouterr().err


def test_a_model_without_an_encoder_is_refused(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(2), 32)
    words = ["train", "tail", "--model", tiny_model, "--data", tmp_path / "cache", "--squeezenet", SQUEEZENET, "--out", tmp_path / "run"]
    assert main([str(word) for word in words]) == 2
    assert "must have a warm start's encoder, but it has none; run `train warmup` first." in capsys.readouterr().err


def test_a_batch_of_one_picture_is_refused(started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "tail", "--model", started, "--data", tmp_path, "--squeezenet", SQUEEZENET, "--out", tmp_path / "run", "--batch", 1]
    assert main([str(word) for word in words]) == 2
    assert "--batch must be at least 2, two pictures a process, but it is 1; give a larger one." in capsys.readouterr().err
