"""What the mask tab can do, as plain functions over a `Pipeline`: no gradio, no web, so that a test or a script can call them."""

from __future__ import annotations

import base64
import os
import re
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.app.limits import CANVAS, EMPTY, Wish, read_canvas
from sisgen.app.models import list_offers
from sisgen.app.painting import Drawing, PaintBatch, Painted, encode_download
from sisgen.devices import describe_device, why_no_cuda
from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sisgen.app.context import Context, Registry
    from sisgen.pipeline import Pipeline
    from sisgen.types import LabelSet

EXAMPLES = "examples"  # folder of example drawings inside a model's folder
STROKE, READING, VARIATION = 0, 1, 2  # ranks in the lane: what a visitor waits for goes first


def submit(context: Context, visitor: str, wish: Wish, canvas: bytes, *, rank: int = STROKE, read_back: bool = False) -> Future[Painted]:
    """Queue a drawing as it comes from the page.

    Args:
        context: of this server.
        visitor: who asks.
        wish: the settings.
        canvas: the index map as a PNG, see `limits.read_canvas`.
        rank: STROKE, READING or VARIATION.
        read_back: whether to read labels and agreement back.

    Returns:
        A future of the picture.

    Raises:
        InputError: the drawing or the model is refused.
        BusyError: the lane is full.
    """
    with context.registry.lease(wish.model) as pipe:
        labels = read_canvas(canvas, len(pipe.labels))
        return submit_labels(context, visitor, wish, labels, rank=rank, read_back=read_back)


def submit_labels(
    context: Context, visitor: str, wish: Wish, labels: np.ndarray, *, rank: int = STROKE, read_back: bool = False
) -> Future[Painted]:
    """Queue a label map, int64 [H, W] with -1 for unpainted; see `submit`."""
    batch = PaintBatch(
        registry=context.registry,
        model=wish.model or context.registry.default,
        truncation=wish.truncation,
        strength=wish.strength,
        read_back=read_back,
        blank=not (labels != UNPAINTED).any(),
    )
    return _queue(context, visitor, batch, Drawing(labels=labels, seed=wish.seed), rank)


def _queue(context: Context, visitor: str, key: PaintBatch | ReadSample, payload: Any, rank: int) -> Future[Any]:
    """Queue work and hold its model until it is done: a model that was let go would be loaded again in the one lane of all."""
    held = ExitStack()
    held.enter_context(context.registry.lease(key.model))
    try:
        future = context.lane.submit(visitor, key, payload, rank=rank)
    except BaseException:
        held.close()
        raise
    future.add_done_callback(lambda _: held.close())
    return future


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadSample:
    """Read the own masks of plain samples; a key of the lane like `PaintBatch`, its payloads are seeds."""

    registry: Registry
    model: str
    truncation: float | None

    def __call__(self, seeds: Sequence[int]) -> list[np.ndarray]:
        """Return one int64 [256, 256] a seed."""
        with self.registry.lease(self.model) as pipe:
            masks = pipe.sample_labels(list(seeds), truncation=self.truncation).cpu().numpy()
            return [to_canvas(mask, pipe.labels) for mask in masks]


def submit_sample(context: Context, visitor: str, wish: Wish) -> Future[np.ndarray]:
    """Queue reading the own mask of the sample that `wish` names; the answer is int64 [256, 256]."""
    key = ReadSample(registry=context.registry, model=wish.model or context.registry.default, truncation=wish.truncation)
    return _queue(context, visitor, key, wish.seed, READING)


def open_mask(context: Context, wish: Wish, data: bytes) -> np.ndarray:
    """Read an uploaded mask file and bring it onto the canvas.

    Returns:
        int64 [256, 256], -1 where nothing is painted; a mask that is not square is padded with unpainted.

    Raises:
        InputError: it is no mask of this model.
    """
    from sisgen.io.labels import read_labels

    with context.registry.lease(wish.model) as pipe:
        return to_canvas(read_labels(data, pipe.labels), pipe.labels)


def save_mask(context: Context, wish: Wish, canvas: bytes) -> bytes:
    """Make the file of "download mask": an indexed PNG with the model's palette."""
    from sisgen.io.labels import encode_labels

    with context.registry.lease(wish.model) as pipe:
        return encode_labels(read_canvas(canvas, len(pipe.labels)), pipe.labels)


def save_palette(context: Context, wish: Wish, kind: str) -> str:
    """Make `palette.json` (kind "json") or a GIMP palette (kind "gpl").

    Raises:
        InputError: another kind is asked for.
    """
    from sisgen.io.labels import palette_gpl, palette_json

    with context.registry.lease(wish.model) as pipe:
        if kind == "json":
            return palette_json(pipe.labels)
        if kind == "gpl":
            return palette_gpl(pipe.labels, pipe.name)
    raise InputError(f"A palette comes as json or gpl, but {kind[:20]!r} was asked for; choose one of the two.")


