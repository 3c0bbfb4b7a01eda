"""Inversions in and out as one safetensors file: style rows, the photograph, its labels and, where there is one, the tuned tail."""

from __future__ import annotations

import os
from typing import Any

import torch

from sisgen.errors import InputError
from sisgen.inversion.inversion import Inversion, InvertingParts, describe
from sisgen.inversion.tune import copy_tail, tail_blocks
from sisgen.io.images import to_float, to_uint8
from sisgen.io.weights import is_safetensors, read_metadata, read_shapes, read_weights, save_weights

NAMES = ("ws", "photo", "labels")
TAIL = "tail."


def save_inversion(path: str | os.PathLike[str], inversion: Inversion, *, model: str, generator: str, cut: int) -> None:
    """Write an inversion atomically.

    Args:
        path: the .safetensors file.
        inversion: what to write; a tuned tail is stored as fp16.
        model: its model's name, for messages.
        generator: checksum of the generator, outside of which the rows mean nothing.
        cut: resolution behind which a tail may be tuned.
    """
    tensors = {
        "ws": inversion.ws.float(),
        "photo": torch.from_numpy(to_uint8(inversion.photo.cpu())),
        "labels": inversion.labels.to(torch.int16),
    }
    if inversion.tail is not None:
        blocks = tail_blocks(inversion.tail, cut)
        tensors |= {f"{TAIL}{i}.{name}": p.detach().half() for i, block in enumerate(blocks) for name, p in block.named_parameters()}
    metadata = {"model": model, "generator": generator, "labels_from": inversion.labels_from}
    save_weights(path, tensors, half=False, metadata=metadata)


def load_inversion(path: str | os.PathLike[str], parts: InvertingParts, *, generator: str, cut: int) -> Inversion:
    """Read an inversion.

    Args:
        path: a file from `save_inversion`.
        parts: of the model that it was made with.
        generator: checksum of its generator.
        cut: as for `save_inversion`.

    Raises:
        InputError: it is no such file, or of another model.
        CheckpointError: it is damaged.
    """
    if not is_safetensors(path):
        raise InputError(
            f"'{os.fspath(path)}' must be an inverted photograph (.safetensors), but it is not; make one with `sisgen invert`."
        )
    _check(path, parts, generator)
    tensors = read_weights(path)
    device = parts.generator.mapping.w_avg.device
    tail = None
    if any(name.startswith(TAIL) for name in tensors):
        tail = copy_tail(parts.generator, cut)
        with torch.no_grad():
            for i, block in enumerate(tail_blocks(tail, cut)):
                for name, parameter in block.named_parameters():
                    parameter.copy_(_fitting(tensors, f"{TAIL}{i}.{name}", parameter, path))
    found = describe(parts, tensors["ws"].to(device), to_float(tensors["photo"]).to(device), tail)
    num_labels = parts.reader.config.num_labels
    if not 0 <= int(tensors["labels"].min()) <= int(tensors["labels"].max()) < num_labels:
        raise InputError(
            f"The labels in '{os.fspath(path)}' must lie in 0..{num_labels - 1}, but they do not; invert the photograph again."
        )
    return Inversion(
        **{**found, "labels": tensors["labels"].long().to(device), "labels_from": read_metadata(path).get("labels_from", "photo")}
    )


def _check(path: str | os.PathLike[str], parts: InvertingParts, generator: str) -> None:
    """Compare shapes and checksum before a tensor is read."""
    shapes = read_shapes(path)
    sizes, name = parts.generator.config, os.fspath(path)
    wanted: dict[str, Any] = {"ws": (1, sizes.num_ws, sizes.w_dim), "photo": (1, sizes.resolution, sizes.resolution, 3)}
    side = min(sizes.resolution, parts.reader.config.most or sizes.resolution)
    wanted["labels"] = (1, side, side)
    if not set(NAMES) <= shapes.keys():
        raise InputError(f"'{name}' must be an inverted photograph, but it is another file of weights; make one with `sisgen invert`.")
    notes = read_metadata(path)
    if notes.get("generator") != generator or any(shapes[key] != shape for key, shape in wanted.items()):
        came = f"the model {notes['model'][:40]!r} in another state" if notes.get("model") else "another model"
        raise InputError(f"'{name}' must be inverted with this model, but it was made with {came}; invert the photograph again.")


def _fitting(tensors: dict[str, torch.Tensor], name: str, like: torch.Tensor, path: str | os.PathLike[str]) -> torch.Tensor:
    if name not in tensors or tensors[name].shape != like.shape:
        raise InputError(f"The tuned tail in '{os.fspath(path)}' must fit this model, but it does not; invert the photograph again.")
    return tensors[name].to(like)
