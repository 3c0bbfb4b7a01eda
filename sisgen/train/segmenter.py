"""Trainer of the few-shot segmenter: N labelled samples of a generator, a few minutes on a CPU (RepurposeGAN, sec. 3)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sisgen.devices import pick_device
from sisgen.errors import CheckpointError, InputError, TrainingError
from sisgen.hub import find_model
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.labels import color_labels, read_labels, read_palette
from sisgen.io.models import fitted_elsewhere
from sisgen.io.weights import load_module
from sisgen.nets.reader import Reader
from sisgen.nets.segmenter import Segmenter, SegmenterConfig
from sisgen.shapes import drawing_size
from sisgen.train.augment_features import FeatureAugmentConfig, augment
from sisgen.train.checkpoints import export_parts, load_generator, training_notes
from sisgen.train.command import finish, start
from sisgen.train.descent import cosine_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.judges import load_reader
from sisgen.train.label_loss import class_weights, label_loss
from sisgen.train.labelled_samples import LabelledSamples, label_samples
from sisgen.train.loop import StepInfo, generator_for
from sisgen.types import LabelSet

SHOWN = 8  # samples in a grid


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterTrainConfig:
    """How a segmenter is trained."""

    width: int = 48
    seed: int = 0
    lr: float = 2e-3
    weight_decay: float = 1e-2
    balance: float = 0.3  # power of the class weights
    dice: float = 0.5  # weight of the Dice term
    augment: FeatureAugmentConfig = field(default_factory=FeatureAugmentConfig)


class SegmenterTask:
    """The work of one segmenter training; see `sisgen.train.loop.Task`."""

    name = "segmenter"

    def __init__(
        self, config: SegmenterTrainConfig, samples: LabelledSamples, label_set: LabelSet, device: torch.device | str = "cpu"
    ) -> None:
        if len(samples) < 1 or not bool((samples.labels >= 0).any()):
            raise TrainingError("A segmenter needs at least one labelled sample, but none came; label one first.")
        self.config, self.samples, self.label_set = config, samples, label_set
        self.processes = Processes()
        self.device = self.processes.device(torch.device(device))
        channels = tuple(features.shape[1] for features in samples.hypercolumn)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.segmenter = Segmenter(SegmenterConfig(num_labels=len(label_set), channels=channels, width=config.width)).to(self.device)
        self.segmenter.calibrate([features.to(self.device) for features in samples.hypercolumn])
        self.optimizer = torch.optim.AdamW(self.segmenter.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self.weights = class_weights(samples.labels, len(label_set), config.balance).to(self.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"segmenter": self.segmenter}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"segmenter": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch of augmented samples."""
        generators = [generator_for(self.config.seed, i) for i in info.sample_ids]
        chosen = [self._index(i) for i in info.sample_ids]
        features = [part[chosen].to(self.device) for part in self.samples.hypercolumn]
        features, labels = augment(features, self.samples.labels[chosen].to(self.device), generators, self.config.augment)

        set_rates(self.optimizer, [self.config.lr], cosine_factor(info.progress))
        loss = label_loss(self.segmenter(features), labels, self.weights, self.config.dice)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.segmenter.parameters())
        self.optimizer.step()
        return {"loss": float(self.processes.average(loss))}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows of samples, their labels, and what the segmenter reads."""
        read = self.segmenter.read([part[:SHOWN].to(self.device) for part in self.samples.hypercolumn]).cpu()
        labels = [color_labels(part.numpy(), self.label_set) for part in (self.samples.labels[:SHOWN], read)]
        save_grid(path, np.concatenate([to_uint8(self.samples.images[:SHOWN]), *labels]), len(read))

    def _index(self, sample_id: int) -> int:
        """Visit all samples once an epoch, each time in a new order."""
        epoch, place = divmod(sample_id, len(self.samples))
        return int(np.random.default_rng([self.config.seed, epoch]).permutation(len(self.samples))[place])


def load_segmenter(model: str | Path) -> tuple[Segmenter, LabelSet]:
    """Load a model's segmenter for use: evaluation mode, no gradients.

    Raises:
        CheckpointError: the model has none or one for another generator, or a file is altered or does not fit.
    """
    folder = find_model(str(model)).path
    content = read_json(folder / "config.json")
    notes = content.get("training", {}).get("segmenter", {})
    if "config" not in notes or "labels" not in content:
        raise CheckpointError(
            f"The model '{model}' must have a segmenter, but it has none; run `sisgen train segmenter --model {model}` first."
        )
    if fitted_elsewhere(content["training"], content.get("files", {}), "segmenter"):
        came = f"was trained for another one; run `python -m sisgen train segmenter --model {model}`"
        raise CheckpointError(f"The segmenter of '{model}' must be trained for the model's generator, but it {came}.")
    config = from_dict(SegmenterConfig, notes["config"], where=f"The segmenter of '{model}'")
    sha256 = content.get("files", {}).get("segmenter.safetensors")
    segmenter = load_module(folder / "segmenter.safetensors", lambda: Segmenter(config), sha256=sha256)
    return segmenter.requires_grad_(False), from_dict(LabelSet, content["labels"], where=f"The label set of '{model}'")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", required=True, help="model with a generator")
    parser.add_argument("--labels", type=int, default=16, help="samples to label, from --first-seed on (default: 16)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first labelled sample (default: 0)")
    parser.add_argument("--annotator", type=Path, help="folder of a reader that stands in for a person who labels")
    parser.add_argument("--masks", type=Path, help="folder of painted masks SEED.png, perhaps with a palette.json, instead of --annotator")
    parser.add_argument("--psi", type=float, default=0.9, help="truncation of the labelled samples (default: 0.9)")
    parser.add_argument("--export", type=Path, help="model folder to write the segmenter to at the end (default: none)")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train segmenter` asks.

    Raises:
        TrainingError: not exactly one of --annotator and --masks was given.
    """
    if (args.annotator is None) == (args.masks is None):
        raise TrainingError("Training a segmenter needs either --annotator or --masks, but both or neither came; give one of them.")
    device = pick_device(args.device)
    generator = load_generator(args.model).to(device)
    seeds, labels, annotator, label_set = _open_labels(args, drawing_size(generator.config.resolution), device)
    samples = label_samples(generator, seeds, labels, annotator, args.psi)
    config = SegmenterTrainConfig(seed=args.seed)
    task = SegmenterTask(config, samples, label_set, device)
    seen = start(task, args, config, images=2_400, batch=4)
    if args.export and seen is not None:
        by = "painted masks" if annotator is None else "the reader in " + args.annotator.name
        notes = {"labelled_by": by, "seeds": list(seeds), "psi": args.psi, "images_seen": seen}
        export_segmenter(args.export, task, notes, model=args.model)
    return finish()


