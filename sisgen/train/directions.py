"""Learns the directions of attributes for a model, from its own samples as its own reader sees them, and keeps them in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sisgen.editing.attributes import sample_attributes
from sisgen.editing.directions import FILE, save_directions
from sisgen.editing.supervised import SURE, LearnedDirection, attribute_directions
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
    """Write learned directions into a model folder, with how well each attribute can be told."""
    folder = Path(folder)
    sha256 = save_directions(folder / FILE, [one.direction for one in found])
    notes = {"samples": samples, "seed": seed, "accuracy": {one.direction.name: round(one.accuracy, 3) for one in found}}
    content = read_json(folder / "config.json")
    content["files"] = dict(sorted({**content.get("files", {}), FILE: sha256}.items()))
    content["training"] = training_notes(folder, "directions", notes, model=folder)
    write_json(folder / "config.json", content)
