"""Readers as folders: `config.json`, `reader.safetensors` and, for the judges, a card; a whole model's folder serves as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sisgen.errors import CheckpointError
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.weights import load_module
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.train.checkpoints import export_parts
from sisgen.types import LabelSet


def export_reader(folder: str | Path, reader: Reader, label_set: LabelSet, notes: Mapping[str, Any]) -> None:
    """Write a reader into a folder, or into a whole model's folder, whose other parts stay.

    Args:
        folder: made where it lacks.
        reader: the averaged weights.
        label_set: what its outputs mean.
        notes: recipe and scores, kept under `training.reader` of `config.json`.
    """
    content = {"labels": to_dict(label_set), "reader": to_dict(reader.config), "training": training_notes(folder, "reader", notes)}
    export_parts(folder, {"reader": reader}, content)


def training_notes(folder: str | Path, part: str, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the `training` entry of a folder's `config.json` with the notes of one part replaced."""
    path = Path(folder) / "config.json"
    old = read_json(path).get("training", {}) if path.exists() else {}
    return {**old, part: dict(notes)}


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
