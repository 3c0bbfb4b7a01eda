"""One start of an adaptation: what is to do, stage by stage, and what is remembered of it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from sisgen.devices import pick_device
from sisgen.errors import InputError, TrainingError
from sisgen.generators.stylegan2 import StyleGAN2Config
from sisgen.io.configs import from_dict, read_json
from sisgen.shapes import drawing_size
from sisgen.train.adaptation.copies import copy_model, edit_copy, files_of, set_classes
from sisgen.train.adaptation.finish import deliver, measure
from sisgen.train.adaptation.labels import LabelSource, open_labels
from sisgen.train.adaptation.progress import Journey, Report
from sisgen.train.adaptation.settings import AdaptConfig, AdaptResult
from sisgen.train.adaptation.sizes import sizes_for
from sisgen.train.adaptation.stages import (
    Bench,
    choose_images,
    fit_stage,
    open_mapper_stage,
    open_reader_stage,
    open_rearranger_stage,
    open_segmenter_stage,
)
from sisgen.train.adaptation.starts import choose_start
from sisgen.train.adaptation.state import Figures, RunState, StageRecord, key_of, load_state, save_state
from sisgen.train.checkpoints import generator_sha256
from sisgen.train.distributed import Processes
from sisgen.train.loop import LoopConfig, run_loop
from sisgen.train.validation import StoppedError

log = logging.getLogger(__name__)
OPENERS = {
    "segmenter": open_segmenter_stage,
    "rearranger": open_rearranger_stage,
    "reader": open_reader_stage,
    "mapper": open_mapper_stage,
}
STAGES = ("segmenter", "clusters", "rearranger", "reader", "mapper", "validation")
SLACK = 1.1  # of a stage's time, before it is cut short
LEAST_SECONDS = 5.0  # of a stage, even when the budget is spent: something has to be learned


@dataclass(frozen=True, slots=True)
class _Plan:
    """Inputs of every stage, as keys, and which of them run at all."""

    keys: dict[str, str]
    stages: tuple[str, ...]


class Run:
    """One start of an adaptation.

    Args:
        config: what to adapt.
        report: told how far it is; `None` tells nobody.
        stop: ends it.
    """

    def __init__(self, config: AdaptConfig, *, report: Report | None, stop: threading.Event) -> None:
        if Processes().size > 1:
            raise TrainingError("Adapting runs in one process, but several were started; start it without accelerate.")
        self.device = pick_device(config.device)
        if config.adversarial is None and self.device.type == "cuda":  # on a CPU it would take a third of the time
            config = replace(config, adversarial=True)
        self.config, self.stop = config, stop
        self.folder = config.work / "model"
        generator = _read_generator(config.model)
        self.sizes = config.sizes or sizes_for(generator, self.device.type)
        self.labels = open_labels(config, drawing_size(generator.resolution), self.device)
        self.state = self._open()
        self.plan = _plan(config, self.state, self.labels, generator_sha256(self.folder))
        if self.state.figures is not None and not self.is_over:  # other labels than those of a run that was finished
            self.state = replace(self.state, figures=None, seconds=0.0, start=choose_start(self.folder, config, self.labels))
            self.plan = _plan(config, self.state, self.labels, generator_sha256(self.folder))
        self._save_state(self.state)
        shares = {"clusters": self.sizes.clusters_share, "validation": self.sizes.validation_share}
        shares |= {name: getattr(self.sizes, name).share for name in OPENERS}
        budget = None if config.minutes is None else config.minutes * 60
        self.journey = Journey(
            {name: shares[name] for name in self.plan.stages}, spent=self.state.seconds, budget=budget, report=report, save=self._spend
        )
        self.bench = Bench(
            config=config, sizes=self.sizes, folder=self.folder, device=self.device, labels=self.labels, start=self.state.start
        )

    @property
    def is_over(self) -> bool:
        """Whether an earlier start did all of this."""
        return self.state.figures is not None and self.state.figures.key == self.plan.keys["validation"]

    @property
    def figures(self) -> Figures:
        """The outcome's validation, once it is known."""
        assert self.state.figures is not None
        return self.state.figures

    @property
    def todo(self) -> tuple[str, ...]:
        """Stages that are not done."""
        return tuple(name for name in self.plan.stages if not self._is_done(name))

    def perform(self, stage: str) -> None:
        """Run one stage and remember that it is done.

        Raises:
            StoppedError: it was stopped; its snapshot is written.
        """
        if self.stop.is_set():
            raise StoppedError
        if stage == "validation":
            self.state = replace(self.state, figures=self._measure())
        elif stage == "clusters":
            self.journey.begin(stage, self.folder)
            fit_stage(self.bench)
            self._done(stage, 0)
        else:
            self._train(stage)
        self._save()

    def finish(self) -> AdaptResult:
        """Replace the target where that is due."""
        state, sentence = deliver(self.config, self.folder, self.state, self.sizes, self._save_state)
        self._save_state(state)
        return self.result(sentence)

    def result(self, sentence: str) -> AdaptResult:
        """Tell what came of it."""
        figures = self.figures
        folder = self.config.out if figures.replaced else self.folder
        return AdaptResult(folder, figures.before, figures.after, figures.replaced, sentence=sentence)

    def _open(self) -> RunState:
        """Go on with the run in the work folder, or copy the model and begin."""
        config, state = self.config, load_state(self.config.work)
        source = files_of(config.model)
        if state is not None and source in (dict(state.source), dict(state.written)) and self.folder.is_dir():
            return state if not config.fresh or state.start == "anew" else replace(state, start="anew", figures=None, seconds=0.0)
        if state is not None:
            log.info("The model '%s' changed since the run in '%s' began, which starts again from it.", config.model, config.work)
        copy_model(config.model, config.out, self.folder)
        return RunState(source=source, target=files_of(config.out), start=choose_start(self.folder, config, self.labels))

    def _train(self, stage: str) -> None:
        """Run one trainer until its pictures are seen, its time is over or it is stopped."""
        if stage == "segmenter":
            set_classes(self.folder, self.labels.label_set)
        sizes, out, key = getattr(self.sizes, stage), self.config.work / stage, self.plan.keys[stage]
        record = self.state.stages.get(stage)
        if record is None or record.key != key:
            _empty(out)
            record = None
        self.journey.begin(stage, out)
        seconds = self.journey.seconds_for(stage)
        opened = OPENERS[stage](self.bench)
        if record is None:
            record = StageRecord(key=key, images=choose_images(opened.task, sizes, seconds, self.stop), batch=sizes.batch)
            if self.stop.is_set():
                raise StoppedError
            self.state = self.state.with_stage(stage, record)
            self._save()
        self.journey.begin(stage, out, record.images)
        often, minutes = self.config.snapshot_minutes, None if seconds is None else max(seconds * SLACK, LEAST_SECONDS) / 60
        loop = LoopConfig(out=out, images=record.images, snapshot_minutes=often, sample_minutes=often)
        loop = replace(loop, batch=record.batch, seed=self.config.seed, minutes=minutes)
        seen = run_loop(opened.task, loop, progress=self.journey.say, watch=self.journey.watch, stop=self.stop)
        if self.stop.is_set() and seen < record.images:
            raise StoppedError
        with edit_copy(self.folder) as folder:
            opened.export(folder, seen)
        self._done(stage, record.images)

    def _measure(self) -> Figures:
        return measure(self.config, self.folder, self.labels, self.sizes, self.journey, self.stop, self.plan.keys["validation"])

    def _is_done(self, stage: str) -> bool:
        return self.is_over if stage == "validation" else self.state.is_done(stage, self.plan.keys[stage])

    def _done(self, stage: str, images: int) -> None:
        self.state = self.state.with_stage(stage, StageRecord(key=self.plan.keys[stage], images=images, done=True))

    def _spend(self, seconds: float) -> None:
        self._save_state(replace(self.state, seconds=seconds))

    def _save(self) -> None:
        self._spend(self.journey.spent)

    def _save_state(self, state: RunState) -> None:
        self.state = state
        save_state(self.config.work, state)


