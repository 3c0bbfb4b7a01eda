"""Training of the few-shot segmenter on a tiny generator."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import read_json, to_dict
from sisgen.io.labels import write_labels
from sisgen.train.augment_features import FeatureAugmentConfig, augment
from sisgen.train.checkpoints import export_parts
from sisgen.train.labelled_samples import LabelledSamples, label_samples
from sisgen.train.loop import LoopConfig, run_loop
from sisgen.train.segmenter import SegmenterTask, SegmenterTrainConfig, add_arguments, load_segmenter, main, read_masks
from sisgen.types import LabelSet

Parse = Callable[..., argparse.Namespace]
LABELS = LabelSet(names=("dark", "light"), colors=((0, 0, 0), (250, 250, 250)))
SIZES = StyleGAN2Config(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8})
STILL = FeatureAugmentConfig(p_flip=0, p_warp=0, noise=0, drop=0)


def tiny_generator() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(SIZES).eval().requires_grad_(False)


def samples(num: int) -> LabelledSamples:
    """Samples whose label says whether the last block's first channel is over its median."""
    made = label_samples(tiny_generator(), range(num), torch.zeros(num, 16, 16, dtype=torch.int64), None, 0.9)
    channel = made.hypercolumn[-1][:, 0]
    return LabelledSamples(images=made.images, hypercolumn=made.hypercolumn, labels=(channel > channel.median()).long())


def test_learns_what_the_features_say(tmp_path: Path) -> None:
    config = SegmenterTrainConfig(width=8, lr=1e-2, augment=FeatureAugmentConfig(p_warp=0.2, drop=0))
    task, unseen = SegmenterTask(config, samples(4), LABELS), samples(8)
    run_loop(task, LoopConfig(out=tmp_path, images=4 * 30, batch=4))
    read = task.segmenter.read([part[4:] for part in unseen.hypercolumn])
    assert float((read == unseen.labels[4:]).float().mean()) > 0.7


def test_without_augmentation_nothing_changes_and_a_flip_is_a_flip() -> None:
    features, labels = [torch.rand(2, 3, 8, 8)], torch.randint(0, 2, (2, 16, 16))
    sources = [torch.Generator().manual_seed(i) for i in range(2)]
    same, kept = augment(features, labels, sources, STILL)
    assert torch.allclose(same[0], features[0], atol=1e-5) and torch.equal(kept, labels)
    flipped, mirrored = augment(features, labels, sources, FeatureAugmentConfig(p_flip=1.1, p_warp=0, noise=0, drop=0))
    assert torch.allclose(flipped[0], features[0].flip(3), atol=1e-5) and torch.equal(mirrored, labels.flip(2))


def test_the_command_learns_from_painted_masks(tmp_path: Path, parse: Parse) -> None:
    export_parts(tmp_path / "model", {"generator": tiny_generator()}, {"generator": to_dict(SIZES), "labels": to_dict(LABELS)})
    (tmp_path / "masks").mkdir()
    for seed in (3, 11):
        mask = torch.zeros(16, 16, dtype=torch.int64)
        mask[:seed] = 1
        write_labels(tmp_path / "masks" / f"{seed}.png", mask.numpy(), LABELS)
    model = str(tmp_path / "model")
    words = ["--model", model, "--masks", str(tmp_path / "masks"), "--export", model, "--images", "4", "--batch", "2", "--out"]
    assert main(parse(add_arguments, [*words, str(tmp_path / "run")])) == 0
    segmenter, labels = load_segmenter(model)
    assert segmenter.config.channels == (8, 8, 8) and labels == LABELS
    content = read_json(tmp_path / "model" / "config.json")
    assert content["training"]["segmenter"]["fitted_to"] == content["files"]["generator.safetensors"]


def test_masks_of_other_sizes_are_scaled_and_come_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    for seed, size in ((10, 32), (9, 8)):
        mask = torch.full((size, size), -1)
        mask[: size // 2] = seed - 9
        write_labels(tmp_path / f"{seed}.png", mask.numpy(), LABELS)
    (tmp_path / "notes.png").write_bytes(b"no mask")
    seeds, masks = read_masks(tmp_path, LABELS, 16)
    assert seeds == [9, 10] and masks.shape == (2, 16, 16) and masks.dtype == torch.int64
    assert all(bool((mask[:8] == label).all() and (mask[8:] == -1).all()) for label, mask in enumerate(masks))
    assert read_masks(tmp_path, LABELS, 16, most=1)[0] == [9]


def test_refusals(tmp_path: Path, parse: Parse) -> None:
    with pytest.raises(TrainingError, match="either --annotator or --masks"):
        main(parse(add_arguments, ["--model", "x", "--out", str(tmp_path)]))
    blank = LabelledSamples(images=torch.zeros(1, 3, 16, 16), hypercolumn=(), labels=torch.full((1, 16, 16), -1))
    with pytest.raises(TrainingError, match="at least one labelled sample"):
        SegmenterTask(SegmenterTrainConfig(), blank, LABELS)
