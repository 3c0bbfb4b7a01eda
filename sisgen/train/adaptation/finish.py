"""The end of an adaptation: both states of the model are scored, and the better one stays."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sisgen.devices import describe_device, pick_device
from sisgen.errors import SisgenError
from sisgen.io.configs import read_json, write_json
from sisgen.io.files import write_text
from sisgen.pipeline import Pipeline
from sisgen.train.adaptation.copies import files_of, put_back
from sisgen.train.adaptation.labels import LabelSource
from sisgen.train.adaptation.progress import Journey
from sisgen.train.adaptation.settings import AdaptConfig
from sisgen.train.adaptation.sizes import AdaptSizes
from sisgen.train.adaptation.state import Figures, RunState
from sisgen.train.release import ReleaseConfig, find_class_seeds, revision_of, write_card
from sisgen.train.validation import ValidationConfig, takes_renders, validate

log = logging.getLogger(__name__)
HEADING = "## Last adaptation"


def measure(
    config: AdaptConfig, copy: Path, labels: LabelSource, sizes: AdaptSizes, journey: Journey, stop: threading.Event, key: str
) -> Figures:
    """Score the adapted copy, and the model in `out` where there is one with the same classes.

    Raises:
        StoppedError: `stop` was set.
    """
    old = _comparable(config.out, labels)
    settings = ValidationConfig(pictures=sizes.validation, batch=sizes.validation_batch, device=config.device)
    journey.begin("validation", copy, settings.pictures * (2 if old else 1))
    scores: list[float] = []
    for folder in (copy, config.out)[: 2 if old else 1]:
        first = len(scores) * settings.pictures
        count = _Counter(journey, first)
        scores.append(validate(folder, labels.annotator, settings, advance=count, stop=stop))
    masks = "renders" if takes_renders(labels.label_set.names, labels.annotator) else "held-out samples"
    before = scores[1] if old else None
    return Figures(key=key, before=before, after=scores[0], pictures=settings.pictures, masks=masks)


def deliver(config: AdaptConfig, copy: Path, state: RunState, sizes: AdaptSizes, save: Callable[[RunState], None]) -> tuple[RunState, str]:
    """Complete the copy, and let it take the target's place where validation improved.

    Args:
        config: of the run.
        copy: the adapted copy.
        state: with its figures.
        sizes: of the run.
        save: remembers a state before the target changes.

    Returns:
        The state, and what happened in one sentence.
    """
    assert state.figures is not None
    figures = replace(state.figures, delivered=True)
    complete(config, copy, figures, sizes.class_samples)
    words = f"validation mIoU {_percent(figures.before)} before, {_percent(figures.after)} after"
    if figures.before is None:
        words = f"validation mIoU {_percent(figures.after)}, and none to compare with"
    if figures.before is not None and figures.after <= figures.before and not config.force:
        sentence = f"The model in '{config.out}' stays, since the new one is no better ({words}); the new one lies in '{copy}'."
        return replace(state, figures=figures), sentence
    if files_of(config.out) not in (dict(state.target), dict(state.written)):
        sentence = f"The model in '{config.out}' was changed by another meanwhile and stays ({words}); the new one lies in '{copy}'."
        return replace(state, figures=figures), sentence
    state = replace(state, written=files_of(copy))
    save(state)
    put_back(copy, config.out)
    return replace(state, figures=replace(figures, replaced=True)), f"The new model is in '{config.out}' ({words})."


def complete(config: AdaptConfig, copy: Path, figures: Figures, class_samples: int) -> None:
    """Give the copy its revision, the seeds of its rare classes, its figures and a card."""
    path = copy / "config.json"
    content = read_json(path)
    notes: dict[str, Any] = {"miou": round(figures.after, 4), "pictures": figures.pictures, "masks": figures.masks}
    notes["before"] = None if figures.before is None else round(figures.before, 4)
    content["training"] = {**content.get("training", {}), "validation": notes}
    content.setdefault("defaults", {"truncation": 0.7, "seed": 0})
    revision = revision_of(content["files"])
    if "class_seeds" not in content or content.get("revision") != revision:
        content["class_seeds"] = find_class_seeds(Pipeline.from_pretrained(copy, device=config.device), class_samples)
    content["revision"] = revision
    write_json(path, content)
    _write_card(config, copy, content)


class _Counter:
    """Adds up scored pictures for the progress line."""

    def __init__(self, journey: Journey, first: int) -> None:
        self.journey, self.seen = journey, first

    def __call__(self, pictures: int) -> None:
        self.seen += pictures
        self.journey.watch(self.seen)


def _comparable(out: Path, labels: LabelSource) -> bool:
    """Tell whether the target holds a whole model with the same classes."""
    if not (out / "config.json").is_file():
        return False
    content = read_json(out / "config.json")
    if tuple(content.get("labels", {}).get("names", ())) != labels.label_set.names:
        log.info("The model in '%s' has other classes or none: there is no score to compare with.", out)
        return False
    try:
        Pipeline.from_pretrained(out, device="cpu")
    except SisgenError as problem:
        log.info("The model in '%s' is not whole, so there is no score to compare with (%s)", out, problem)
        return False
    return True


def _write_card(config: AdaptConfig, copy: Path, content: dict[str, Any]) -> None:
    """Write a card, or renew the last section of the one that is there."""
    card = copy / "CARD.md"
    notes = content["training"]["validation"]
    if card.is_file():
        text = card.read_text(encoding="utf-8").split(HEADING)[0].rstrip()
    else:
        hardware = describe_device(pick_device(config.device))
        data = content["training"].get("converted", {}).get("from", "not known here")
        plain = ReleaseConfig(
            model=copy, description=content.get("description", ""), license=content.get("license", "unknown"), data=data, hardware=hardware
        )
        text = write_card(plain, content, {}).rstrip()
    figures = f"mIoU {_percent(notes['miou'])} on {notes['pictures']} pictures driven by masks of {notes['masks']}"
    before = "" if notes["before"] is None else f"; the model before it had {_percent(notes['before'])}"
    labels = content["training"]["segmenter"]
    lines = [
        HEADING,
        "",
        f"Revision `{content['revision']}`, {labels['labels']} samples labelled by {labels['labelled_by']}. Validation: {figures}{before}.",
        "Figures further up that name another revision were measured before.",
        "",
    ]
    write_text(card, "\n".join([text, "", *lines]))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
