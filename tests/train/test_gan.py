"""The GAN trainer: one forward pass for both players gives the gradients of two separate ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from sisgen.cli.main import main
from sisgen.data.cache import PortraitCache, write_cache
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import THIN_128, StyleGAN2Config
from sisgen.io.configs import read_json, write_json
from sisgen.train.checkpoints import load_gan, load_generator
from sisgen.train.gan import GANConfig, GANTask, start_sizes
from sisgen.train.loop import StepInfo, generator_for

SEED = 3


def step_info(step: int, ids: range = range(8)) -> StepInfo:
    return StepInfo(step=step, sample_ids=tuple(ids), batch_size=len(ids), images_seen=10**6, total_images=2 * 10**6, seed=SEED)


def draw(task: GANTask, ids: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw real and generated pictures as the trainer does: index, latents, mixing, noise, each from its sample's own source."""
    sources = [generator_for(SEED, i) for i in ids]
    indices = [int(torch.randint(len(task.pictures), (1,), generator=g)) for g in sources]
    z = torch.stack([torch.randn(2, task.config.generator.z_dim, generator=g) for g in sources])[:, 0]
    for source in sources:
        torch.rand(2, generator=source)
    fake = task.generator(task.generator.map(z), noise_mode="random", generator=sources)
    return task.pictures.images(indices), fake


def gradients(network: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    names, parameters = zip(*network.named_parameters())
    return dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True)))


@pytest.mark.parametrize("step", [1, 2], ids=["plain", "with R1"])
def test_gradients_are_those_of_separate_passes(tiny_gan: dict[str, Any], step: int) -> None:
    task: GANTask = tiny_gan["make_task"](mixing=0.0, mirror=False)
    task.augment.p.zero_()
    real, fake = draw(task, range(8))
    net = task.discriminator
    g_wanted = gradients(task.generator, F.softplus(-net(fake)).mean())
    d_loss = F.softplus(net(fake.detach())).mean() + F.softplus(-net(real)).mean()
    if step % 2 == 0:
        seen = real.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(seen).sum(), seen, create_graph=True)
        d_loss = d_loss + slope.square().sum(dim=(1, 2, 3)).mean() * task.config.r1_gamma / 2 * 2  # lazy: every second step
    d_wanted = gradients(net, d_loss)

    stats = task.step(step_info(step))
    assert ("r1" in stats) == (step == 2)
    for network, wanted in ((task.generator, g_wanted), (net, d_wanted)):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            scale = float(wanted[name].abs().max()) + 1e-6
            assert float((parameter.grad - wanted[name]).abs().max()) <= 1e-4 * scale, name


def test_one_step_moves_both_players_the_average_and_the_mean_style(tiny_gan: dict[str, Any]) -> None:
    task: GANTask = tiny_gan["make_task"]()
    before = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in task.networks().items()}
    stats = task.step(step_info(0))
    for name in ("generator", "discriminator", "generator_ema"):
        after = task.networks()[name].state_dict()
        still = [k for k, v in after.items() if torch.equal(v, before[name][k])]
        assert [k for k in still if not k.endswith(("resample_filter", "noise_const"))] == [], name
    assert stats["ada_p"] != 0.4 and stats["r1"] >= 0 and abs(stats["real_sign"]) <= 1
    average = task.average.synthesis.b8.conv1.weight - before["generator_ema"]["synthesis.b8.conv1.weight"]
    moved = task.generator.synthesis.b8.conv1.weight - before["generator"]["synthesis.b8.conv1.weight"]
    assert torch.allclose(average, moved * (1 - 0.5 ** (8 / 10_000)), atol=1e-7)
    # Adam without momentum: the first step is the learning rate in every weight with a gradient.
    assert float(moved.detach().abs().max()) == pytest.approx(task.config.lr, rel=1e-2)


def test_style_mixing_gives_late_rows_another_latent(tiny_gan: dict[str, Any]) -> None:
    make: Callable[..., GANTask] = tiny_gan["make_task"]
    losses = [make(mixing=mixing).step(step_info(1))["d_loss"] for mixing in (0.0, 1.0)]
    assert losses[0] != losses[1]


def test_a_seed_gives_equal_networks_and_another_seed_others() -> None:
    sizes = StyleGAN2Config(resolution=8, z_dim=4, w_dim=4, channels={"4": 4, "8": 4})

    def weight(seed: int) -> torch.Tensor:
        return GANTask(GANConfig(generator=sizes), [], seed=seed).generator.synthesis.b4.const  # type: ignore[arg-type]

    state = torch.get_rng_state()
    assert torch.equal(weight(1), weight(1)) and not torch.equal(weight(1), weight(2))
    assert torch.equal(torch.get_rng_state(), state)  # nothing global was seeded


