"""Drawings as browsers send them, an index PNG or runs, checked before they are decoded."""

from __future__ import annotations

import base64
import binascii
import io
import struct

import numpy as np
from PIL import Image

from sisgen.app.limits import CANVAS, EMPTY, MAX_CANVAS_BYTES
from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def read_canvas(data: bytes, num_labels: int) -> np.ndarray:
    """Decode a drawing in classes: every cell the index of one, or 255 for unpainted.

    Args:
        data: the PNG file; its size and header are checked before it is decoded.
        num_labels: number of classes of the model.

    Returns:
        int64 [256, 256], -1 where nothing was drawn.

    Raises:
        InputError: it is another kind of file, broken, or an index has no class.
    """
    return read_classes(read_cells(data), num_labels)


def read_classes(cells: np.ndarray, num_labels: int) -> np.ndarray:
    """Take cells as classes: int64 of the same shape, -1 where nothing was drawn.

    Raises:
        InputError: an index has no class.
    """
    wrong = (cells >= num_labels) & (cells != EMPTY)
    if wrong.any():
        raise InputError(
            f"The drawing uses class {int(cells[wrong][0])}, but this model has {num_labels} classes; choose its model or clear it."
        )
    return np.where(cells == EMPTY, UNPAINTED, cells.astype(np.int64))


def read_cells(data: bytes, count: int = 1) -> np.ndarray:
    """Decode drawings as the page sends them: an 8-bit grey PNG of 256 x 256 cells each, one below the other.

    Returns:
        uint8 [256 * count, 256].

    Raises:
        InputError: it is another kind of file, or broken.
    """
    if len(data) > MAX_CANVAS_BYTES or len(data) < 33 or not data.startswith(_PNG_START):
        raise InputError(f"A drawing must be a small {CANVAS} x {CANVAS} PNG, but something else came; reload the page.")
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    if (width, height, depth, color) != (CANVAS, CANVAS * count, 8, 0):
        raise InputError(
            f"A drawing must be an 8-bit grey PNG of {CANVAS} x {CANVAS * count}, but {width} x {height} came; open it with Upload instead."
        )
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            return np.array(picture, dtype=np.uint8)  # [H, W]
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        raise InputError("The drawing came in damaged; draw one more stroke to send it again.") from None


def read_runs(text: object, num_labels: int) -> np.ndarray:
    """Decode a drawing that came as runs, see `drawings.encode_runs`.

    Returns:
        int64 [256, 256], -1 where nothing was drawn.

    Raises:
        InputError: it is no such text, does not fill the drawing exactly, or names a class that there is not.
    """
    damaged = InputError("A drawing came in damaged; draw one more stroke to send it again.")
    if not isinstance(text, str) or len(text) > MAX_CANVAS_BYTES:
        raise damaged
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise damaged from None
    cells, at, i = np.empty(CANVAS * CANVAS, dtype=np.int64), 0, 0
    while i < len(data):
        value, length, shift, more = data[i], 0, 0, True
        i += 1
        while more:
            if i >= len(data) or shift > 14:
                raise damaged
            length |= (data[i] & 127) << shift
            more, shift, i = data[i] > 127, shift + 7, i + 1
        if length < 1 or at + length > cells.size or (value >= num_labels and value != EMPTY):
            raise damaged
        cells[at : at + length] = UNPAINTED if value == EMPTY else value
        at += length
    if at != cells.size:
        raise damaged
    return cells.reshape(CANVAS, CANVAS)
