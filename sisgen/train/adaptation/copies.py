"""The copy of a model that a run works on, and the way back: the target is replaced whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sisgen.errors import InputError
from sisgen.io.configs import read_json, to_dict, write_json
from sisgen.io.models import CARD, CONFIG, copy_parts, remove_parts, replace_folder
from sisgen.types import LabelSet

STEMS = {"clusters": "proxy", "rearranger": "rearranger", "segmenter": "segmenter", "reader": "reader", "mapper": "mapper_mask"}
NOTES = {"clusters": "proxy"}  # names of the notes under `training`, where they are not the stage's own
SECTIONS = {"clusters": "proxy", "rearranger": "rearranger", "reader": "reader", "mapper": "mappers"}  # of config.json


def files_of(folder: Path) -> dict[str, str]:
    """Give a model's files with their checksums as its config names them; empty where there is no model."""
    return dict(read_json(folder / CONFIG).get("files", {})) if (folder / CONFIG).is_file() else {}


def copy_model(model: Path, out: Path, copy: Path) -> None:
    """Copy a model; parts that it lacks are taken from `out`, where that is an earlier outcome for a generator of the same sizes.

    Raises:
        CheckpointError: a file is missing or altered.
        InputError: `model` or `out` is something else than a model.
    """
    if not (model / CONFIG).is_file():
        raise InputError(f"A model folder was expected, but '{model}' has no {CONFIG}; convert a foreign file first, or give --generator.")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / CONFIG).is_file())):
        raise InputError(f"'{out}' must be a new folder or a model, but it holds other things; choose another one.")
    changes = {"name": out.resolve().name} if out.resolve() != model.resolve() else {}
    with replace_folder(copy) as staged:
        copy_parts(model, staged, changes)
        if changes and (out / CONFIG).is_file():
            _take_missing(out, staged)


@contextmanager
def edit_copy(copy: Path) -> Iterator[Path]:
    """Lend a twin of the copy to write parts into; it takes the copy's place at the end, so that no kill parts a file from its checksum."""
    with replace_folder(copy) as staged:
        for path in copy.iterdir():
            try:
                os.link(path, staged / path.name)  # whoever writes a file replaces it, so that the twin's stay as they are
            except OSError:
                shutil.copyfile(path, staged / path.name)
        yield staged


def drop_parts(copy: Path, parts: Iterable[str]) -> None:
    """Forget parts of the copy, by the names of their stages; drawing mappers go with the clusters, those that give classes with these."""
    parts = tuple(parts)
    content = read_json(copy / CONFIG)
    training = dict(content.get("training", {}))
    drawings = dict(content.pop("drawing_mappers", {}))
    with_classes = {kind for kind, sizes in drawings.items() if kind == "scribble" or sizes.get("completes", False)}
    gone = [kind for kind in drawings if "clusters" in parts or ("mapper" in parts and kind in with_classes)]
    stems = [*(STEMS[part] for part in parts), *(f"mapper_{kind}" for kind in gone)]
    for part in (*parts, *(f"mapper_{kind}" for kind in gone)):
        training.pop(NOTES.get(part, part), None)
        content.pop(SECTIONS.get(part, ""), None)
    kept = {kind: sizes for kind, sizes in drawings.items() if kind not in gone}
    content |= {"drawing_mappers": kept} if kept else {}
    remove_parts(copy, stems, {**content, "training": training})


def set_classes(copy: Path, label_set: LabelSet) -> None:
    """Give the copy its classes; what was trained for others is forgotten."""
    content = read_json(copy / CONFIG)
    if tuple(content.get("labels", {}).get("names", ())) != label_set.names:
        drop_parts(copy, ("segmenter", "reader", "mapper"))
        content = read_json(copy / CONFIG)
        content.pop("class_seeds", None)
    if content.get("labels") != to_dict(label_set):
        write_json(copy / CONFIG, {**content, "labels": to_dict(label_set)})


def put_back(copy: Path, out: Path) -> None:
    """Replace the target by the copy, whole; other files in the target (pictures, an evaluation) stay."""
    with replace_folder(out) as staged:
        copy_parts(copy, staged, {})
        for path in out.iterdir() if out.is_dir() else ():
            if path.suffix != ".safetensors" and path.name not in (CONFIG, CARD):
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, staged / path.name)


def _take_missing(donor: Path, copy: Path) -> None:
    theirs, ours = read_json(donor / CONFIG), read_json(copy / CONFIG)
    if theirs.get("generator") != ours.get("generator"):
        return
    files: dict[str, Any] = dict(ours.get("files", {}))
    training = dict(ours.get("training", {}))
    for part, stem in STEMS.items():
        name = f"{stem}.safetensors"
        if name not in files and name in theirs.get("files", {}):
            shutil.copyfile(donor / name, copy / name)
            files[name] = theirs["files"][name]
            training |= _entry(theirs.get("training", {}), NOTES.get(part, part))
            ours |= _entry(theirs, SECTIONS.get(part, ""))
    kept = {key: theirs[key] for key in ("labels",) if key in theirs}
    write_json(copy / CONFIG, {**kept, **ours, "training": training, "files": files})


def _entry(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: content[key]} if key in content else {}