def test_samples_are_a_picture(tiny_gan: dict[str, Any], tmp_path: Path) -> None:
    tiny_gan["make_task"]().save_samples(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 1000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sisgen train gan` leaves after two steps on rendered portraits of 16 pixels."""
    root = tmp_path_factory.mktemp("gan")
    write_cache(root / "cache", range(4), 16)
    words = ["train", "gan", "--data", str(root / "cache"), "--out", str(root / "run"), "--export", str(root / "model")]
    assert main([*words, "--images", "4", "--batch", "2", "--device", "cpu"]) == 0
    return root


def test_the_command_writes_a_run_and_a_model(trained: Path) -> None:
    settings = read_json(trained / "run" / "settings.json")
    assert settings["task"] == "gan" and settings["loop"]["images"] == 4
    assert json.loads((trained / "run" / "stats.jsonl").read_text().splitlines()[-1])["images"] == 4
    content = read_json(trained / "model" / "config.json")
    assert content["images_seen"] == 4 and content["generator"]["resolution"] == 16
    assert set(content["files"]) == {"generator.safetensors", "generator_raw.safetensors", "discriminator.safetensors"}
    assert load_generator(trained / "model").config.resolution == 16


def test_training_starts_warm_from_a_model(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "model", tmp_path / "model")
    words = ["train", "gan", "--data", str(trained / "cache"), "--out", str(tmp_path / "run"), "--start", str(tmp_path / "model")]
    words += ["--seed", "7", "--export", str(tmp_path / "again")]  # another seed, from which other weights would start
    assert main([*words, "--images", "2", "--batch", "2", "--lr", "0", "--device", "cpu"]) == 0
    first, second = load_generator(tmp_path / "model"), load_generator(tmp_path / "again")
    for name, weight in first.named_parameters():
        assert torch.allclose(weight, second.get_parameter(name), atol=0.02), name  # raw and averaged weights are a step apart
    assert read_json(tmp_path / "again" / "config.json")["images_seen"] == 4 + 2


def test_training_goes_on_from_the_average_where_a_release_left_the_raw_weights_out(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "model", tmp_path / "model")
    content = read_json(tmp_path / "model" / "config.json")
    (tmp_path / "model" / "generator_raw.safetensors").unlink()
    files = {name: sum_ for name, sum_ in content["files"].items() if name != "generator_raw.safetensors"}
    write_json(tmp_path / "model" / "config.json", {**content, "files": files})
    task = GANTask(GANConfig(generator=load_generator(tmp_path / "model").config, unpack=2), PortraitCache(trained / "cache"), seed=9)
    task.load(tmp_path / "model")
    for raw, average in zip(task.generator.parameters(), task.average.parameters()):
        assert torch.equal(raw, average)


def test_a_warm_start_keeps_the_average(trained: Path, tmp_path: Path) -> None:
    """After a million pictures one step moves the average by little, though this run has seen none yet."""
    shutil.copytree(trained / "model", tmp_path / "model")
    content = read_json(tmp_path / "model" / "config.json")
    write_json(tmp_path / "model" / "config.json", {**content, "images_seen": 10**6})
    config = GANConfig(generator=load_generator(tmp_path / "model").config, unpack=2)
    task = GANTask(config, PortraitCache(trained / "cache"))
    task.load(tmp_path / "model")
    with torch.no_grad():
        task.average.synthesis.b8.conv1.weight.fill_(7.0)
    task.step(StepInfo(step=1, sample_ids=(0, 1), batch_size=2, images_seen=0, total_images=100, seed=0))
    assert torch.allclose(task.average.synthesis.b8.conv1.weight, torch.tensor(7.0), atol=0.01)


def test_a_model_folder_gives_all_three_networks(trained: Path) -> None:
    task = GANTask(GANConfig(generator=load_generator(trained / "model").config, unpack=2), [])  # type: ignore[arg-type]
    assert isinstance(task.discriminator, Discriminator)
    load_gan(trained / "model", generator=task.generator, average=task.average, discriminator=task.discriminator)
    raw = torch.load(next((trained / "run").glob("state-*2.pt")), weights_only=True)["networks"]
    for name, network in task.networks().items():
        if name != "augment":
            for key, value in network.state_dict().items():
                assert torch.allclose(value, raw[name][key].half().float(), atol=1e-6), (name, key)


def test_a_training_takes_the_sizes_of_what_it_starts_from(tiny_model: Path) -> None:
    assert start_sizes(None, 128, "thin").channels == THIN_128
    assert start_sizes(str(tiny_model), 32, "thin") == load_generator(tiny_model).config
    assert start_sizes(str(tiny_model), 128, "thin") == start_sizes(None, 128, "thin")  # of another resolution: its blocks are of no use
