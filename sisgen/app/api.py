"""The endpoints for scripts: `gradio_client` or plain HTTP instead of a browser, with the same limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from sisgen.app.actions import VARIATION, submit_cells
from sisgen.app.context import Context
from sisgen.app.limits import MAX_FILE_BYTES, read_seeds, read_wish
from sisgen.app.painting import Painted, encode_download
from sisgen.errors import InputError, SisgenError

CALLER = "script"  # scripts share one visitor's part of the queue, so that they never crowd out people


def build(context: Context) -> None:
    """Add the endpoints to the Blocks that are being built; nothing of them shows on the page."""
    with gr.Row(visible=False):
        mask = gr.File(label="Mask", type="filepath")
        seeds = gr.JSON([0], label="Seeds")
        truncation = gr.Number(None, label="Variety")
        strength = gr.Number(1.0, label="Strength")
        model = gr.Textbox("", label="Model")
        pictures = gr.File(label="Pictures", file_count="multiple")
        report = gr.JSON(label="Report")
        go, ask = gr.Button("Generate"), gr.Button("Health")

    def generate_mask(mask: str, seeds: list, truncation: float, strength: float, model: str) -> tuple[list[str], dict]:
        try:
            painted = generate(context, mask, seeds=seeds, truncation=truncation, strength=strength, model=model)
        except SisgenError as error:
            raise gr.Error(str(error)) from None
        return [_keep(one, pictures.GRADIO_CACHE) for one in painted], describe(painted)

    inputs = [mask, seeds, truncation, strength, model]
    go.click(generate_mask, inputs, [pictures, report], api_name="generate_mask", concurrency_limit=2, concurrency_id="script")
    ask.click(lambda: health(context), None, report, api_name="health", queue=False)


def generate(context: Context, mask: str | None, *, seeds: Any, truncation: Any, strength: Any, model: Any) -> list[Painted]:
    """Paint one mask file with every seed.

    Args:
        context: of this server.
        mask: path of the mask file; `None` for plain samples.
        seeds: 1 to 16 whole numbers.
        truncation: the page's "variety"; `None` leaves it to the model.
        strength: in [0, 1].
        model: a name on offer; empty for the default one.

    Raises:
        InputError: anything of this is refused.
    """
    import numpy as np

    from sisgen.io.labels import read_labels
    from sisgen.shapes import UNPAINTED

    if isinstance(seeds, str):
        try:
            seeds = json.loads(seeds)
        except ValueError:
            raise InputError("The seeds must be a list of whole numbers, such as [0, 1, 2].") from None
    wishes = [read_wish({"model": model, "seed": s, "truncation": truncation, "strength": strength}) for s in read_seeds(seeds)]
    if mask is not None and Path(mask).stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"A mask file may have at most {MAX_FILE_BYTES / 2**20:g} MB; make it smaller.")
    with context.registry.lease(wishes[0].model) as pipe:
        labels = read_labels(mask, pipe.labels) if mask else np.full((1, 1), UNPAINTED, dtype=np.int64)
    # One after the other: at most one waiting request of a script, so that strokes of people come in between.
    return [submit_cells(context, CALLER, wish, labels, rank=VARIATION).result(timeout=120) for wish in wishes]


def describe(painted: list[Painted]) -> dict[str, Any]:
    """Tell a script what it got: the model, and settings and milliseconds of every picture."""
    return {
        "model": painted[0].model,
        "pictures": [{**one.settings, "milliseconds": round(one.milliseconds, 1)} for one in painted],
    }


def health(context: Context) -> dict[str, Any]:
    """Tell what is loaded, where it runs and how many requests wait."""
    from sisgen.devices import describe_device

    loaded = {}
    for name in context.registry.loaded():
        with context.registry.lease(name) as pipe:
            loaded[name] = {"revision": pipe.revision, "device": describe_device(pipe.device)}
    return {"models": loaded, "waiting": context.lane.num_waiting}


def _keep(painted: Painted, folder: str) -> str:
    return save_bytes_to_cache(encode_download(painted, 1), f"seed-{painted.seed}.png", folder)
