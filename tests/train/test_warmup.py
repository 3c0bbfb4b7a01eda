"""The warm start: the generator learns to decode pictures, and adversarial training goes on from there."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sisgen.cli.main import main
from sisgen.data.cache import write_cache
from sisgen.io.configs import read_json
from sisgen.train.checkpoints import load_generator
from sisgen.train.gan import GANConfig
from sisgen.train.loop import LoopConfig, StepInfo, run_loop
from sisgen.train.warmup import KLWeight, WarmupConfig, WarmupTask, pyramid_distance, silence


def make_task(tiny_gan: dict[str, Any]) -> WarmupTask:
    torch.set_num_threads(1)
    return WarmupTask(WarmupConfig(gan=GANConfig(generator=tiny_gan["SIZES"]), lr=5e-3), tiny_gan["Blots"]())


def test_pictures_are_decoded_better_and_better(tiny_gan: dict[str, Any]) -> None:
    task = make_task(tiny_gan)
    fixed = StepInfo(step=0, sample_ids=tuple(range(16)), batch_size=16, images_seen=0, total_images=640, seed=0)
    stats = [task.step(fixed) for _ in range(40)]
    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert stats[-1]["difference"] < 0.7 * stats[0]["difference"]


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_gan: dict[str, Any], tmp_path: Path) -> None:
    class Cut(WarmupTask):
        def step(self, info: StepInfo) -> dict[str, float]:
            if info.step == 2:
                raise KeyboardInterrupt
            return super().step(info)

    def settings(name: str) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=32, batch=8, snapshot_minutes=0)

    whole, cut, resumed = make_task(tiny_gan), make_task(tiny_gan), make_task(tiny_gan)
    run_loop(whole, settings("whole"))
    cut.__class__ = Cut
    with pytest.raises(KeyboardInterrupt):
        run_loop(cut, settings("cut"))
    run_loop(resumed, settings("cut"))
    for name in ("generator", "average", "encoder", "kl_weight"):
        wanted = getattr(whole, name).state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in getattr(resumed, name).state_dict().items()), name


def test_the_weight_of_the_kl_term_follows_its_target() -> None:
    weight = KLWeight()
    start = float(weight.log_value)
    weight.follow(2.8, target=1.4, rate=0.1)
    assert float(weight.log_value) == pytest.approx(start + 0.1)
    weight.follow(0.7, target=1.4, rate=0.1)
    assert float(weight.log_value) == pytest.approx(start + 0.05)
    for _ in range(200):
        weight.follow(1e9, target=1.4, rate=0.1)
    assert float(weight.log_value) == 0.0


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