def export_segmenter(folder: str | Path, task: SegmenterTask, notes: Mapping[str, Any], *, model: str | Path) -> None:
    """Write a trained segmenter and its classes into a model folder.

    Args:
        folder: the model folder.
        task: the training that is over.
        notes: recipe, kept under `training.segmenter` of `config.json`.
        model: whose samples were labelled.
    """
    notes = {"labels": len(task.samples), **notes, "seed": task.config.seed, "config": to_dict(task.segmenter.config)}
    content = {"labels": to_dict(task.label_set), "training": training_notes(folder, "segmenter", notes, model=model)}
    export_parts(folder, {"segmenter": task.segmenter}, content)


def read_masks(folder: Path, label_set: LabelSet, size: int, most: int | None = None) -> tuple[list[int], torch.Tensor]:
    """Read painted masks named SEED.png, in the order of their seeds.

    Args:
        folder: where they lie; other files are passed over.
        label_set: their classes.
        size: side of the labels, `drawing_size` of the generator; square masks of other sizes are scaled, each pixel to its nearest one.
        most: masks to read; `None` reads all.

    Returns:
        The seeds, and int64 [N, size, size], -1 where nothing is painted.

    Raises:
        TrainingError: there are none.
        InputError: one cannot be read, or is not square.
    """
    paths = sorted((path for path in folder.glob("*.png") if path.stem.isdigit()), key=lambda path: int(path.stem))[:most]
    if not paths:
        raise TrainingError(f"The folder '{folder}' must hold masks named SEED.png, but it holds none; check the path.")
    masks = []
    for path in paths:
        mask = torch.from_numpy(read_labels(path, label_set))
        if mask.shape[0] != mask.shape[1]:
            came = f"{mask.shape[1]} x {mask.shape[0]}"
            raise InputError(f"The mask '{path}' must be square, as the generator's pictures are, but it is {came}; crop it.")
        masks.append(F.interpolate(mask[None, None].double(), size=(size, size), mode="nearest-exact")[0, 0].long())
    return [int(path.stem) for path in paths], torch.stack(masks)


def _open_labels(
    args: argparse.Namespace, size: int, device: torch.device
) -> tuple[list[int], torch.Tensor | None, Reader | None, LabelSet]:
    """Find seeds with their labels, or the reader that will label them."""
    if args.annotator is not None:
        annotator, label_set = load_reader(args.annotator, device)
        return list(range(args.first_seed, args.first_seed + args.labels)), None, annotator, label_set
    if (args.masks / "palette.json").is_file():
        label_set = read_palette(args.masks / "palette.json")
    else:
        content = read_json(find_model(args.model).path / "config.json")
        label_set = from_dict(LabelSet, content.get("labels", {}), where=f"The label set of '{args.model}'")
    seeds, labels = read_masks(args.masks, label_set, size, args.labels)
    return seeds, labels, None, label_set