def _plan(config: AdaptConfig, state: RunState, labels: LabelSource, generator: str | None) -> _Plan:
    """Choose the stages, and name what each is made from."""
    labelled = key_of("segmenter", generator, labels.key, config.seed)
    fitted = key_of("clusters", generator, config.seed, state.start) if state.start == "kept" else key_of("clusters", labelled, state.start)
    moved = fitted if state.start == "kept" else key_of("rearranger", fitted, config.adversarial)
    read = key_of("reader", labelled)
    mapped = key_of("mapper", moved, read)
    keys = {"clusters": fitted, "rearranger": moved, "segmenter": labelled, "reader": read, "mapper": mapped}
    keys["validation"] = key_of("validation", mapped)
    skipped = {"anew": (), "warm": ("clusters",), "kept": ("clusters", "rearranger")}[state.start]
    return _Plan(keys, tuple(name for name in STAGES if name not in skipped))


def _read_generator(model: Path) -> StyleGAN2Config:
    path = model / "config.json"
    if not path.is_file():
        raise InputError(
            f"A model folder was expected, but '{model}' has no config.json; convert a foreign file first, or give --generator."
        )
    sizes = from_dict(StyleGAN2Config, read_json(path).get("generator", {}), where=f"The generator of '{model}'")
    if sizes.c_dim:
        raise TrainingError(
            f"Adapting takes one class of a conditional generator, but that of '{model}' has {sizes.c_dim} and none was chosen; "
            f"give it as --generator, and --class N with N in 0..{sizes.c_dim - 1}."
        )
    return sizes


def _empty(out: Path) -> None:
    """Forget an earlier training of a stage that other inputs were asked for."""
    for pattern in ("state-*.pt", ".state-*.pt", "samples-*.png", "stats.jsonl"):
        for path in out.glob(pattern):
            path.unlink()
