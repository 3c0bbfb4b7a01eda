"""Readers as folders: `config.json`, `reader.safetensors` and, for the judges, a card; a whole model's folder serves as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sisgen.errors import CheckpointError
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.files import write_text
from sisgen.io.weights import load_module
from sisgen.metrics.segmentation import SegmentationScore
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.train.checkpoints import export_parts, training_notes
from sisgen.types import LabelSet


def export_reader(
    folder: str | Path, reader: Reader, label_set: LabelSet, notes: Mapping[str, Any], *, model: str | Path | None = None
) -> None:
    """Write a reader into a folder, or into a whole model's folder, whose other parts stay.

    Args:
        folder: made where it lacks.
        reader: the averaged weights.
        label_set: what its outputs mean.
        notes: recipe and scores, kept under `training.reader` of `config.json`.
        model: whose samples it learned on; `None` for one that learned on renders.
    """
    content = {"labels": to_dict(label_set), "reader": to_dict(reader.config)}
    content["training"] = training_notes(folder, "reader", notes, model=model)
    export_parts(folder, {"reader": reader}, content)


def round_scores(scores: SegmentationScore, label_set: LabelSet) -> dict[str, Any]:
    """Give held-out scores as plain JSON, four decimals."""
    per_class = {name: round(value, 4) for name, value in scores.by_name(label_set.names).items()}
    return {"miou": round(scores.miou, 4), "accuracy": round(scores.accuracy, 4), "per_class": per_class}


def write_judge_card(folder: str | Path, notes: Mapping[str, Any], hardware: str) -> None:
    """Write the CARD.md of a judge from the notes of its training."""
    held = notes["held_out"]
    rows = [f"| {name} | {100 * value:.1f} |" for name, value in held["per_class"].items()]
    words = [f"--{name} {notes[name]}" for name in ("preset", "half", "seed") if notes.get(name) is not None]
    command = f"python -m sisgen train reader --data CACHE {' '.join(words)} --images {notes['images_seen']} --out RUN --export FOLDER"
    lines = [
        f"# Judge {Path(folder).name}: reads the classes of portraits",
        "",
        "| | |",
        "|---|---|",
        "| What it is for | scores of `python -m sisgen evaluate`; judge A also stands in for the person who labels samples |",
        "| Training data | portraits rendered by this project, with their exact labels; no photographs |",
        f"| Images seen | {notes['images_seen']:,} |",
        f"| Command | `{command}` |",
        f"| Hardware | {hardware} |",
        "| Licence | Apache-2.0 |",
        "",
        f"Held-out renders as they are: mIoU {100 * held['miou']:.1f}, pixel accuracy {100 * held['accuracy']:.1f}.",
        "",
        "| class | IoU |",
        "|---|---|",
        *rows,
        "",
    ]
    write_text(Path(folder) / "CARD.md", "\n".join(lines))


def load_reader(folder: str | Path, device: torch.device | str = "cpu") -> tuple[Reader, LabelSet]:
    """Load a reader for use: evaluation mode, no gradients.

    Returns:
        The reader, and the classes of its outputs.

    Raises:
        CheckpointError: a file is missing, altered or does not fit.
    """
    folder = Path(folder)
    content = read_json(folder / "config.json")
    for key in ("reader", "labels"):
        if key not in content:
            raise CheckpointError(f"The folder '{folder}' must hold a reader, but its config.json lacks '{key}'; train one with --export.")
    config = from_dict(ReaderConfig, content["reader"], where=f"The reader in '{folder}'")
    labels = from_dict(LabelSet, content["labels"], where=f"The label set in '{folder}'")
    if config.num_labels != len(labels):
        raise CheckpointError(f"The reader in '{folder}' must have {len(labels)} labels, but it has {config.num_labels}; export it again.")
    sha256 = content.get("files", {}).get("reader.safetensors")
    reader = load_module(folder / "reader.safetensors", lambda: Reader(config), sha256=sha256).requires_grad_(False)
    return reader.to(device), labels
