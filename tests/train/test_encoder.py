"""Training of the encoder on the tiny model: samples whose style rows are known, and pictures."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.data.cache import PortraitCache, write_cache
from sisgen.errors import TrainingError
from sisgen.generators.encoder import PictureEncoder
from sisgen.generators.latents import latents
from sisgen.io.configs import read_json
from sisgen.io.snapshots import load_newest_state
from sisgen.io.weights import read_weights
from sisgen.nets.squeezenet import load_squeezenet
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator
from sisgen.train.encoder import EncoderTask, open_encoder
from sisgen.train.loop import LoopConfig, StepInfo, run_loop

SQUEEZENET = Path(__file__).parents[2] / "checkpoints" / "squeezenet"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> PortraitCache:
    return write_cache(tmp_path_factory.mktemp("encoder") / "cache", range(12), 32, supersample=1)


def fixed_info(batch: int = 8, seen: int = 0, total: int = 800) -> StepInfo:
    return StepInfo(step=0, sample_ids=tuple(range(batch)), batch_size=batch, images_seen=seen, total_images=total, seed=0)


def test_reconstructions_come_nearer_and_only_the_encoder_changes(tiny_model: Path, cache: PortraitCache) -> None:
    task = open_encoder(tiny_model, cache, CPU)
    frozen = {name: value.clone() for name, value in task.generator.state_dict().items()}
    stats = [task.step(fixed_info(seen=400)) for _ in range(20)]
    task.squeezenet = load_squeezenet(SQUEEZENET)
    last = task.step(fixed_info(batch=2))
    assert all(math.isfinite(value) for line in [*stats, last] for value in line.values())
    assert {"pixels", "perceptual", "labels", "known", "deltas", "typical"} == set(last) == set(stats[0]) | {"perceptual"}
    assert stats[-1]["known"] < 0.8 * stats[0]["known"] and stats[-1]["pixels"] < stats[0]["pixels"]
    assert all(torch.equal(value, frozen[name]) for name, value in task.generator.state_dict().items())


def test_rows_are_let_loose_from_coarse_to_fine(tiny_model: Path, cache: PortraitCache) -> None:
    task = open_encoder(tiny_model, cache, CPU)
    early, middle, late = (task._enabled(seen)[:, 0] for seen in (500, 4_500, 9_000))
    assert float(early[0]) == 1 and not bool(early[1:].any())
    assert bool((middle[1:] <= middle[:-1]).all()) and float(middle[1]) == 1 and float(middle[-1]) == 0
    assert bool((late == 1).all())

    torch.nn.init.normal_(task.encoder.change.weight)
    assert task.step(fixed_info())["deltas"] == 0  # at the start all rows are one
    assert task.step(fixed_info(seen=9_000, total=20_000))["deltas"] > 0


def test_a_warm_starts_encoder_is_taken_over(tiny_model: Path, cache: PortraitCache, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    torch.manual_seed(4)
    old = PictureEncoder(load_generator(model).config)
    export_parts(model, {"warmup_encoder": old}, {})
    task = open_encoder(model, cache, CPU)
    images = cache.images(range(12))
    with torch.no_grad():
        # Twelve pictures span twelve directions: fewer than the bottleneck keeps, so nothing is lost.
        assert torch.allclose(task.encoder(images)[0], old(images)[0], atol=0.02)
    other = open_encoder(model, cache, CPU, fresh=True)
    with torch.no_grad():
        assert not torch.allclose(other.encoder(images)[0], old(images)[0], atol=0.1)


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_model: Path, cache: PortraitCache, tmp_path: Path) -> None:
    def run(name: str, images: int) -> None:
        run_loop(open_encoder(tiny_model, cache, CPU), LoopConfig(out=tmp_path / name, images=images, batch=4))

    def halted(task: EncoderTask, out: Path) -> None:
        run_until_killed(task, LoopConfig(out=out, images=12, batch=4, snapshot_minutes=0), step=1)

    run("whole", 12)
    halted(open_encoder(tiny_model, cache, CPU), tmp_path / "cut")
    run("cut", 12)
    whole, resumed = load_newest_state(tmp_path / "whole"), load_newest_state(tmp_path / "cut")
    assert whole is not None and resumed is not None
    for name, value in whole["networks"]["encoder_ema"].items():
        assert torch.equal(value, resumed["networks"]["encoder_ema"][name]), name


def train(model: Path, cache: PortraitCache, out: Path, *words: str) -> int:
    arguments = ["--model", str(model), "--data", str(cache.path), "--out", str(out), "--batch", "4", "--device", "cpu"]
    return main(["train", "encoder", *arguments, *words])


def test_the_command_writes_an_encoder_that_the_pipeline_reads(tiny_model: Path, cache: PortraitCache, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    assert not Pipeline.from_pretrained(model, device="cpu").has_encoder
    assert train(model, cache, tmp_path / "run", "--images", "8", "--squeezenet", str(SQUEEZENET)) == 0
    assert (tmp_path / "run" / "samples-00000008.png").exists()
    pipe = Pipeline.from_pretrained(model, device="cpu")
    assert pipe.has_encoder and pipe.engine.encoder is not None
    assert torch.allclose(pipe.engine.encoder.spread, pipe.engine.generator.map(latents(range(1024), 8))[:, 0].std(dim=0), rtol=1e-2)
    content = read_json(model / "config.json")
    assert content["training"]["encoder"]["fitted_to"] == content["files"]["generator.safetensors"]

    # Warm: the same command in another folder starts from what is there, rows apart.
    before = read_weights(model / "encoder.safetensors")["latent.weight"].float()
    assert train(model, cache, tmp_path / "warm", "--images", "4", "--seed", "5") == 0
    after = read_weights(model / "encoder.safetensors")["latent.weight"].float()
    assert 0 < float((after - before).abs().max()) < 0.05


def test_the_rate_reaches_the_optimizer_and_one_that_cannot_be_is_refused(
    tiny_model: Path, cache: PortraitCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = []
    for lr in (1e-3, 1e-4):
        task = open_encoder(tiny_model, cache, CPU, lr=lr)
        before = task.encoder.latent.weight.detach().clone()
        task.step(StepInfo(step=0, sample_ids=(0, 1), batch_size=2, images_seen=5_000, total_images=10_000, seed=0))
        moved.append(float((task.encoder.latent.weight.detach() - before).abs().max()))
    assert moved[0] == pytest.approx(10 * moved[1], rel=0.05)  # Adam's first step is as long as the rate
    assert train(tiny_model, cache, tmp_path / "run", "--lr", "0") == 2
    assert "--lr must lie in (0, 1], but it is 0; give a rate such as 0.0015." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_pictures_of_another_size_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    small = write_cache(tmp_path / "small", range(2), 16, supersample=1)
    with pytest.raises(TrainingError, match="must have 32 pixels, as the generator's are, but they have 16"):
        open_encoder(tiny_model, small, CPU)


def test_encoding_gives_style_rows(tiny_model: Path, cache: PortraitCache) -> None:
    task = open_encoder(tiny_model, cache, CPU)
    images: Any = cache.images(range(3))
    ws = task.average.encode(task.generator, images)
    assert ws.shape == (3, task.generator.config.num_ws, 8) and bool((ws[:, :1] == ws).all())  # no row apart before training
