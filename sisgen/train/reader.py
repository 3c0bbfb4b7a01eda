"""Trainer of image-space readers: full-shot on rendered pictures, or distilled from a few-shot segmenter on a generator's samples.

Pictures without labels bring a distilled reader from samples to pictures: it learns, from degraded ones, what its own average says of
them as they are and mirrored, where that is sure (a mean teacher: Tarvainen and Valpola, NeurIPS 2017).
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sisgen.data.cache import PortraitCache
from sisgen.data.degrade import DegradeConfig, degrade, recolor_parts
from sisgen.data.portraits import PORTRAIT_LABELS
from sisgen.devices import describe_device, pick_device
from sisgen.errors import TrainingError
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.labels import color_labels
from sisgen.metrics.segmentation import ConfusionMeter, SegmentationScore
from sisgen.nets.looks import mean_of_looks
from sisgen.nets.reader import PRESETS, Reader, ReaderConfig, preset
from sisgen.train.checkpoints import load_generator, load_part
from sisgen.train.command import finish, start
from sisgen.train.descent import check_rate, cosine_factor, risen, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.ema import update_ema
from sisgen.train.gan import Pictures, draw_pictures
from sisgen.train.judges import export_reader, round_scores, write_judge_card
from sisgen.train.label_loss import FADE, class_weights, faded, label_loss
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.pairs import CachedPairs, PairSource, SampledPairs
from sisgen.train.segmenter import load_segmenter
from sisgen.types import LabelSet

LEARNING_RATE = 3e-3
PICTURE_STREAM, PARTS_STREAM = 42, 43  # of `generator_for`
TYPICAL = 256  # held-out pairs; the class weights are taken from them
SHOWN = 8  # pictures in a sample grid
EMA_RAMP = 0.1  # early on, the half-life of the averaged weights is this share of the images seen
DEGRADATIONS = {  # the judges are hardened differently, so that they do not fail alike
    "a": DegradeConfig(),
    "b": DegradeConfig(p_warp=0.75, elastic=0.03, p_color=0.6, color=0.4, p_blur=0.45, blur=2.2, p_noise=0.3, p_jpeg=0.4),
    "live": DegradeConfig(p_parts=0.75),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderTrainConfig:
    """How a reader is trained."""

    reader: ReaderConfig
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    seed: int = 0
    lr: float = LEARNING_RATE
    weight_decay: float = 1e-3
    warmup: int = 500  # images over which the learning rate rises
    ramp: float = 0.3  # share of the run over which degradations come in
    balance: float = 0.3  # power of the class weights at the start
    fade: float = 0.0  # share of the run over which they fade; 0 = never
    dice: float = 0.5  # weight of the Dice term
    ema: float = 2_000.0  # half-life of the averaged weights in images
    sure: float = 0.7  # least probability with which the average labels a picture's pixel
    bf16: bool = False


class ReaderTask:
    """The work of one reader training; see `sisgen.train.loop.Task`."""

    name = "reader"

    def __init__(
        self,
        config: ReaderTrainConfig,
        source: PairSource,
        label_set: LabelSet,
        device: torch.device | str = "cpu",
        *,
        held: int = TYPICAL,  # pairs that are held out
        pictures: Pictures | None = None,  # without labels
    ) -> None:
        self.config, self.source, self.label_set, self.pictures = config, source, label_set, pictures
        self.processes = Processes()
        self.device = self.processes.device(torch.device(device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            reader = Reader(config.reader)
        self.reader = reader.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.reader).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.reader.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self.held = source.held_out(held)
        self.weights = class_weights(self.held[1], config.reader.num_labels, config.balance).to(self.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"reader": self.reader, "reader_ema": self.average}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"reader": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        # Data: what happens to a sample hangs on its id alone.
        images, labels = self._data(info)
        generators = [generator_for(self.config.seed, i) for i in info.sample_ids]
        images, labels = degrade(images, labels, generators, self.config.degrade, self._strength(info))

        # One step at this moment's learning rate.
        rise = risen(info.images_seen, info.batch_size, self.config.warmup)
        set_rates(self.optimizer, [self.config.lr], rise * cosine_factor(info.progress))
        self.reader.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            logits = self.reader(images)
        logits = logits.float()
        weights = faded(self.weights, info.progress, self.config.fade)
        loss = label_loss(logits, labels, weights, self.config.dice)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.reader.parameters())
        self.optimizer.step()
        half_life, seen = self.config.ema, info.images_seen
        update_ema(self.average, self.reader, batch=info.batch_size, images_seen=seen, half_life=half_life, ramp=EMA_RAMP)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return {"loss": float(self.processes.average(loss)), "accuracy": float(self.processes.average(accuracy))}

    def _strength(self, info: StepInfo) -> float:
        """How far degradations have come in, in [0, 1]."""
        return min(1.0, info.progress / self.config.ramp)

    @torch.no_grad()
    def _data(self, info: StepInfo) -> tuple[torch.Tensor, torch.Tensor]:
        """Pairs; once degradations are all there, half of them are pictures as the averaged reader labels them, -1 where it is not sure."""
        pictures = self.pictures if info.progress >= self.config.ramp else None
        guessed = [] if pictures is None else [info.sample_ids[place] for place in info.second_half]
        known = [i for i in info.sample_ids if i not in guessed]
        pairs = []
        if known:
            shown, labels = (part.to(self.device) for part in self.source.train(known))
            if self.pictures is not None:  # they show colours that samples do not
                drawers = [generator_for(self.config.seed, i, PARTS_STREAM) for i in known]
                shown = recolor_parts(shown, labels, len(self.label_set), drawers, self.config.degrade, self._strength(info))
            pairs.append((shown, labels))
        if pictures is not None and guessed:
            drawn = draw_pictures(pictures, [generator_for(self.config.seed, i, PICTURE_STREAM) for i in guessed])
            drawn = F.interpolate(drawn.to(self.device), size=self.held[0].shape[-2:], mode="area")
            probs = mean_of_looks(lambda seen: self.average(seen).softmax(dim=1), [drawn], (drawn.shape[-2], drawn.shape[-1]))
            most, labels = probs.max(dim=1)
            pairs.append((drawn, torch.where(most > self.config.sure, labels, -1)))
        images, labels = (torch.cat([part.to(self.device) for part in parts]) for parts in zip(*pairs))
        return images, labels

    @torch.no_grad()
    def validate(self, batch: int = 32) -> SegmentationScore:
        """Score the averaged reader on held-out pairs as they are."""
        images, labels = self.held
        meter = ConfusionMeter(self.config.reader.num_labels)
        for part, reference in zip(images.split(batch), labels.split(batch)):
            meter.add(reference, self.average.read(part.to(self.device)).cpu())
        return meter.score()

    def save_samples(self, path: Path) -> None:
        """Draw rows of pictures, their labels, and what the averaged reader says."""
        images, labels = (part[:SHOWN] for part in self.held)
        read = self.average.read(images.to(self.device)).cpu()
        rows = [to_uint8(images), *(color_labels(part.numpy(), self.label_set) for part in (labels, read))]
        save_grid(path, np.concatenate(rows), len(images))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, help="cache of rendered portraits: full-shot training on their exact labels")
    parser.add_argument("--half", type=int, choices=(1, 2), help="train on every second picture only, so that two judges share none")
    parser.add_argument("--model", help="model with a generator and a segmenter: distils that segmenter instead")
    words = (
        "cache of pictures that it shall read as well, without labels: half of its batches, as its own average reads them (with --model)"
    )
    parser.add_argument("--pictures", type=Path, help=words)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="a", help="size; a and b are judges, live the light one (default: a)")
    parser.add_argument("--start", type=Path, help="folder of a reader of the same preset to start from (default: from scratch)")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="learning rate (default: %(default)s)")
    parser.add_argument("--bf16", action="store_true", help="bfloat16, on a GPU or on a CPU with AMX")
    parser.add_argument("--export", type=Path, help="folder to write the reader to at the end (default: none)")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train reader` asks.

    Raises:
        TrainingError: not exactly one of --data and --model was given, or pictures without labels beside --data.
    """
    if (args.data is None) == (args.model is None):
        raise TrainingError("Training a reader needs either --data or --model, but both or neither came; give one of them.")
    if args.pictures is not None and args.data is not None:
        raise TrainingError("Pictures without labels help a reader of samples, but --data has labels already; leave --pictures away.")
    device = pick_device(args.device)
    source, label_set = _open_source(args, device)
    check_rate(args.lr, LEARNING_RATE)
    sizes, degrade_config = preset(args.preset, len(label_set)), DEGRADATIONS[args.preset]
    fade = 0.0 if args.model is None else FADE  # the judges keep theirs, as they always did
    config = ReaderTrainConfig(reader=sizes, degrade=degrade_config, seed=args.seed, lr=args.lr, fade=fade, bf16=args.bf16)
    pictures = None if args.pictures is None else PortraitCache(args.pictures)
    task = ReaderTask(config, source, label_set, device, pictures=pictures)
    if args.start:
        for net in task.networks().values():
            load_part(args.start, "reader", net)
    seen = start(task, args, config, images=30_000, batch=8)
    if args.export and seen is not None:
        _export(task, args, seen, device)
    return finish()


