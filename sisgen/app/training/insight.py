"""What labels teach within seconds, and which sample to label next: the one whose reading is least certain.

A few-shot segmenter is trained for some steps on the painted samples and reads samples that it never saw. How unsure it is of
one is the share of its pixels whose best class has a probability below `SURE`. On the portraits (one label, 48 samples, twice)
that share ranks samples by their true errors better than the mean entropy does: rank correlation -0.27 to -0.56 against -0.11 to
-0.32.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sisgen.app.training.jobs import PSI, Job
from sisgen.devices import pick_device
from sisgen.generators.latents import latents
from sisgen.io.labels import read_labels
from sisgen.train.checkpoints import load_generator
from sisgen.train.labelled_samples import label_samples
from sisgen.train.loop import StepInfo
from sisgen.train.segmenter import SegmenterTask, SegmenterTrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from sisgen.generators.stylegan2 import StyleGAN2
    from sisgen.nets.segmenter import Segmenter

STEPS, BATCH = 100, 2  # six to nine seconds on one core at 128 px
LEARNING_RATE, WIDTH = 8e-3, 32
SURE = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Insight:
    """What a segmenter reads on samples that it never saw.

    Attributes:
        seeds: of these samples.
        doubts: how unsure it is of each, in [0, 1].
        readings: int64 [N, H, W].
    """

    seeds: tuple[int, ...]
    doubts: tuple[float, ...]
    readings: np.ndarray


def look(job: Job, *, report: Callable[[float], None], stop: threading.Event) -> Insight | None:
    """Train a segmenter for some seconds and ask it about the other samples.

    Args:
        job: with painted and further samples.
        report: told the share that is done.
        stop: once set, it ends at the next step.

    Returns:
        What it reads; `None` after a stop, and where there is no further sample.
    """
    device = pick_device(job.device)
    generator = load_generator(job.source).to(device)
    samples = label_samples(generator, job.seeds, _read_masks(job), None, PSI)
    task = SegmenterTask(SegmenterTrainConfig(lr=LEARNING_RATE, width=WIDTH), samples, job.label_set, device)
    total = STEPS * BATCH
    for step in range(STEPS):
        if stop.is_set():
            return None
        seen = step * BATCH
        ids = tuple(range(seen, seen + BATCH))
        task.step(StepInfo(step=step, sample_ids=ids, batch_size=BATCH, images_seen=seen, total_images=total, seed=0))
        report((step + 1) / STEPS)
    return read_samples(generator, task.segmenter, job.shown)


@torch.inference_mode()
def read_samples(generator: StyleGAN2, segmenter: Segmenter, seeds: Sequence[int]) -> Insight | None:
    """Read samples and measure how unsure each reading is; `None` without seeds."""
    doubts: list[float] = []
    readings = []
    device = next(segmenter.parameters()).device
    for first in range(0, len(seeds), BATCH):
        z = latents(seeds[first : first + BATCH], generator.config.z_dim)
        hypercolumn = generator.hypercolumn(generator.map(z.to(device), psi=PSI), largest=segmenter.resolution)
        probs = segmenter([step.map for step in hypercolumn]).softmax(dim=1)  # [B, L, H, W]
        doubts += unsure_share(probs).tolist()
        readings.append(probs.argmax(dim=1).cpu().numpy())
    return Insight(seeds=tuple(seeds), doubts=tuple(doubts), readings=np.concatenate(readings)) if readings else None


def unsure_share(probs: torch.Tensor) -> torch.Tensor:
    """Give the share of each picture's pixels that are no sure reading: class probabilities [B, L, H, W] -> [B] in [0, 1]."""
    return (probs.amax(dim=1) < SURE).float().mean(dim=(1, 2))


def tell(insight: Insight, job: Job) -> dict[str, Any]:
    """Write an insight for the page: readings as runs, doubts, and the sample that a next label helps most."""
    from sisgen.app.drawings import encode_runs, to_canvas

    shares = [round(value, 4) for value in insight.doubts]
    readings = [
        {"seed": seed, "doubt": share, "runs": encode_runs(to_canvas(labels, job.label_set))}
        for seed, share, labels in zip(insight.seeds, shares, insight.readings)
    ]
    best = int(np.argmax(insight.doubts))
    return {"next": insight.seeds[best], "doubt": shares[best], "mean": round(float(np.mean(insight.doubts)), 4), "readings": readings}


def _read_masks(job: Job) -> torch.Tensor:
    masks = [read_labels(job.masks / f"{seed}.png", job.label_set) for seed in job.seeds]
    return torch.from_numpy(np.stack(masks))
