"""Every value that a browser or a script sends is checked here, before anything is decoded or queued."""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED

CANVAS = 256  # side of the logical drawing, in cells
MAX_CANVAS_BYTES = 256 * 1024  # an 8-bit 256 x 256 PNG is smaller even when it holds noise
MAX_FILE_BYTES = 20 * 2**20
MAX_PIXELS = 25_000_000
MAX_SEED = 2**32 - 1
MAX_SEEDS = 16
MAX_TRUNCATION = 1.5
EMPTY = 255  # of an unpainted cell in an index map, and of blank paper in a drawing of lines
LABEL_KINDS = ("mask", "scribble")  # drawn with classes
LINE_KINDS = ("sketch", "canny", "hed", "depth")  # drawn in greys: 0 is the full line (or the nearest), 255 blank (or the farthest)
KINDS = (*LABEL_KINDS, *LINE_KINDS)
USES = ("edit", "shape", "style")  # of a photograph: all of it, its shape under other styles, its style on another drawing

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_URL_START = "data:image/png;base64,"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """The settings of one picture, checked.

    Attributes:
        model: name of the model, `None` for the default one.
        seed: in [0, 2**32 - 1].
        truncation: the "variety" of the page, in [0, 1.5]; `None` leaves it to the model.
        strength: how firmly the drawing is followed, in [0, 1].
        kind: what the drawing is, one of `KINDS`.
        photo: token of the visitor's photograph; `None` for none.
        use: what is taken from the photograph, one of `USES`.
    """

    model: str | None = None
    seed: int = 0
    truncation: float | None = None
    strength: float = 1.0
    kind: str = "mask"
    photo: str | None = None
    use: str = "edit"


def read_wish(values: Mapping[str, object]) -> Wish:
    """Check the settings that came with a request.

    Args:
        values: any of "model", "seed", "truncation", "strength", "kind", "photo", "use", as text or numbers; the rest takes its defaults.

    Raises:
        InputError: a value is no number, not finite or out of range, or there is no such kind.
    """
    model = values.get("model") or None
    if model is not None and (not isinstance(model, str) or len(model) > 200):
        raise InputError("The model must be a name of at most 200 characters; choose one from the model menu.")
    kind = values.get("kind") or "mask"
    if kind not in KINDS:
        raise InputError(f"A drawing is one of {', '.join(KINDS)}, but {_short(kind)} came; reload the page.")
    photo, use = values.get("photo"), values.get("use") or "edit"
    if use not in USES or (photo and not (isinstance(photo, str) and _TOKEN.fullmatch(photo))):
        raise InputError("The page names a photograph that there cannot be; open it again.")
    truncation = values.get("truncation")
    return Wish(
        model=model,
        seed=read_whole("seed", values.get("seed", 0), 0, MAX_SEED),
        truncation=None if truncation in (None, "") else read_number("variety", truncation, 0.0, MAX_TRUNCATION),
        strength=read_number("strength", values.get("strength", 1.0), 0.0, 1.0),
        kind=str(kind),
        photo=str(photo) if photo else None,
        use=str(use),
    )


def read_whole(name: str, value: object, low: int, high: int) -> int:
    """Read a whole number in [low, high] from text or a number.

    Raises:
        InputError: it is none, or out of range.
    """
    text = str(value).strip()
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
        raise InputError(f"The {name} must be a whole number, but it is {_short(value)}; type one from {low} to {high}.")
    number = int(text)
    if not low <= number <= high:
        raise InputError(f"The {name} must lie between {low} and {high}, but it is {_short(value)}; choose a smaller one.")
    return number


def read_number(name: str, value: object, low: float, high: float) -> float:
    """Read a finite number in [low, high] from text or a number.

    Raises:
        InputError: it is none, not finite or out of range.
    """
    try:
        number = float(str(value)[:40])
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not low <= number <= high:
        raise InputError(f"The {name} must be a number from {low:g} to {high:g}, but it is {_short(value)}; move its slider.")
    return number


def read_seeds(values: object) -> list[int]:
    """Read a list of 1 to 16 seeds.

    Raises:
        InputError: it is no list, empty, too long, or a seed is out of range.
    """
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= MAX_SEEDS:
        raise InputError(f"A call takes a list of 1 to {MAX_SEEDS} seeds, but it got {_short(values)}; split it into several calls.")
    return [read_whole("seed", value, 0, MAX_SEED) for value in values]


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
    cells = read_cells(data).astype(np.int64)
    wrong = (cells >= num_labels) & (cells != EMPTY)
    if wrong.any():
        raise InputError(
            f"The drawing uses class {int(cells[wrong][0])}, but this model has {num_labels} classes; choose its model or clear it."
        )
    return np.where(cells == EMPTY, UNPAINTED, cells)


def read_cells(data: bytes) -> np.ndarray:
    """Decode a drawing as the page sends it: an 8-bit grey PNG of 256 x 256 cells.

    Returns:
        uint8 [256, 256].

    Raises:
        InputError: it is another kind of file, or broken.
    """
    if len(data) > MAX_CANVAS_BYTES or len(data) < 33 or not data.startswith(_PNG_START):
        raise InputError(f"A drawing must be a small {CANVAS} x {CANVAS} PNG, but something else came; reload the page.")
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    if (width, height, depth, color) != (CANVAS, CANVAS, 8, 0):
        raise InputError(
            f"A drawing must be an 8-bit grey PNG of {CANVAS} x {CANVAS}, but {width} x {height} came; open it with Upload instead."
        )
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            return np.array(picture, dtype=np.uint8)  # [H, W]
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        raise InputError("The drawing came in damaged; draw one more stroke to send it again.") from None


def read_canvas_url(url: object, num_labels: int) -> np.ndarray:
    """Decode a drawing from a data URL; see `read_canvas`.

    Raises:
        InputError: it is no PNG data URL, too long, or its picture is refused.
    """
    if not isinstance(url, str) or not url.startswith(_URL_START):
        raise InputError(f"A drawing must be a text that starts with {_URL_START}, but something else came; send a PNG.")
    if len(url) > MAX_CANVAS_BYTES * 4 // 3 + len(_URL_START):
        raise InputError(f"A drawing may have at most {MAX_CANVAS_BYTES // 1024} KB, but more came; send a {CANVAS} x {CANVAS} PNG.")
    try:
        data = base64.b64decode(url[len(_URL_START) :], validate=True)
    except (binascii.Error, ValueError):
        raise InputError("The drawing's data URL is damaged; send it again.") from None
    return read_canvas(data, num_labels)


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


def _short(value: object) -> str:
    """Quote a client's value for a message, cut to a length that fits a toast."""
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 40 else f"{text[:37]}..."
