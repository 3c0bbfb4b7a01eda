"""What the page is told about a model: its classes, what it can read, its examples, where it comes from, what it runs on."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from sisgen.app.detectors import readable
from sisgen.app.drawings import encode_runs, to_canvas
from sisgen.app.models import list_offers
from sisgen.app.untaught import is_untaught
from sisgen.devices import describe_device, why_no_cuda
from sisgen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from sisgen.app.context import Context
    from sisgen.pipeline import Pipeline

EXAMPLES = "examples"  # folder of example drawings inside a model's folder
MOST_EXAMPLES = 12


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
            "kinds": readable(pipe.kinds),
            "photos": pipe.has_encoder,
            "untaught": is_untaught(pipe),
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
    """Read the example drawings that fit a model, name and runs each."""
    return [{"name": name, "runs": encode_runs(labels)} for name, labels in read_masks(context, pipe)]


def read_masks(context: Context, pipe: Pipeline) -> list[tuple[str, np.ndarray]]:
    """Read the example masks that fit a model, name and int64 [256, 256] each: its own ones, else those of this server that fit."""
    from sisgen.io.labels import read_labels

    own = pipe.folder / EXAMPLES if pipe.folder is not None else None
    masks = []
    for path in sorted((own if own is not None and own.is_dir() else context.examples).glob("*.png"))[:MOST_EXAMPLES]:
        try:
            labels = read_labels(path, pipe.labels)
        except InputError:
            continue
        masks.append((path.stem.lstrip("0123456789-").replace("-", " "), to_canvas(labels, pipe.labels)))
    return masks
