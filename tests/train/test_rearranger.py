"""Training of the rearranger on the tiny generator: it learns, it resumes, and it leaves the generator alone."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from killing import run_until_killed
from sisgen.cli.main import main
from sisgen.errors import TrainingError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json
from sisgen.io.weights import read_weights
from sisgen.nets.reader import Reader
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig, cluster_purity
from sisgen.proxy.drawing_mapper import COMPLETED_KINDS
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig, cluster_sums
from sisgen.train.checkpoints import export_parts, load_generator, load_part
from sisgen.train.fitting import fit_generator, proxy_config, rearranger_config, start_tokens
from sisgen.train.judges import load_reader
from sisgen.train.loop import LoopConfig, StepInfo, load_newest_state, run_loop
from sisgen.train.proxies import collect_labelled
from sisgen.train.rearranger import RearrangerTask, RearrangerTrainConfig, paint_proxy, ramp
from sisgen.train.rearranger_batches import ClassReaders
from sisgen.train.rearranger_losses import cross_entropy, feature_distance
from sisgen.train.segmenter import load_segmenter
from sisgen.types import Features


def load_clusters(model: Path) -> FeatureClusters:
    clusters = FeatureClusters(from_dict(ProxyConfig, read_json(model / "config.json")["proxy"]))
    load_part(model, "proxy", clusters)
    return clusters


def make_task(model: Path, *, adversarial: bool = True, classes: ClassReaders | None = None, **changes: Any) -> RearrangerTask:
    generator, clusters = load_generator(model), load_clusters(model)
    torch.manual_seed(0)
    rearranger = Rearranger(from_dict(RearrangerConfig, read_json(model / "config.json")["rearranger"]))
    start_tokens(rearranger, generator, clusters, latents(range(16), 8))
    config = RearrangerTrainConfig(rearranger=rearranger.config, lr=1e-2, reader_width=4, adversarial_interval=2, r1_interval=2, **changes)
    discriminator = Discriminator(32, generator.config.channels) if adversarial else None
    return RearrangerTask(config, generator, clusters, rearranger, discriminator, classes=classes)


def steps(task: RearrangerTask, num: int, batch: int = 6) -> list[dict[str, float]]:
    def info(step: int) -> StepInfo:
        first = step * batch
        ids = tuple(range(first, first + batch))
        return StepInfo(step=step, sample_ids=ids, batch_size=batch, images_seen=first, total_images=num * batch, seed=0)

    return [task.step(info(step)) for step in range(num)]


def test_losses_fall_and_the_generator_stays(tiny_model: Path) -> None:
    task = make_task(tiny_model)
    kept = {name: value.clone() for name, value in task.generator.state_dict().items()}
    fixed = StepInfo(step=0, sample_ids=tuple(range(10**6, 10**6 + 24)), batch_size=24, images_seen=0, total_images=24, seed=0)
    before = task.step(fixed)
    stats = steps(task, 30)
    after = task.step(fixed)

    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert after["mask"] < 0.85 * before["mask"]
    assert after["picture"] < 0.97 * before["picture"]
    assert after["self"] < 0.7 * before["self"]
    assert after["reader"] < 0.95 * before["reader"]
    assert [("adversarial" in line) for line in stats[:4]] == [True, False, True, False]
    assert all(torch.equal(value, kept[name]) for name, value in task.generator.state_dict().items())


def test_two_steps_move_every_part_that_learns(tiny_model: Path) -> None:
    task = make_task(tiny_model)
    before = {f"{part}.{name}": p.detach().clone() for part, net in task.networks().items() for name, p in net.named_parameters()}
    steps(task, 2)  # what the prototypes make of w starts at zero, so that its inner layer waits for the second step
    after = {f"{part}.{name}": p for part, net in task.networks().items() for name, p in net.named_parameters()}
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert not any(p.requires_grad for p in task.generator.parameters())


def test_without_a_discriminator_nothing_is_played(tiny_model: Path) -> None:
    (stats,) = steps(make_task(tiny_model, adversarial=False), 1)
    assert "adversarial" not in stats and {"mask", "picture", "self", "tokens", "spread"} <= stats.keys()


def test_the_weight_of_a_new_discriminator_rises_from_nothing(tiny_model: Path) -> None:
    assert [ramp(progress, 0.4) for progress in (0.0, 0.1, 0.4, 0.9)] == [0.0, 0.25, 1.0, 1.0] and ramp(0.0, 0.0) == 1.0
    still, alone = make_task(tiny_model, adversarial_ramp=0.4), make_task(tiny_model, adversarial=False)
    for task in (still, alone):
        steps(task, 1)
    played = dict(still.rearranger.named_parameters())
    assert all(torch.allclose(p, played[name], atol=1e-6) for name, p in alone.rearranger.named_parameters())


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_model: Path, tmp_path: Path) -> None:
    def settings(name: str) -> LoopConfig:
        return LoopConfig(out=tmp_path / name, images=24, batch=6, snapshot_minutes=0, tick_seconds=0)

    run_loop(make_task(tiny_model), settings("whole"))
    cut = make_task(tiny_model)
    run_until_killed(cut, settings("cut"))
    assert run_loop(make_task(tiny_model), settings("cut")) == 24

    whole, resumed = load_newest_state(tmp_path / "whole"), load_newest_state(tmp_path / "cut")
    assert whole is not None and resumed is not None
    for part, state in whole["networks"].items():
        assert all(torch.equal(value, resumed["networks"][part][name]) for name, value in state.items()), part
    lines = [(tmp_path / name / "stats.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    same = [[{k: v for k, v in json.loads(line).items() if "second" not in k} for line in part] for part in lines]
    assert same[0] == same[1] and len(same[0]) == 4


def test_samples_are_a_picture(tiny_model: Path, tmp_path: Path) -> None:
    make_task(tiny_model).save_samples(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 1000


def test_tokens_start_as_the_means_of_their_clusters(tiny_model: Path, tiny_generator: StyleGAN2) -> None:
    task, z = make_task(tiny_model), latents(range(16), 8)
    grown = {step.resolution: step for step in task.generator.hypercolumn(task.generator.map(z, psi=0.8))}
    own = task.clusters({size: step.map for size, step in grown.items()}).probs
    for size, head in ((8, task.rearranger.tokens), (16, task.rearranger.fine_tokens)):
        sums, mass = cluster_sums(grown[size], own)
        mean = sums.sum(dim=0) / mass.sum(dim=0)
        made = head(torch.randn(1, 8))[0]  # at the start no style changes anything
        assert torch.allclose(made, mean[:, None].expand_as(made), atol=1e-4)


def test_tokens_of_a_cluster_do_not_start_alike(tiny_model: Path) -> None:
    """Or their gradients would be the same for ever, and two would do what one does."""
    keys = make_task(tiny_model).rearranger.token_keys.detach()
    apart = (keys[:, 0] - keys[:, 1]).norm(dim=1) / keys.norm(dim=2).mean(dim=1)
    assert keys.shape[1] == 2 and float(apart.min()) > 0.01 and float(apart.max()) < 0.5


def test_clusters_keep_to_the_classes_that_the_segmenter_reads(complete: Path, tmp_path: Path) -> None:
    found = []
    for name, extra in (("plain", []), ("classes", ["--by-class", "--label-loss"])):
        model = tmp_path / name
        shutil.copytree(complete, model)
        words = ["train", "rearranger", "--model", str(model), "--sources", "8", "16", "--clusters", "8", "--fresh", *extra]
        assert main([*words, "--images", "4", "--batch", "4", "--device", "cpu", "--out", str(tmp_path / f"run-{name}")]) == 0
        clusters, generator = load_clusters(model), load_generator(model)
        z = latents(range(500, 532), 8)
        segmenter = load_segmenter(model)[0]
        rows, classes = collect_labelled(generator, segmenter, clusters.config, z)
        probs = clusters.membership(clusters.whiten(rows.t()[None, :, :, None]))
        iou, _ = cluster_purity(probs, classes[None, :, None], int(classes.max()) + 1)
        found.append(float(iou.mean()))
    assert found[1] > found[0] + 0.05


def test_classes_are_read_back_from_the_picture(complete: Path) -> None:
    readers = ClassReaders(load_segmenter(complete)[0], load_reader(complete)[0])
    kept = {name: value.clone() for name, value in readers.reader.state_dict().items()}
    task = make_task(complete, adversarial=False, classes=readers, mask=0.0, picture=0.0, itself=0.0, tokens=0.0)
    fixed = StepInfo(step=0, sample_ids=tuple(range(10**6, 10**6 + 24)), batch_size=24, images_seen=0, total_images=24, seed=0)
    before = task.step(fixed)["labels"]
    stats = steps(task, 30)
    assert task.step(fixed)["labels"] < before - 0.005  # the reader of this model is random: pictures hardly move it
    assert all(math.isfinite(line["labels"]) for line in stats)
    assert all(torch.equal(value, kept[name]) for name, value in readers.reader.state_dict().items())


def test_segmenter_and_reader_must_know_the_same_classes(complete: Path) -> None:
    reader = load_reader(complete)[0]
    other = Reader(replace(reader.config, num_labels=reader.config.num_labels + 1))
    with pytest.raises(TrainingError, match="must know the same classes"):
        ClassReaders(load_segmenter(complete)[0], other)


def test_classes_are_bent_with_the_shapes_that_they_are_of(complete: Path) -> None:
    segmenter = load_segmenter(complete)[0]
    task = make_task(complete, adversarial=False, classes=ClassReaders(segmenter, load_reader(complete)[0]))
    task.batches.clusters = fit_generator(task.generator, task.clusters.config, samples=64, segmenter=segmenter)
    info = StepInfo(step=0, sample_ids=tuple(range(96)), batch_size=96, images_seen=0, total_images=96, seed=0)
    batch = task.batches.draw(info)
    assert batch.labels is not None
    labels = F.interpolate(batch.labels[:, None].float(), size=batch.target.probs.shape[-2:], mode="nearest")[:, 0].long()
    for bent in ([i for i in range(96) if i % 3 <= 1], [i for i in range(96) if i % 3 == 2]):
        right, _ = cluster_purity(batch.target.probs[bent], labels[bent], int(labels.max()) + 1)
        wrong, _ = cluster_purity(batch.target.probs[bent], labels[bent].roll(1, 0), int(labels.max()) + 1)
        assert float(right.mean()) > float(wrong.mean()) + 0.05


def test_cross_entropy_is_balanced_by_the_root_of_the_share() -> None:
    target = torch.zeros(1, 2, 1, 4)
    target[0, 0, 0, :3] = 1
    target[0, 1, 0, 3] = 1
    log_probs = torch.tensor([-1.0, -2.0])[None, :, None, None].expand(1, 2, 1, 4)
    weights = [(0.751) ** -0.5, (0.251) ** -0.5]
    total = 0.75 * weights[0] + 0.25 * weights[1]
    wanted = (0.75 * weights[0] * 1 + 0.25 * weights[1] * 2) / total
    assert math.isclose(float(cross_entropy(log_probs, target)), wanted, rel_tol=1e-5)
    assert float(cross_entropy(target.clamp_min(1e-8).log(), target)) < 1e-6


def test_distance_of_features_counts_in_their_own_spread() -> None:
    b = Features(map=torch.randn(2, 8, 4, 4), rgb=torch.randn(2, 3, 4, 4))
    assert float(feature_distance(b, b)) == 0
    shifted = Features(map=b.map + 1, rgb=b.rgb)
    scaled = [Features(map=10 * f.map, rgb=10 * f.rgb) for f in (shifted, b)]
    assert math.isclose(float(feature_distance(shifted, b)), float(1 / b.map.std()), rel_tol=1e-4)
    assert math.isclose(float(feature_distance(*scaled)), float(feature_distance(shifted, b)), rel_tol=1e-4)


def test_proxy_masks_are_painted_in_one_colour_a_cluster() -> None:
    probs = torch.eye(3)[None, :, :, None].expand(1, 3, 3, 3)
    painted = paint_proxy(probs, 6)
    assert painted.shape == (1, 3, 6, 6) and float(painted.abs().max()) <= 1
    assert len({tuple(painted[0, :, row, 0].tolist()) for row in range(0, 6, 2)}) == 3


def test_sizes_follow_the_generator(tiny_generator: StyleGAN2) -> None:
    proxy = proxy_config(tiny_generator, [8, 16], 7)
    assert (proxy.resolution, proxy.sources, proxy.channels, proxy.dims, proxy.num_clusters) == (16, (8, 16), 16, 16, 7)
    sizes = rearranger_config(tiny_generator, proxy, 8)
    assert (sizes.resolution, sizes.fine_resolution, sizes.channels, sizes.fine_channels, sizes.num_clusters) == (8, 16, 8, 8, 7)


@pytest.fixture(scope="module")
def generator_only(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_generator: StyleGAN2) -> Path:
    """A model folder as `sisgen train gan` leaves it."""
    folder = tmp_path_factory.mktemp("rearranger") / "model"
    parts = {"generator": tiny_generator, "discriminator": Discriminator(32, tiny_generator.config.channels)}
    export_parts(folder, parts, {"generator": read_json(tiny_model / "config.json")["generator"]})
    return folder


def train(model: Path, out: Path, *words: str) -> int:
    sizes = ["--sources", "8", "16", "--clusters", "5", "--batch", "3", "--device", "cpu"]
    return main(["train", "rearranger", "--model", str(model), "--out", str(out), *sizes, *words])


def test_the_command_fits_anew_then_goes_on_warm(generator_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    shutil.copytree(generator_only, model)
    assert train(model, tmp_path / "dry", "--images", "3", "--dry-run") == 0
    assert "proxy" not in read_json(model / "config.json") and not (tmp_path / "dry").exists()

    assert train(model, tmp_path / "first", "--images", "6") == 0
    content = read_json(model / "config.json")
    assert content["proxy"]["num_clusters"] == 5 and content["rearranger"]["resolution"] == 8
    assert content["training"]["rearranger"]["fitted_to"] == content["files"]["generator.safetensors"]
    first = {name: read_weights(model / name) for name in ("proxy.safetensors", "rearranger.safetensors")}

    assert train(model, tmp_path / "second", "--images", "3", "--seed", "9") == 0  # another seed would fit other clusters
    assert read_weights(model / "proxy.safetensors").keys() == first["proxy.safetensors"].keys()
    assert torch.equal(read_weights(model / "proxy.safetensors")["centroids"], first["proxy.safetensors"]["centroids"])
    moved = read_weights(model / "rearranger.safetensors")["position"].float() - first["rearranger.safetensors"]["position"].float()
    assert 0 < float(moved.abs().max()) < 0.05

    assert train(model, tmp_path / "third", "--images", "3", "--seed", "9", "--fresh") == 0
    assert not torch.equal(read_weights(model / "proxy.safetensors")["centroids"], first["proxy.safetensors"]["centroids"])
    assert "images/s" in capsys.readouterr().err


def test_other_clusters_drop_the_drawing_mappers_that_knew_the_old_ones(drawing_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(drawing_model, model)
    giving_classes = [f"mapper_{kind}.safetensors" for kind in COMPLETED_KINDS]
    before = [(model / name).read_bytes() for name in giving_classes]
    assert train(model, tmp_path / "run", "--images", "3", "--clusters", "7") == 0
    content = read_json(model / "config.json")
    assert tuple(content["drawing_mappers"]) == COMPLETED_KINDS
    assert [content["drawing_mappers"][kind]["num_clusters"] for kind in COMPLETED_KINDS] == [7, 7]
    assert [(model / name).read_bytes() for name in giving_classes] == before
    assert not (model / "mapper_hed.safetensors").exists() and "mapper_hed.safetensors" not in content["files"]

    # The same number again: all that is there stays.
    assert train(model, tmp_path / "again", "--images", "3", "--clusters", "7", "--fresh") == 0
    assert tuple(read_json(model / "config.json")["drawing_mappers"]) == COMPLETED_KINDS
