"""The stages of an adaptation: each opens a training on the working copy, and writes its outcome into it."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.nets.reader import ReaderConfig
from sisgen.rearrange.rearranger import RearrangerConfig
from sisgen.train.adaptation.copies import drop_parts
from sisgen.train.adaptation.labels import LabelSource
from sisgen.train.adaptation.settings import AdaptConfig
from sisgen.train.adaptation.sizes import AdaptSizes, StageSizes
from sisgen.train.adaptation.state import Start
from sisgen.train.checkpoints import export_parts, has_part, load_discriminator, load_generator, training_notes
from sisgen.train.fitting import carry_clusters, fit_generator, proxy_config, rearranger_config, start_rearranger
from sisgen.train.judges import load_reader
from sisgen.train.loop import StepInfo, Task
from sisgen.train.mapper import export_mapper, open_mapper
from sisgen.train.reader import export_distilled, open_distillation
from sisgen.train.rearranger import RearrangerTask, RearrangerTrainConfig, export_rearranger
from sisgen.train.segmenter import SegmenterTask, SegmenterTrainConfig, export_segmenter, load_segmenter

FRESH_RAMP = 0.4  # share of the run over which a discriminator that starts anew gains weight
PROBES = (0.5, 0.1, 0.9, 0.3, 0.7)  # where in a run its pace is measured: the mapper's later steps cost more
PROBE_SHARE = 0.1  # of a stage's time, after which its pace is taken as it was seen so far


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What every stage needs."""

    config: AdaptConfig
    sizes: AdaptSizes
    folder: Path  # the working copy
    device: torch.device
    labels: LabelSource
    start: Start


@dataclass(frozen=True, slots=True)
class Stage:
    """A training that is ready to run, and how its outcome is written (into a folder, given the images seen)."""

    task: Task
    export: Callable[[Path, int], None]


def fit_stage(bench: Bench) -> None:
    """Fit the clusters anew, so that they keep to the classes; what was trained on others is forgotten."""
    generator = load_generator(bench.folder).to(bench.device)
    proxy = proxy_config(generator, bench.sizes.sources, bench.sizes.num_clusters)
    segmenter = load_segmenter(bench.folder)[0].to(bench.device)
    clusters = fit_generator(generator, proxy, samples=bench.sizes.cluster_samples, seed=bench.config.seed, segmenter=segmenter)
    drop_parts(bench.folder, ("clusters", "rearranger", "mapper"))
    notes = {"seed": bench.config.seed, "samples": bench.sizes.cluster_samples}
    training = training_notes(bench.folder, "proxy", notes, model=bench.folder)
    export_parts(bench.folder, {"proxy": clusters}, {"proxy": to_dict(proxy), "training": training})


def open_rearranger_stage(bench: Bench) -> Stage:
    """Warm from the copy, or anew on its clusters."""
    generator = load_generator(bench.folder).to(bench.device)
    segmenter = load_segmenter(bench.folder)[0].to(bench.device)
    samples = bench.sizes.cluster_samples
    clusters = carry_clusters(bench.folder, generator, samples=samples, seed=bench.config.seed, segmenter=segmenter).to(bench.device)
    warm = bench.start != "anew"
    sizes = replace(rearranger_config(generator, clusters.config, min(clusters.config.sources)), tokens_per_cluster=bench.config.tokens)
    if warm:
        sizes = from_dict(RearrangerConfig, read_json(bench.folder / "config.json")["rearranger"])
    rearranger = start_rearranger(sizes, generator, clusters, warm_from=bench.folder if warm else None, seed=bench.config.seed)
    discriminator, ramp = _open_discriminator(bench, generator)
    config = RearrangerTrainConfig(rearranger=sizes, bf16=bench.config.bf16, adversarial_ramp=ramp)
    task = RearrangerTask(config, generator, clusters, rearranger, discriminator, seed=bench.config.seed)
    notes: dict[str, Any] = {"seed": bench.config.seed, "start": bench.start, "adversarial": _describe(discriminator, ramp)}
    return Stage(task, lambda folder, seen: export_rearranger(folder, task, {**notes, "images_seen": seen}))


