"""How well pictures follow masks, as one figure that decides between two states of a model.

With a reader that stands for a person, and the classes of the portraits, the masks are the exact labels of renders that no training
sees; else they are those of the model's own held-out samples. The pictures have other styles. They are read by the given
reader or, where there is none, by the model's own. Judge B has no part in this: it only reports.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sisgen.data.portraits import PORTRAIT_LABELS, VALIDATION_SEEDS, render
from sisgen.errors import CheckpointError
from sisgen.generators.latents import latents
from sisgen.metrics.segmentation import ConfusionMeter
from sisgen.nets.reader import Reader
from sisgen.nets.segmenter import Segmenter
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.train.labelled_samples import run_hypercolumn
from sisgen.train.segmenter import load_segmenter

STYLE_OFFSET = 5_000  # styles come from the second half of the validation seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationConfig:
    """What is scored."""

    pictures: int = 64
    batch: int = 8
    device: str | None = None


class StoppedError(Exception):
    """The run was asked to stop; what it did so far is in its folder."""


@torch.no_grad()
def validate(
    model: Path,
    judge: Reader | None,
    config: ValidationConfig,
    *,
    advance: Callable[[int], object] = lambda pictures: None,
    stop: threading.Event | None = None,
) -> float:
    """Score a whole model.

    Args:
        model: its folder.
        judge: reads masks and pictures, with the model's classes; `None` leaves it to the model's own segmenter and reader.
        config: what is scored.
        advance: called with the pictures that were just scored.
        stop: once set, the scoring ends.

    Returns:
        mIoU in [0, 1], over the classes that the masks hold.

    Raises:
        CheckpointError: the model is not whole.
        StoppedError: `stop` was set.
    """
    pipe = Pipeline.from_pretrained(model, device=config.device)
    subject = PipelineSubject(pipe)
    source = _MaskSource(pipe, judge, model)
    meter = ConfusionMeter(len(pipe.labels))
    for start in range(0, config.pictures, config.batch):
        if stop is not None and stop.is_set():
            raise StoppedError
        places = range(VALIDATION_SEEDS.start + start, VALIDATION_SEEDS.start + min(start + config.batch, config.pictures))
        masks = source.masks(places).cpu()
        images = subject.from_masks(masks, [place + STYLE_OFFSET for place in places])
        meter.add(masks, (judge or pipe.engine.reader).read(images.to(pipe.device)).cpu())
        advance(len(places))
    miou = meter.score().miou
    return miou if miou == miou else 0.0


def takes_renders(pipe_classes: tuple[str, ...], judge: Reader | None) -> bool:
    """Tell whether masks are labels of renders: with a judge that knows the portraits' classes."""
    return judge is not None and pipe_classes == PORTRAIT_LABELS.names


class _MaskSource:
    """Masks by seed: of renders or of the model's samples."""

    def __init__(self, pipe: Pipeline, judge: Reader | None, model: Path) -> None:
        self.pipe, self.judge = pipe, judge
        self.renders = takes_renders(pipe.labels.names, judge)
        self.segmenter: Segmenter | None = None
        if judge is None:
            try:
                self.segmenter = load_segmenter(model)[0].to(pipe.device)
            except CheckpointError:  # an older model may lack it; its reader knows the classes, too
                self.segmenter = None

    def masks(self, seeds: range) -> torch.Tensor:
        """Give int64 [B, H, W]."""
        if self.renders:
            return render(seeds, self.pipe.drawing_size).labels
        generator = self.pipe.engine.generator
        z = latents(seeds, generator.config.z_dim).to(self.pipe.device)
        ws = generator.map(z, psi=self.pipe.config.defaults.truncation)
        images, hypercolumn = run_hypercolumn(generator, ws, self.pipe.drawing_size)
        return (self.judge or self.pipe.engine.reader).read(images) if self.segmenter is None else self.segmenter.read(hypercolumn)