def save_picture(context: Context, visitor: str, wish: Wish, canvas: bytes, scale: int) -> bytes:
    """Make the file of "download picture": a PNG in its own size or enlarged, with all settings in its text chunk."""
    painted = submit(context, visitor, wish, canvas, rank=READING).result(timeout=60)
    return encode_download(painted, scale)


def to_canvas(labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """Bring a label map of any size onto the canvas, int64 [256, 256]; see `fit_labels`."""
    return fit_labels(labels, label_set, CANVAS)


def fit_labels(labels: np.ndarray, label_set: LabelSet, side: int) -> np.ndarray:
    """Bring a label map of any size to int64 [side, side]: padded to a square, every cell its largest class."""
    from sisgen.conditions.mask import mask_condition

    condition = mask_condition(labels, label_set, side)
    assert condition.labels is not None
    return condition.labels[0].numpy()


def encode_runs(labels: np.ndarray) -> str:
    """Write a drawing as runs: pairs of a class (255 for unpainted) and a length as a base-128 number, all in base64."""
    cells = np.where(labels == UNPAINTED, EMPTY, labels).ravel()
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    lengths = np.diff(starts, append=cells.size)
    out = bytearray()
    for value, length in zip(cells[starts].tolist(), lengths.tolist(), strict=True):
        out.append(value)
        while length > 127:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    return base64.b64encode(bytes(out)).decode()


def tell_agreement(painted: Painted, drawn: np.ndarray, label_set: LabelSet) -> dict[str, Any]:
    """Say how far a picture follows its drawing, and where it does not.

    Args:
        painted: read back.
        drawn: the drawing, int64 [256, 256].
        label_set: the model's classes.

    Returns:
        "share" in [0, 1] (`None` when nothing was drawn) and "wrong", runs of cells: 0 where it does not follow, else 255.
    """
    if painted.agreement is None or painted.labels is None:
        return {"share": None, "wrong": None}
    side = painted.labels.shape[0]
    drawn = fit_labels(drawn, label_set, side)
    wrong = (drawn != UNPAINTED) & (drawn != painted.labels)
    shown = to_canvas(np.where(_areas(wrong), 0, UNPAINTED), label_set)
    return {"share": painted.agreement.accuracy, "wrong": encode_runs(shown)}


def _areas(cells: np.ndarray) -> np.ndarray:
    """Keep cells with most of their 3 x 3 neighbours: an outline that is off by one pixel is no place to point at."""
    padded = np.pad(cells.astype(np.int64), 1)
    height, width = cells.shape
    near = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return cells & (near >= 5)


def describe_model(context: Context, name: str | None) -> dict[str, Any]:
    """Tell the page all about a model: its classes, where it comes from, what it runs on."""
    with context.registry.lease(name) as pipe:
        return {
            "name": name or context.registry.default,
            "title": pipe.name,
            "revision": pipe.revision,
            "full": f"{pipe.name}@{pipe.revision}",
            "about": pipe.description,
            "license": pipe.license,
            "source": pipe.source,
            "resolution": pipe.resolution,
            "device": describe_device(pipe.device),
            "whyNoGpu": why_no_cuda() if pipe.device.type == "cpu" else "",
            "labels": [{"name": n, "color": list(c)} for n, c in zip(pipe.labels.names, pipe.labels.colors, strict=True)],
            "truncation": float(pipe.defaults.get("truncation", 1.0)),
            "seed": int(pipe.defaults.get("seed", 0)),
            "classSeeds": {key: list(seeds)[:32] for key, seeds in pipe.class_seeds.items()},
            "models": list_offers(context, name or context.registry.default, pipe),
            "anyModel": context.settings.allow_any_model,
            "page": space_address(os.environ),
            "examples": read_examples(context, pipe),
        }


def space_address(environment: Mapping[str, str]) -> str | None:
    """Address of the page itself when it runs as a Space, where the browser only knows the frame's; else `None`."""
    space = environment.get("SPACE_ID", "")
    return f"https://huggingface.co/spaces/{space}" if re.fullmatch(r"[\w.-]+/[\w.-]+", space) else None


def read_examples(context: Context, pipe: Pipeline) -> list[dict[str, str]]:
    """Read the example drawings that fit a model, name and runs each: its own ones, else those of this server that fit."""
    from sisgen.io.labels import read_labels

    own = pipe.folder / EXAMPLES if pipe.folder is not None else None
    examples = []
    for path in sorted((own if own is not None and own.is_dir() else context.examples).glob("*.png"))[:12]:
        try:
            labels = read_labels(path, pipe.labels)
        except InputError:
            continue
        name = path.stem.lstrip("0123456789-").replace("-", " ")
        examples.append({"name": name, "runs": encode_runs(to_canvas(labels, pipe.labels))})
    return examples
