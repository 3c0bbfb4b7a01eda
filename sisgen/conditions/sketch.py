"""A drawn or photographed sketch -> `Condition` of lines, simplified: the paper, its shading and the dirt on it are gone (hop 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sisgen.conditions.pictures import check_picture, resize, square_picture
from sisgen.conditions.strokes import drop_specks, even_out, find_ink, hollow
from sisgen.nets.lines import luminance
from sisgen.types import Condition

WORKING = 4  # lines are found at up to this multiple of the model's size
PHOTO_INK = 0.3  # share of inked pixels from which on a picture is hardly a line drawing
PHOTO_COLOR = 0.25  # share of coloured pixels from which on it is none


def sketch_condition(picture: NDArray[np.uint8], size: int) -> Condition:
    """Make a sketch ready for its mapper.

    Dark lines on light paper or light ones on dark, in pencil, ink or from a canvas, scanned or photographed.

    Args:
        picture: uint8 RGB [H, W, 3] of any size; padded to a square with its border, never stretched.
        size: the model's picture size in pixels.

    Returns:
        A condition with `map` float [1, 1, size, size] in [0, 1], 1 = line; all 0 for an empty page.

    Raises:
        InputError: it is no such picture.
    """
    check_picture(picture)
    side = min(max(picture.shape[:2]), WORKING * size)
    ink = find_ink(luminance(square_picture(picture, max(side, size))))

    # Thin lines fade when a page shrinks: what is left of them is evened out again.
    lines = even_out(resize(ink, size))
    return Condition(kind="sketch", map=drop_specks(hollow(lines)))


def looks_like_photo(picture: NDArray[np.uint8]) -> bool:
    """Tell whether a picture is hardly a line drawing, so that extracting its edges should be offered.

    Args:
        picture: uint8 RGB [H, W, 3].
    """
    check_picture(picture)
    small = square_picture(picture, 128)
    colored = float(((small.amax(dim=1) - small.amin(dim=1)) > 0.3).float().mean())
    inked = float((find_ink(luminance(small)) > 0.2).float().mean())
    return colored > PHOTO_COLOR or inked > PHOTO_INK
