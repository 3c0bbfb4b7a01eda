"""The warm start: the generator learns to decode pictures, and adversarial training goes on from there."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.data.cache import PortraitCache, write_cache
from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import read_json
from sisgen.io.weights import read_weights
from sisgen.nets.squeezenet import load_squeezenet
from sisgen.train.checkpoints import load_discriminator, load_generator
from sisgen.train.gan import GANConfig
from sisgen.train.loop import LoopConfig, StepInfo, run_loop
from sisgen.train.warmup import ENCODER_RATE, MAPPING_RATE, LossWeights, WarmupConfig, WarmupTask, calm, pyramid_distance, silence

SQUEEZENET = Path(__file__).parents[2] / "checkpoints" / "squeezenet"


def make_task(tiny_gan: dict[str, Any]) -> WarmupTask:
    torch.set_num_threads(1)
    return WarmupTask(WarmupConfig(gan=GANConfig(generator=tiny_gan["SIZES"]), lr=5e-3), tiny_gan["Blots"]())


def test_pictures_are_decoded_better_and_better(tiny_gan: dict[str, Any]) -> None:
    task = make_task(tiny_gan)
    fixed = {"sample_ids": tuple(range(16)), "batch_size": 16, "total_images": 640, "seed": 0}
    stats = [task.step(StepInfo(step=i, images_seen=16 * i, **fixed)) for i in range(40)]
    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert stats[-1]["difference"] < 0.5 * stats[0]["difference"]


def test_rates_rise_and_fall_and_each_part_has_its_share(tiny_gan: dict[str, Any]) -> None:
    task = make_task(tiny_gan)
    sizes = []
    for seen in (0, 64, 632):
        before = [[p.detach().clone() for p in group["params"]] for group in task.optimizer.param_groups]
        task.step(StepInfo(step=0, sample_ids=tuple(range(8)), batch_size=8, images_seen=seen, total_images=640, seed=0))
        groups = zip(task.optimizer.param_groups, before)
        sizes.append([max(float((p.detach() - old).abs().max()) for p, old in zip(group["params"], kept)) for group, kept in groups])
    synthesis, mapping, encoder = sizes[0]  # Adam's first step is as long as the rate
    assert synthesis == pytest.approx(5e-3 * 0.05, rel=0.05)
    assert mapping == pytest.approx(MAPPING_RATE * synthesis, rel=0.05)
    assert encoder == pytest.approx(ENCODER_RATE * synthesis, rel=0.05)
    assert sizes[2][0] < 0.2 * sizes[1][0]


@torch.no_grad()
def test_a_new_generator_begins_calm_and_its_latents_as_precise_as_they_may_be(tiny_gan: dict[str, Any]) -> None:
    task = make_task(tiny_gan)
    ws = task.average.map(torch.randn(16, tiny_gan["SIZES"].z_dim))
    loud = StyleGAN2(tiny_gan["SIZES"])
    assert float(task.average(ws, noise_mode="none").std()) < 0.2 * float(loud(ws, noise_mode="none").std())
    same = task.generator.state_dict()
    assert all(torch.equal(value, same[name]) for name, value in task.average.state_dict().items())
    kept = {name: value.clone() for name, value in loud.state_dict().items()}
    calm(loud)
    changed = {name for name, value in loud.state_dict().items() if not torch.equal(value, kept[name])}
    assert changed == {name for name in kept if name.endswith(("torgb.weight", "conv0.affine.weight", "conv1.affine.weight"))}
    _, log_variance = task.encoder(torch.rand(16, 3, task.size, task.size) * 2 - 1)
    assert float((log_variance + 2 * task.warmup.kl_target).abs().max()) < 0.3


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_gan: dict[str, Any], tmp_path: Path) -> None:
    def settings(name: str) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=32, batch=8, snapshot_minutes=0)

    whole, cut, resumed = make_task(tiny_gan), make_task(tiny_gan), make_task(tiny_gan)
    run_loop(whole, settings("whole"))
    run_until_killed(cut, settings("cut"))
    run_loop(resumed, settings("cut"))
    for name in ("generator", "average", "encoder", "weights"):
        wanted = getattr(whole, name).state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in getattr(resumed, name).state_dict().items()), name


def judged_task(tmp_path: Path) -> WarmupTask:
    """A task with everything on: decoded and drawn pictures, SqueezeNet, critics."""
    torch.set_num_threads(1)
    if not (tmp_path / "meta.json").exists():
        write_cache(tmp_path, range(8), 32)
    sizes = StyleGAN2Config(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8, "32": 8})
    config = WarmupConfig(gan=GANConfig(generator=sizes), adversarial=0.8, projected=0.4, decoded=0.5)
    return WarmupTask(config, PortraitCache(tmp_path), load_squeezenet(SQUEEZENET))


def test_critics_and_generator_learn_from_the_same_batch(tmp_path: Path) -> None:
    task = judged_task(tmp_path)
    before = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in task.networks().items()}
    stats = task.step(StepInfo(step=0, sample_ids=tuple(range(4)), batch_size=4, images_seen=0, total_images=8, seed=0))
    assert {"difference", "kl", "d_pixels", "g_pixels", "d_features", "g_features"} <= set(stats)
    assert all(math.isfinite(value) for value in stats.values())
    assert bool((task.weights.balance > 0).all())  # measured
    for name in ("generator", "encoder", "pixels", "features"):
        after = task.networks()[name].state_dict()
        assert any(not torch.equal(after[key], value) for key, value in before[name].items()), name


def test_a_resumed_run_with_critics_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    def run(name: str, images: int) -> WarmupTask:
        task = judged_task(tmp_path / "data")
        run_loop(task, LoopConfig(out=tmp_path / name, images=images, batch=4))
        return task

    whole = run("whole", 12)
    run("cut", 4)
    resumed = run("cut", 12)
    for name, net in whole.networks().items():
        found = resumed.networks()[name].state_dict()
        assert all(torch.equal(value, found[key]) for key, value in net.state_dict().items()), name


def test_critics_without_features_are_refused() -> None:
    with pytest.raises(TrainingError, match="--squeezenet"):
        WarmupTask(WarmupConfig(projected=0.5), [])  # type: ignore[arg-type]


def test_the_weight_of_the_kl_term_follows_its_target() -> None:
    weight = LossWeights()
    start = float(weight.log_kl)
    weight.follow_kl(2.8, target=1.4, rate=0.1)
    assert float(weight.log_kl) == pytest.approx(start + 0.1)
    weight.follow_kl(0.7, target=1.4, rate=0.1)
    assert float(weight.log_kl) == pytest.approx(start + 0.05)
    for _ in range(200):
        weight.follow_kl(1e9, target=1.4, rate=0.1)
    assert float(weight.log_kl) == 0.0


def test_the_distance_sees_coarse_differences_more() -> None:
    black, stripes, white = torch.full((1, 3, 16, 16), -1.0), torch.full((1, 3, 16, 16), -1.0), torch.ones(1, 3, 16, 16)
    stripes[..., ::2] = 1.0  # grey from afar
    assert float(pyramid_distance(black, white)) == pytest.approx(4 * 2.0)
    grey = torch.zeros(1, 3, 16, 16)
    assert float(pyramid_distance(stripes, grey)) == pytest.approx(1.0)  # seen at full resolution only


def test_silence_takes_the_noise_out(tiny_gan: dict[str, Any]) -> None:
    generator = make_task(tiny_gan).generator
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.ones_(parameter)
    ws = torch.randn(1, generator.config.num_ws, generator.config.w_dim)
    assert not torch.allclose(generator(ws), generator(ws, noise_mode="none"), atol=1e-2)
    silence(generator)
    assert torch.allclose(generator(ws), generator(ws, noise_mode="none"), atol=1e-5)


def test_adversarial_training_goes_on_from_it(tmp_path: Path) -> None:
    write_cache(tmp_path / "cache", range(4), 16)
    shared = ["--data", str(tmp_path / "cache"), "--batch", "2", "--device", "cpu"]
    warm = ["train", "warmup", "--out", str(tmp_path / "warm"), "--export", str(tmp_path / "model")]
    assert main([*warm, *shared, "--images", "4"]) == 0
    assert read_json(tmp_path / "model" / "config.json")["images_seen"] == 4

    gan = ["train", "gan", "--out", str(tmp_path / "gan"), "--start", str(tmp_path / "model"), "--export", str(tmp_path / "next")]
    assert main([*gan, *shared, "--images", "2"]) == 0
    assert read_json(tmp_path / "next" / "config.json")["images_seen"] == 6
    first, second = load_generator(tmp_path / "model"), load_generator(tmp_path / "next")
    apart = (first.synthesis.b8.conv1.weight - second.synthesis.b8.conv1.weight).abs().max()
    assert 0 < float(apart) < 0.02


def test_training_grows_from_a_lower_resolution(tmp_path: Path) -> None:
    write_cache(tmp_path / "cache", range(4), 16)
    shared = ["--data", str(tmp_path / "cache"), "--batch", "2", "--images", "4", "--device", "cpu", "--adversarial", "0.5"]
    low, full = str(tmp_path / "low"), str(tmp_path / "full")
    warm = ["train", "warmup", *shared]
    assert main([*warm, "--resolution", "8", "--width", "24", "--decoded", "0.5", "--out", str(tmp_path / "r8"), "--export", low]) == 0
    assert main([*warm, "--start", low, "--out", str(tmp_path / "r16"), "--export", full]) == 0
    assert read_json(tmp_path / "full" / "config.json")["images_seen"] == 8
    assert load_discriminator(full, load_generator(full).config).unpack == 2
    assert load_generator(full).config.channels["16"] == 24
    # What both resolutions share went on, what the finer one adds was made anew.
    a, b = (read_weights(tmp_path / name / "discriminator.safetensors") for name in ("low", "full"))
    assert 0 < float((a["b4.fc.weight"] - b["b4.fc.weight"]).abs().max()) < 0.05


@pytest.mark.parametrize("lr", ["0", "-0.001", "nan", "2"])
def test_a_rate_that_cannot_be_is_refused(tmp_path: Path, lr: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path, range(2), 16)
    out = ["--out", str(tmp_path / "run"), "--export", str(tmp_path / "model")]
    assert main(["train", "warmup", "--data", str(tmp_path), f"--lr={lr}", *out]) == 2
    assert f"--lr must lie in (0, 1], but it is {float(lr):g}; give a rate such as 0.02." in capsys.readouterr().err


def test_a_start_and_a_width_are_refused_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(2), 16)
    warm = ["train", "warmup", "--data", str(tmp_path / "cache"), "--images", "2", "--batch", "2", "--device", "cpu"]
    warm += ["--width", "24", "--export", str(tmp_path / "model")]
    assert main([*warm, "--out", str(tmp_path / "a")]) == 0
    assert main([*warm, "--out", str(tmp_path / "b"), "--start", str(tmp_path / "model")]) == 2
    assert "--width sets up a new generator, but --start" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_latents_grow_and_shorter_ones_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(4), 16)
    short, long = tmp_path / "short", tmp_path / "long"
    warm = ["train", "warmup", "--data", str(tmp_path / "cache"), "--images", "2", "--batch", "2", "--device", "cpu"]
    assert main([*warm, "--latent", "8", "--out", str(tmp_path / "a"), "--export", str(short)]) == 0
    grow = [*warm, "--start", str(short), "--latent", "12", "--lr", "1e-6", "--out", str(tmp_path / "b"), "--export", str(long)]
    assert main(grow) == 0
    assert load_generator(long).config.z_dim == 12
    a, b = (read_weights(folder / "warmup_encoder.safetensors") for folder in (short, long))
    for name in ("out.weight", "out.bias"):
        means, spreads = b[name].chunk(2)
        assert torch.allclose(torch.cat([means[:8], spreads[:8]]), a[name], atol=1e-4)
    assert torch.allclose(b["out.bias"][12 + 8 :], torch.tensor(-2 * 1.4, dtype=torch.float16), atol=1e-2)
    # What an encoder gives for the numbers that it had makes nearly the same picture.
    z, more = torch.randn(4, 8), torch.randn(4, 12)
    more[:, :8] = z
    one, two = load_generator(short), load_generator(long)
    more[:, 8:] *= (z.square().mean(dim=1) / more[:, 8:].square().mean(dim=1)).sqrt()[:, None]
    assert torch.allclose(one(one.map(z)), two(two.map(more)), atol=1e-3)
    assert main([*warm, "--start", str(long), "--latent", "8", "--out", str(tmp_path / "c"), "--export", str(short)]) == 2
    assert "have 12 numbers, but --latent asks for 8" in capsys.readouterr().err


def test_a_start_of_another_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for size in (16, 32):
        write_cache(tmp_path / str(size), range(2), size)
    warm = ["train", "warmup", "--images", "2", "--batch", "2", "--device", "cpu", "--export", str(tmp_path / "model")]
    assert main([*warm, "--data", str(tmp_path / "16"), "--out", str(tmp_path / "a")]) == 0
    assert main([*warm, "--data", str(tmp_path / "32"), "--out", str(tmp_path / "b"), "--start", str(tmp_path / "model")]) == 2
    assert "makes pictures of 16 px, but the pictures have 32" in capsys.readouterr().err


def test_an_odd_resolution_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(2), 16)
    out = ["--out", str(tmp_path / "run"), "--export", str(tmp_path / "model")]
    assert main(["train", "warmup", "--data", str(tmp_path / "cache"), "--resolution", "24", *out]) == 2
    assert "--resolution must be a power of two in 8..16" in capsys.readouterr().err
