"""Learns the directions of attributes for a model, from its own samples as its own reader sees them, and keeps them in its folder.

Beside them lie the directions of texts, which `sisgen.editing.text` finds one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sisgen.editing.attributes import sample_attributes
from sisgen.editing.directions import FILE, Direction, save_directions
from sisgen.editing.supervised import SURE, LearnedDirection, attribute_directions
from sisgen.editing.text import TextDirection
from sisgen.engines.models import learned_directions, read_config
from sisgen.errors import TrainingError
from sisgen.io.configs import read_json, write_json
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import training_notes


def learn_directions(
    pipe: Pipeline, samples: int = 2000, *, accuracy: float = SURE, seed: int = 0, report: Callable[[int, int], None] | None = None
) -> list[LearnedDirection]:
    """Learn a direction for every attribute that w tells apart.

    Args:
        pipe: the model.
        samples: pictures to measure.
        accuracy: share of held-out samples that must be told apart.
        seed: of the samples.
        report: told (pictures done, in all).

    Raises:
        InputError: too few samples.
        TrainingError: no attribute can be told from w.
    """
    engine = pipe.engine
    w, attributes = sample_attributes(engine.generator, engine.reader, pipe.labels, samples, seed=seed, report=report)
    found = attribute_directions(w, attributes, accuracy=accuracy)
    if not found:
        raise TrainingError(f"No attribute of {samples} samples can be told from their styles; take more samples or a lower --accuracy.")
    return found


def export_directions(folder: str | Path, found: list[LearnedDirection], *, samples: int, seed: int) -> None:
    """Write learned directions into a model folder, with how well each attribute can be told; those of texts stay."""
    kept, notes = _kept(folder)
    texts = notes.get("texts", {})
    learned = [one.direction for one in found]
    names = {one.name for one in learned}
    learned += [one for one in kept if one.name in texts and one.name not in names]
    notes = {"samples": samples, "seed": seed, "accuracy": {one.direction.name: round(one.accuracy, 3) for one in found}}
    texts = {name: words for name, words in texts.items() if name not in names}
    _write(folder, learned, {**notes, **({"texts": texts} if texts else {})})


def export_text_direction(folder: str | Path, found: TextDirection, words: Mapping[str, Any]) -> None:
    """Add the direction of a text to those of a model folder.

    Args:
        folder: the model's.
        found: it takes the place of one with its name.
        words: what it was found with, for the notes: text, neutral, clip, seed.
    """
    kept, notes = _kept(folder)
    name = found.direction.name
    accuracy = {other: share for other, share in notes.get("accuracy", {}).items() if other != name}
    texts = {**notes.get("texts", {}), name: {**words, "alignment": round(found.alignment, 3)}}
    directions = [one for one in kept if one.name != name] + [found.direction]
    _write(folder, directions, {**notes, **({"accuracy": accuracy} if accuracy else {}), "texts": texts})


def _kept(folder: str | Path) -> tuple[list[Direction], dict[str, Any]]:
    """Read the directions that a model folder has, and their notes; nothing where its generator is another one by now."""
    config = read_config(Path(folder))
    directions = learned_directions(Path(folder), config)
    return directions, dict(config.training.get("directions", {})) if directions else {}


def _write(folder: str | Path, directions: list[Direction], notes: Mapping[str, Any]) -> None:
    folder = Path(folder)
    sha256 = save_directions(folder / FILE, directions)
    content = read_json(folder / "config.json")
    content["files"] = dict(sorted({**content.get("files", {}), FILE: sha256}.items()))
    content["training"] = training_notes(folder, "directions", notes, model=folder)
    write_json(folder / "config.json", content)
