"""What only the mask tab does: its files, as plain functions: no gradio, no web, so that a test or a script can call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sisgen.app.canvases import read_canvas
from sisgen.app.drawings import to_canvas
from sisgen.app.limits import Wish
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.app.context import Context


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


def save_palette(context: Context, wish: Wish, form: str) -> str:
    """Make `palette.json` (form "json") or a GIMP palette (form "gpl").

    Raises:
        InputError: another form is asked for.
    """
    from sisgen.io.labels import palette_gpl, palette_json

    with context.registry.lease(wish.model) as pipe:
        if form == "json":
            return palette_json(pipe.labels)
        if form == "gpl":
            return palette_gpl(pipe.labels, pipe.name)
    raise InputError(f"A palette comes as json or gpl, but {form[:20]!r} was asked for; choose one of the two.")
