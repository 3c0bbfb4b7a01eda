"""A request on its way through the engine: its style is checked, pictures are made, labels read back, settings told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sisgen.devices import flushed_denormals
from sisgen.editing.styles import StyleRows
from sisgen.engines.drawings import Drawings
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.engines.regions import Regions, check_regions, synthesize_regions
from sisgen.errors import InputError
from sisgen.inversion.inversion import Inversion
from sisgen.metrics.agreement import agreement as measure_agreement
from sisgen.shapes import check_shape
from sisgen.types import Agreement

CHUNK = 16  # pictures that run at once
HOPS = ("style", "proxy", "rearrange", "generate")

GivenStyle = Inversion | StyleRows | Regions | None  # None = that of the seeds


def check_style(engine: RearrangeEngine, style: GivenStyle, names: Sequence[str]) -> None:
    """Check a style before anything is made with it; `names` are the model's classes.

    Raises:
        InputError: it is of another model's size, or no style at all.
    """
    if isinstance(style, Regions):
        check_regions(style, names)
        photos = [source for source in style.sources.values() if isinstance(source, Inversion)]
        for photo in photos if style.base is None else [style.base, *photos]:
            check_photo(engine, photo)
    elif isinstance(style, StyleRows):
        _check_rows(engine, style.ws)
    elif style is not None:
        check_photo(engine, style)


def check_photo(engine: RearrangeEngine, style: Inversion) -> None:
    """Check that a style is an inverted photograph of the model's size.

    Raises:
        InputError: otherwise.
    """
    if not isinstance(style, Inversion):
        raise InputError(f"style must be a photograph from `invert`, but it is a {type(style).__name__}; invert one first.")
    _check_rows(engine, style.ws)
    size = engine.drawing_size
    check_shape("style.labels", style.labels, (1, size, size))


@flushed_denormals()  # far clusters have tiny shares of a place: a softmax takes twice as long with them, and no pixel knows
def synthesize_style(
    engine: RearrangeEngine,
    drawings: Drawings | None,
    seeds: Sequence[int],
    style: GivenStyle,
    names: Sequence[str],
    *,
    truncation: float,
    strength: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Make pictures in any style, a chunk of seeds at a time; see `RearrangeEngine.synthesize`.

    Returns:
        Images [B, 3, H, W] and the milliseconds of every hop, summed over chunks.
    """
    images, timings = [], dict.fromkeys(HOPS, 0.0)
    options = {"truncation": truncation, "strength": strength}
    chunk = min(CHUNK, engine.generator.config.at_once)
    for first in range(0, len(seeds), chunk):
        part, some = None if drawings is None else drawings.rows(first, chunk), seeds[first : first + chunk]
        if isinstance(style, Regions):
            made, laps = synthesize_regions(engine, part, some, style, names, **options)
        else:
            made, laps = engine.synthesize(part, some, photo=style, **options)
        images.append(made)
        timings = {name: spent + laps.get(name, 0.0) for name, spent in timings.items()}
    return torch.cat(images), timings


def read_labels(
    engine: RearrangeEngine, images: torch.Tensor, drawings: Drawings | None, names: Sequence[str]
) -> tuple[torch.Tensor, tuple[Agreement, ...]]:
    """Read labels int64 [B, H, W] from pictures; beside them how they agree with those drawn, empty where none were."""
    labels = torch.cat([engine.reader.read(part.clamp(-1, 1)) for part in images.split(CHUNK)])
    if drawings is None or drawings.labels is None:
        return labels, ()
    return labels, tuple(measure_agreement(drawings.labels, labels.cpu(), names))


def describe_request(drawings: Drawings | None, style: GivenStyle) -> dict[str, Any]:
    """Say what was drawn and where the style came from, JSON-ready."""
    notes: dict[str, Any] = {"condition": None if drawings is None else drawings.kind}
    if drawings is not None and len(drawings.weights) > 1:
        notes["weights"] = [round(weight, 4) for weight in drawings.weights]
    notes["style"] = {type(None): "seeds", Regions: "regions", StyleRows: "rows"}.get(type(style), "photo")
    if isinstance(style, Regions):
        notes["base"] = "seeds" if style.base is None else "photo"
        notes["regions"] = {name: "photo" if isinstance(one, Inversion) else one for name, one in style.sources.items()}
    return notes


def _check_rows(engine: RearrangeEngine, ws: torch.Tensor) -> None:
    check_shape("style.ws", ws, (1, engine.generator.config.num_ws, engine.generator.config.w_dim))