def open_distillation(
    model: str | Path, device: torch.device, *, seed: int = 0, size: str = "live", bf16: bool = False, held: int = TYPICAL
) -> ReaderTask:
    """Prepare the distillation of a model's segmenter into a reader, on the model's own samples.

    Args:
        model: with a generator and a segmenter.
        device: where to train.
        seed: of weights and samples.
        size: preset of the reader.
        bf16: train in bfloat16.
        held: samples that are held out.
    """
    generator = load_generator(model).to(device)
    segmenter, label_set = load_segmenter(model)
    sizes = preset(size, len(label_set))
    if segmenter.resolution < generator.config.resolution:
        sizes = replace(sizes, most=segmenter.resolution)
    config = ReaderTrainConfig(reader=sizes, degrade=DEGRADATIONS[size], seed=seed, bf16=bf16)
    return ReaderTask(config, SampledPairs(generator, segmenter.to(device), seed=seed), label_set, device, held=held)


def export_distilled(folder: str | Path, task: ReaderTask, notes: Mapping[str, Any], *, model: str | Path) -> None:
    """Write a distilled reader with its recipe and held-out scores into a model folder."""
    held_out = round_scores(task.validate(), task.label_set)
    notes = {"labels_from": "the few-shot segmenter, distilled", **notes, "seed": task.config.seed, "held_out": held_out}
    export_reader(folder, task.average, task.label_set, notes, model=model)


def _export(task: ReaderTask, args: argparse.Namespace, seen: int, device: torch.device) -> None:
    """Write the averaged reader with its recipe and held-out scores; a judge gets a card as well."""
    origin = "renders" if args.data else "the few-shot segmenter, distilled"
    origin += ", and its own average on pictures" if args.pictures else ""
    notes: dict[str, Any] = {"labels_from": origin, "preset": args.preset, "half": args.half, "seed": args.seed, "images_seen": seen}
    notes["held_out"] = round_scores(task.validate(), task.label_set)
    export_reader(args.export, task.average, task.label_set, notes, model=args.model)
    if args.data:
        write_judge_card(args.export, notes, describe_device(device))


def _open_source(args: argparse.Namespace, device: torch.device) -> tuple[PairSource, LabelSet]:
    if args.data is not None:
        return CachedPairs(PortraitCache(args.data), seed=args.seed, half=args.half), PORTRAIT_LABELS
    generator = load_generator(args.model).to(device)
    segmenter, label_set = load_segmenter(args.model)
    return SampledPairs(generator, segmenter.to(device), seed=args.seed), label_set
