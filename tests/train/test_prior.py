"""The second stage of a warm start: the mapping brings a standard normal to where the latents of pictures are."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from sisgen.cli.main import main
from sisgen.data.cache import write_cache
from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import read_json
from sisgen.io.weights import read_weights
from sisgen.nets.flow import VelocityField, flow_loss, transport
from sisgen.nets.layers import normalize_second_moment
from sisgen.train.checkpoints import load_generator
from sisgen.train.latents import RunningGaussian
from sisgen.train.loop import LoopConfig, run_loop
from sisgen.train.prior import PriorConfig, PriorTask

SIZES = StyleGAN2Config(resolution=16, z_dim=4, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8})


def ellipsoid(num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of pictures, as flat as an encoder leaves them: means and deviations [N, 2, 4]."""
    axes = torch.tensor([0.6, 0.3, 0.1, 0.02])
    points = torch.tensor([0.0, 1.0, 0.5, -0.5]) + axes * torch.randn(num, 2, 4, generator=torch.Generator().manual_seed(0))
    return points, torch.full((num, 2, 4), 0.02)


def make_task() -> PriorTask:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = StyleGAN2(SIZES).eval().requires_grad_(False)
    return PriorTask(PriorConfig(lr=4e-3, mapping_lr=0.3, half_life=500.0), generator, generator.mapping, *ellipsoid(400))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Energy distance of two clouds of points."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def test_the_mapping_learns_where_pictures_are(tmp_path: Path) -> None:
    task = make_task()
    run_loop(task, LoopConfig(out=tmp_path, images=64 * 800, batch=64))
    source = torch.Generator().manual_seed(1)
    noise = normalize_second_moment(torch.randn(1_000, 4, generator=source))
    wanted = task.teacher.embed_latent(task.means[torch.randint(len(task.means), (1_000,), generator=source)])
    plain, fitted = task.teacher.embed_latent(noise), task.fitted().embed_latent(noise)
    assert distance(fitted, wanted) < 0.35 * distance(plain, wanted)
    assert torch.allclose(task.fitted().w_avg, fitted.mean(dim=0), atol=0.1 * float(fitted.std()))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, first, second = make_task(), make_task(), make_task()
    run_loop(whole, LoopConfig(out=tmp_path / "whole", images=32 * 10, batch=32))

    def stop_at_seven(seen: int) -> None:
        if seen >= 32 * 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loop(first, LoopConfig(out=tmp_path / "cut", images=32 * 10, batch=32, snapshot_minutes=0), watch=stop_at_seven)
    run_loop(second, LoopConfig(out=tmp_path / "cut", images=32 * 10, batch=32))
    for name, net in whole.networks().items():
        found = second.networks()[name].state_dict()
        assert all(torch.equal(value, found[key]) for key, value in net.state_dict().items()), name


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(TrainingError, match="40 pictures or more"):
        PriorTask(PriorConfig(), StyleGAN2(SIZES), StyleGAN2(SIZES).mapping, *ellipsoid(8))


def test_a_flow_moves_one_cloud_to_another() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    field, source = VelocityField(2, width=32, depth=1), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(field.parameters(), lr=5e-3)
    wanted = torch.tensor([3.0, -1.0])
    for _ in range(200):
        start = torch.randn(128, 2, generator=source)
        loss = flow_loss(field, start, wanted + 0.1 * torch.randn(128, 2, generator=source), torch.rand(128, 1, generator=source))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = transport(field, torch.randn(256, 2, generator=source))
    assert torch.allclose(moved.mean(dim=0), wanted, atol=0.15)
    assert float(moved.std(dim=0).max()) < 0.4


def test_running_moments_find_mean_and_covariance() -> None:
    torch.manual_seed(0)
    prior, axes = RunningGaussian(2), torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    for _ in range(1_500):
        prior.follow(*prior.moments(torch.randn(64, 2) @ axes.t() + torch.tensor([4.0, -2.0])))
    drawn = prior.draw(torch.randn(20_000, 2))
    assert torch.allclose(drawn.mean(dim=0), torch.tensor([4.0, -2.0]), atol=0.2)
    assert torch.allclose(torch.cov(drawn.t()), axes @ axes.t(), atol=0.4)


def test_nothing_is_worked_out_where_nothing_is_drawn() -> None:
    prior = RunningGaussian(2)
    prior.covariance.neg_()  # no covariance of anything: it has no factor
    assert prior.draw(torch.randn(0, 2)).shape == (0, 2)
    with pytest.raises(torch.linalg.LinAlgError):
        prior.draw(torch.randn(1, 2))


