"""The endpoints for scripts: `gradio_client` or plain HTTP instead of a browser, with the same limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache

from sisgen.app import photo_actions, tracing
from sisgen.app.actions import VARIATION, own_labels, paint_jobs
from sisgen.app.context import Context
from sisgen.app.limits import LABEL_KINDS, LINE_KINDS, MAX_FILE_BYTES, read_seeds, read_wish
from sisgen.app.painting import Painted, encode_download
from sisgen.errors import InputError, SisgenError
from sisgen.shapes import UNPAINTED

CALLER = "script"  # scripts share one visitor's part of the queue, so that they never crowd out people
PATIENCE = 120.0  # seconds for one picture


def build(context: Context) -> None:
    """Add the endpoints to the Blocks that are being built; nothing of them shows on the page."""
    with gr.Row(visible=False):
        drawing = gr.File(label="Drawing or picture", type="filepath")
        kind = gr.Textbox("canny", label="Kind of lines: sketch, canny, hed or depth")
        low, high = gr.Number(tracing.LOW, label="Lower threshold of canny"), gr.Number(tracing.HIGH, label="Upper threshold of canny")
        photo = gr.Textbox("", label="Token of a photograph, from /invert; empty for none")
        use = gr.Textbox("edit", label="What is taken from the photograph: edit, shape or style")
        steps = gr.Number(0, label="Steps of refinement: 0, 20 or 100")
        seeds = gr.JSON([0], label="Seeds")
        truncation = gr.Number(None, label="Variety")
        strength = gr.Number(1.0, label="Strength")
        model = gr.Textbox("", label="Model")
        parts = gr.JSON({}, label='Classes that take their style from other samples, with their seeds, such as {"hair": 12}')
        first_kind = gr.Textbox("mask", label="Kind of the first drawing: mask, scribble, sketch, canny, hed or depth")
        other = gr.File(label="Second drawing or picture", type="filepath")
        second_kind = gr.Textbox("canny", label="Kind of the second drawing")
        weight = gr.Number(0.5, label="Weight of the second drawing: 0 for the first alone, 1 for the second alone")
        pictures = gr.File(label="Pictures", file_count="multiple")
        report = gr.JSON(label="Report")
    cache = pictures.GRADIO_CACHE

    def generate_mask(
        mask: str, seeds: list, truncation: float, strength: float, model: str, photo: str, use: str, parts: dict
    ) -> tuple[list, dict]:
        wish = {"truncation": truncation, "strength": strength, "model": model, "photo": photo, "use": use, "parts": parts}
        return answer(lambda: generate(context, "mask", mask, seeds=seeds, wish=wish))

    def generate_mixed(
        first: str,
        first_kind: str,
        second: str,
        second_kind: str,
        weight: float,
        seeds: list,
        truncation: float,
        strength: float,
        model: str,
        parts: dict,
    ) -> tuple[list, dict]:
        wish = {"truncation": truncation, "strength": strength, "model": model, "parts": parts, "also": second_kind, "weight": weight}
        return answer(lambda: generate(context, first_kind, first, second, seeds=seeds, wish=wish))

    def generate_scribble(scribble: str, seeds: list, truncation: float, strength: float, model: str) -> tuple[list, dict]:
        wish = {"truncation": truncation, "strength": strength, "model": model}
        return answer(lambda: generate(context, "scribble", scribble, seeds=seeds, wish=wish))

    def generate_edges(
        picture: str, kind: str, seeds: list, truncation: float, strength: float, model: str, low: float, high: float
    ) -> tuple[list, dict]:
        wish = {"truncation": truncation, "strength": strength, "model": model, "low": low, "high": high}
        return answer(lambda: generate(context, kind, picture, seeds=seeds, wish=wish))

    def invert(photo: str, steps: float, model: str) -> tuple[list, dict]:
        files, told = _spoken(lambda: invert_photo(context, photo, steps=steps, model=model))
        return [save_bytes_to_cache(data, name, cache) for name, data in files.items()], told

    def answer(work: Callable[[], list[Painted]]) -> tuple[list[str], dict]:
        painted = _spoken(work)
        return [save_bytes_to_cache(encode_download(one, 1), f"seed-{one.seed}.png", cache) for one in painted], describe(painted)

    shared, lane = [seeds, truncation, strength, model], {"concurrency_limit": 2, "concurrency_id": "script"}
    endpoints: Mapping[str, tuple[Callable, list]] = {
        "generate_mask": (generate_mask, [drawing, *shared, photo, use, parts]),
        "generate_mixed": (generate_mixed, [drawing, first_kind, other, second_kind, weight, *shared, parts]),
        "generate_scribble": (generate_scribble, [drawing, *shared]),
        "generate_edges": (generate_edges, [drawing, kind, *shared, low, high]),
        "invert": (invert, [drawing, steps, model]),
    }
    for name, (function, inputs) in endpoints.items():
        gr.Button(name, visible=False).click(function, inputs, [pictures, report], api_name=name, **lane)
    gr.Button("health", visible=False).click(lambda: health(context), None, report, api_name="health", queue=False)


def generate(
    context: Context, kind: str, file: str | None, other: str | None = None, *, seeds: Any, wish: Mapping[str, Any]
) -> list[Painted]:
    """Paint one drawing, or two together, with every seed.

    Args:
        context: of this server.
        kind: one of `limits.KINDS`.
        file: path of a mask or a scribble, or of a picture whose lines are taken; `None` for plain samples.
        other: path of the second drawing, whose kind is "also" in `wish`.
        seeds: 1 to 16 whole numbers.
        wish: "truncation" (the page's "variety"; `None` leaves it to the model), "strength" in [0, 1], "model" (empty for the
            default one), "photo" and "use" of it, "low" and "high" for Canny's edges, "parts" of other samples, and "also" and
            "weight" of a second drawing.

    Raises:
        InputError: anything of this is refused.
    """
    if isinstance(seeds, str):
        try:
            seeds = json.loads(seeds)
        except ValueError:
            raise InputError("The seeds must be a list of whole numbers, such as [0, 1, 2].") from None
    wishes = [read_wish({**wish, "kind": kind, "seed": seed}) for seed in read_seeds(seeds)]
    cells = [_read_drawing(context, wishes[0], one, path, wish) for one, path in zip(wishes[0].kinds, (file, other))]
    return paint_jobs(context, CALLER, wishes, *cells, rank=VARIATION, patience=PATIENCE)


def _read_drawing(context: Context, wish: Any, kind: str, file: str | None, values: Mapping[str, Any]) -> np.ndarray:
    from sisgen.io.labels import read_labels

    _check_size(file)
    if kind in LINE_KINDS and file:
        trace = tracing.read_trace({**values, "of": "drawing" if kind == "sketch" else "picture"}, kind)
        return tracing.submit_trace(context, CALLER, wish, trace, tracing.of_file(Path(file).read_bytes())).result(timeout=PATIENCE)
    if file is None and kind not in LABEL_KINDS:
        raise InputError("A picture is needed whose lines can be taken, but none came; send a file.")
    if file is None and wish.photo:
        return own_labels(context, photo_actions.find_photo(context, wish))
    with context.registry.lease(wish.model) as pipe:
        return read_labels(file, pipe.labels) if file else np.full((1, 1), UNPAINTED, dtype=np.int64)


def invert_photo(context: Context, file: str | None, *, steps: Any, model: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Bring a photograph into a model.

    Args:
        context: of this server.
        file: path of the photograph; its middle square is taken.
        steps: of refinement, 0, 20 or 100.
        model: a name on offer; empty for the default one.

    Returns:
        Files by name, what the model makes of the photograph and its areas as a mask; and a report with the token that
        names the photograph for 10 minutes.

    Raises:
        InputError: anything of this is refused.
    """
    from sisgen.io.images import encode_png, to_uint8
    from sisgen.io.labels import encode_labels

    if not file:
        raise InputError("A photograph is needed, but none came; send a file.")
    _check_size(file)
    wish = read_wish({"model": model})
    future, photo = photo_actions.open_photo(context, CALLER, wish, Path(file).read_bytes())
    token = photo_actions.keep_photo(context, photo, future.result(timeout=PATIENCE))["photo"]
    if steps:
        photo_actions.refine_photo(context, read_wish({"model": model, "photo": token}), int(steps))
        photo.finished.wait(PATIENCE)
    with context.registry.lease(photo.model) as pipe:
        files = {
            "reconstruction.png": encode_png(to_uint8(photo.inversion.image)[0]),
            "areas.png": encode_labels(photo.inversion.labels[0].cpu().numpy(), pipe.labels),
        }
        told = {"photo": token, "model": f"{pipe.name}@{pipe.revision}", "steps": photo.step, "error": photo.error}
    return files, told


def describe(painted: list[Painted]) -> dict[str, Any]:
    """Tell a script what it got: the model, and settings and milliseconds of every picture."""
    return {
        "model": painted[0].model,
        "pictures": [{**one.settings, "milliseconds": round(one.milliseconds, 1)} for one in painted],
    }


def health(context: Context) -> dict[str, Any]:
    """Tell what is loaded, what it reads, where it runs and how many requests wait."""
    from sisgen.devices import describe_device

    loaded = {}
    for name in context.registry.loaded():
        with context.registry.lease(name) as pipe:
            loaded[name] = {"revision": pipe.revision, "kinds": list(pipe.kinds), "device": describe_device(pipe.device)}
    return {"models": loaded, "waiting": context.lane.num_waiting}


def _check_size(file: str | None) -> None:
    if file and Path(file).stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"A file may have at most {MAX_FILE_BYTES / 2**20:g} MB; make it smaller.")


def _spoken(work: Callable[[], Any]) -> Any:
    """Run work for a script; errors reach it as their sentence."""
    try:
        return work()
    except SisgenError as error:
        raise gr.Error(str(error)) from None
