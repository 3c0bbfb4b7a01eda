"""Adaptation in one piece: segmenter, clusters, rearranger, live reader and mapper of a generator, in order, resumable.

Everything happens on a copy of the model in a work folder. The model itself is replaced at the end, whole, and only where pictures
that follow masks became better. Parts remember the generator that they were fitted to, so that a run knows what to keep:

| what changed since | clusters | rearranger | segmenter, reader, mapper |
|---|---|---|---|
| the generator | kept | goes on | anew, goes on, goes on |
| labels only | kept | kept | anew, goes on, goes on; all anew for other classes |
| nothing | kept | goes on | anew, goes on, goes on |
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from sisgen.generators.convert import ConvertConfig, convert
from sisgen.train.adaptation.progress import Report
from sisgen.train.adaptation.run import Run
from sisgen.train.adaptation.settings import AdaptConfig, AdaptProgress, AdaptResult
from sisgen.train.adaptation.sizes import AdaptSizes, StageSizes, sizes_for
from sisgen.train.adaptation.state import claim
from sisgen.train.validation import StoppedError

__all__ = ["AdaptConfig", "AdaptProgress", "AdaptResult", "AdaptSizes", "StageSizes", "adapt", "bring_in", "sizes_for"]

log = logging.getLogger(__name__)


def adapt(config: AdaptConfig, *, report: Report | None = None, stop: threading.Event | None = None) -> AdaptResult:
    """Make a generator steerable by masks, or let its parts follow a generator that went on training.

    Args:
        config: what to adapt; the same config goes on where an earlier run stopped.
        report: told how far it is, every few seconds.
        stop: once set, the run ends at the next step with a snapshot; SIGTERM sets it, too.

    Raises:
        InputError: a folder, mask or reader cannot be used.
        CheckpointError: the model is incomplete or altered.
        TrainingError: a stage cannot start, resume or go on.
    """
    with claim(config.work):
        run = Run(config, report=report, stop=stop or threading.Event())
        if run.is_over and run.figures.delivered and (run.figures.replaced or not config.force):
            return run.result(f"This was finished before; another work folder than '{config.work}' goes on from the model.")
        try:
            for stage in run.todo:
                run.perform(stage)
        except StoppedError:
            sentence = "Stopped; the same command goes on where it stopped."
            return AdaptResult(config.out, None, None, replaced=False, finished=False, sentence=sentence)
        return run.finish()


def bring_in(source: Path, work: Path, name: str, *, class_number: int | None = None, license: str | None = None) -> Path:
    """Convert another project's generator (or copy a model folder) into the work folder, without running anything in it.

    Args:
        source: a `.pkl`, `.pt`, safetensors file or model folder.
        work: folder of the run.
        name: of the model.
        class_number: class of a conditional generator that is adapted; `None` for an unconditional one.
        license: of the weights; `None` keeps what is known.

    Returns:
        A model folder for `AdaptConfig.model`.

    Raises:
        SisgenError: the file is refused or holds no StyleGAN2 that can run here.
    """
    folder = work / "source"
    wanted = ConvertConfig(source=source, out=folder, name=name, overwrite=True, class_number=class_number, license=license)
    for note in convert(wanted).notes:
        log.info(note)
    return folder