def layers_of(model: Path) -> int:
    """Layers of a model's mapping, by its config and by its weights."""
    load_generator(model)  # refuses weights of another depth
    return int(read_json(model / "config.json")["generator"]["num_mapping_layers"])


def test_the_command_replaces_the_mapping_only_and_training_goes_on(tmp_path: Path) -> None:
    cache, model = str(tmp_path / "cache"), str(tmp_path / "model")
    write_cache(tmp_path / "cache", range(40), 16)
    warm = ["train", "warmup", "--data", cache, "--batch", "2", "--device", "cpu", "--export", model]
    assert main([*warm, "--images", "4", "--mixing", "0.5", "--out", str(tmp_path / "warm")]) == 0
    before = read_weights(tmp_path / "model" / "generator.safetensors")
    fit = ["train", "prior", "--model", model, "--data", cache, "--images", "64", "--batch", "8", "--device", "cpu"]
    assert main([*fit, "--out", str(tmp_path / "prior")]) == 0
    after = read_weights(tmp_path / "model" / "generator.safetensors")
    changed = {name for name, value in after.items() if name not in before or not torch.equal(value, before[name])}
    assert changed and all(name.startswith("mapping.") for name in changed)
    assert layers_of(tmp_path / "model") == 4  # deeper than what decodes
    assert load_generator(tmp_path / "model").map(torch.randn(1, 64)).isfinite().all()
    assert {"held_out", "missed", "latents_seen"} <= set(read_json(tmp_path / "model" / "config.json")["training"]["prior"])

    # Elsewhere, a model can go on as well: the encoder comes with it.
    assert main([*fit, "--out", str(tmp_path / "elsewhere"), "--export", str(tmp_path / "other")]) == 0
    encoders = [read_weights(tmp_path / name / "warmup_encoder.safetensors") for name in ("model", "other")]
    assert encoders[0].keys() == encoders[1].keys() and all(torch.equal(encoders[0][name], encoders[1][name]) for name in encoders[0])

    # Decoding goes on with the mapping that begins at the encoder's latents.
    kept = read_weights(tmp_path / "model" / "warmup_mapping.safetensors")
    assert torch.equal(kept["fc0.weight"], before["mapping.fc0.weight"])
    assert main([*warm, "--start", model, "--images", "2", "--out", str(tmp_path / "again")]) == 0
    apart = (read_weights(tmp_path / "model" / "warmup_mapping.safetensors")["fc0.weight"] - kept["fc0.weight"]).abs().max()
    assert float(apart) < 1.0
    assert layers_of(tmp_path / "model") == 2
    assert main([*fit, "--layers", "2", "--out", str(tmp_path / "shallow")]) == 0
    assert layers_of(tmp_path / "model") == 2


def test_a_dry_run_encodes_nothing_and_misses_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(40), 16)
    model, data = str(tmp_path / "model"), ["--data", str(tmp_path / "cache")]
    warm = ["train", "warmup", *data, "--images", "2", "--batch", "2", "--device", "cpu"]
    assert main([*warm, "--export", model, "--out", str(tmp_path / "warm")]) == 0
    ran: list[str] = []
    fit = ["train", "prior", "--model", model, "--device", "cpu", "--dry-run", "--out", str(tmp_path / "prior")]
    capsys.readouterr()
    with register_module_forward_hook(lambda module, *_: ran.append(type(module).__name__)):
        assert main([*fit, *data]) == 0
    told = json.loads(capsys.readouterr().out)
    assert ran == [] and told["task"] == "prior" and told["mapping parameters"] > 0
    assert not (tmp_path / "prior").exists()
    assert main([*fit, "--data", str(tmp_path / "nowhere")]) == 2
    assert "finished cache" in capsys.readouterr().err
    (tmp_path / "model" / "warmup_encoder.safetensors").unlink()
    assert main([*fit, *data]) == 2
    assert "run `sisgen train warmup` first" in capsys.readouterr().err


def test_a_model_without_an_encoder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cache(tmp_path / "cache", range(4), 16)
    gan = ["train", "gan", "--data", str(tmp_path / "cache"), "--batch", "2", "--images", "2", "--device", "cpu"]
    assert main([*gan, "--out", str(tmp_path / "run"), "--export", str(tmp_path / "model")]) == 0
    fit = ["train", "prior", "--model", str(tmp_path / "model"), "--data", str(tmp_path / "cache"), "--out", str(tmp_path / "prior")]
    assert main(fit) == 2
    assert "run `sisgen train warmup` first" in capsys.readouterr().err
