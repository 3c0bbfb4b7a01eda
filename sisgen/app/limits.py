"""Every value that a browser or a script sends is checked here, before anything is decoded or queued."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sisgen.errors import InputError

CANVAS = 256  # side of the logical drawing, in cells
MAX_CANVAS_BYTES = 256 * 1024  # an 8-bit 256 x 256 PNG is smaller even when it holds noise
MAX_FILE_BYTES = 20 * 2**20
MAX_PIXELS = 25_000_000
MAX_SEED = 2**32 - 1
MAX_SEEDS = 16
MAX_PARTS = 32  # classes that take another sample's style
MAX_PARTS_TEXT = 4000
MAX_TRUNCATION = 1.5
EMPTY = 255  # of an unpainted cell in an index map, and of blank paper in a drawing of lines
LABEL_KINDS = ("mask", "scribble")  # drawn with classes
LINE_KINDS = ("sketch", "canny", "hed", "depth")  # drawn in greys: 0 is the full line (or the nearest), 255 blank (or the farthest)
KINDS = (*LABEL_KINDS, *LINE_KINDS)
USES = ("edit", "shape", "style")  # of a photograph: all of it, its shape under other styles, its style on another drawing

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


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
        also: kind of a second drawing that is followed too; `None` for none.
        weight: share of the second drawing where both decide, in [0, 1].
        parts: classes that take their style from another sample, with its seed.
    """

    model: str | None = None
    seed: int = 0
    truncation: float | None = None
    strength: float = 1.0
    kind: str = "mask"
    photo: str | None = None
    use: str = "edit"
    also: str | None = None
    weight: float = 0.5
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the drawings that come with it, one or two."""
        return (self.kind,) if self.also is None else (self.kind, self.also)


def read_wish(values: Mapping[str, object]) -> Wish:
    """Check the settings that came with a request.

    Args:
        values: any of the attributes of `Wish`, as text or numbers; the rest takes its defaults.

    Raises:
        InputError: a value is no number, not finite or out of range, or there is no such kind.
    """
    model = values.get("model") or None
    if model is not None and (not isinstance(model, str) or len(model) > 200):
        raise InputError("The model must be a name of at most 200 characters; choose one from the model menu.")
    kind, also = values.get("kind") or "mask", values.get("also") or None
    for name in (kind, also or kind):
        if name not in KINDS:
            raise InputError(f"A drawing is one of {', '.join(KINDS)}, but {_short(name)} came; reload the page.")
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
        also=None if also is None else str(also),
        weight=read_number("weight", values.get("weight", 0.5), 0.0, 1.0),
        parts=read_parts(values.get("parts")),
    )


def read_parts(value: object) -> tuple[tuple[str, int], ...]:
    """Read which classes take their style from which samples.

    Args:
        value: class name -> seed, or pairs of them, or either as JSON; `None` or empty for none.

    Raises:
        InputError: it is something else; which classes there are is known to the model alone.
    """
    wrong = InputError(f'Parts of other samples must be like {{"hair": 12}}, but {_short(value)} came; name classes and samples.')
    if isinstance(value, str) and value:
        try:
            value = json.loads(value[: MAX_PARTS_TEXT + 1])
        except (ValueError, RecursionError):
            raise wrong from None
    pairs = list(value.items()) if isinstance(value, Mapping) else (value or [])
    if not isinstance(pairs, (list, tuple)) or len(pairs) > MAX_PARTS:
        raise wrong
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise wrong
    return tuple(sorted({name: read_whole("seed", seed, 0, MAX_SEED) for name, seed in pairs}.items()))


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


def _short(value: object) -> str:
    """Quote a client's value for a message, cut to a length that fits a toast."""
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 40 else f"{text[:37]}..."