def open_segmenter_stage(bench: Bench) -> Stage:
    """Label samples, and learn from them."""
    generator = load_generator(bench.folder).to(bench.device)
    samples = bench.labels.samples(generator, bench.config.psi)
    task = SegmenterTask(SegmenterTrainConfig(seed=bench.config.seed), samples, bench.labels.label_set, bench.device)
    notes = {"labelled_by": bench.labels.words, "seeds": list(bench.labels.seeds), "psi": bench.config.psi, "labels_key": bench.labels.key}
    return Stage(task, lambda folder, seen: export_segmenter(folder, task, {**notes, "images_seen": seen}, model=folder))


def open_reader_stage(bench: Bench) -> Stage:
    """Distil the segmenter, warm from the copy's reader where that has the same sizes."""
    task = open_distillation(bench.folder, bench.device, seed=bench.config.seed, bf16=bench.config.bf16, held=bench.sizes.held_out)
    known = read_json(bench.folder / "config.json").get("reader")
    if known and has_part(bench.folder, "reader", {}) and from_dict(ReaderConfig, known) == task.config.reader:
        state = load_reader(bench.folder)[0].state_dict()
        for network in task.networks().values():
            network.load_state_dict(state)
    notes = {"preset": "live"}
    return Stage(task, lambda folder, seen: export_distilled(folder, task, {**notes, "images_seen": seen}, model=folder))


def open_mapper_stage(bench: Bench) -> Stage:
    """Warm from the copy's mapper where that has the same sizes."""
    known = read_json(bench.folder / "config.json").get("mappers", {}).get("mask", {})
    width = known.get("width", bench.sizes.mapper_width)
    task = open_mapper(bench.folder, bench.device, width=width, seed=bench.config.seed)
    return Stage(task, lambda folder, seen: export_mapper(folder, task, {"seed": bench.config.seed, "images_seen": seen}))


def choose_images(task: Task, sizes: StageSizes, seconds: float | None, stop: threading.Event) -> int:
    """Choose how many pictures a stage sees, so that its schedules end with its time.

    Args:
        task: about to run; it is tried for a few steps and left as it was.
        sizes: bounds.
        seconds: time of the stage; `None` takes the default number.
        stop: once set, nothing is tried.
    """
    if seconds is None or stop.is_set():
        return sizes.images
    rate = measure_pace(task, sizes.batch, PROBE_SHARE * seconds)
    images = min(rate * seconds, sizes.most)
    return max(math.floor(images / sizes.batch), 1) * sizes.batch


def measure_pace(task: Task, batch: int, seconds: float) -> float:
    """Try a few steps all over a run, at least two and no more once `seconds` are over, and put everything back: pictures a second."""
    parts: tuple[Any, ...] = (*task.networks().values(), *task.optimizers().values())
    before = [copy.deepcopy(part.state_dict()) for part in parts]
    total = 1000 * batch
    start = began = time.monotonic()
    tried = 0
    for step, progress in enumerate((0.0, *PROBES)):
        if step == 1:
            began = time.monotonic()  # the first one warms up
        if step > 1 and time.monotonic() - start > seconds:
            break
        seen = int(progress * total)
        task.step(
            StepInfo(step=step, sample_ids=tuple(range(seen, seen + batch)), batch_size=batch, images_seen=seen, total_images=total, seed=0)
        )
        tried = step
    pace = tried * batch / max(time.monotonic() - began, 1e-6)
    for part, state in zip(parts, before):
        part.load_state_dict(state)
    return pace


def _open_discriminator(bench: Bench, generator: StyleGAN2) -> tuple[Discriminator | None, float]:
    """Load the copy's discriminator, or make a fresh one where that is asked for; with the ramp of its weight."""
    wanted = bench.config.adversarial
    if wanted is False:
        return None, 0.0
    if has_part(bench.folder, "discriminator", {}):
        discriminator, ramp = load_discriminator(bench.folder, generator.config), 0.0
    elif wanted:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bench.config.seed)
            discriminator, ramp = Discriminator(generator.config.resolution, generator.config.channels), FRESH_RAMP
    else:
        return None, 0.0
    return discriminator.to(device=bench.device, memory_format=torch.channels_last), ramp  # type: ignore[call-overload]


def _describe(discriminator: Discriminator | None, ramp: float) -> str:
    return "none" if discriminator is None else "a fresh discriminator" if ramp else "the model's discriminator"
