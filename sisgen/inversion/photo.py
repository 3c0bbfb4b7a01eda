"""A photograph of any size, cut to a square and brought to a model's resolution by area."""

from __future__ import annotations

import numbers

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.errors import InputError
from sisgen.io.images import to_float

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
LEAST_SIDE = 8  # pixels; a smaller square shows nothing


def middle_box(height: int, width: int) -> Box:
    """The largest square in the middle of a picture."""
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def cut_photo(picture: NDArray[np.uint8], size: int, box: Box | None = None) -> torch.Tensor:
    """Cut a square out of a photograph and scale it.

    Args:
        picture: uint8 RGB [H, W, 3].
        size: side of the result.
        box: the square, within the picture; `None` takes the middle one.

    Returns:
        float [1, 3, size, size] in [-1, 1].

    Raises:
        InputError: no such picture, or the box is none of its squares.
    """
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        came = f"{picture.dtype} {list(picture.shape)}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise InputError(f"A photograph must be uint8 [H, W, 3], but it is {came}; load it with `load_image`.")
    height, width, _ = picture.shape
    left, top, right, bottom = middle_box(height, width) if box is None else _checked(box, height, width)
    if right - left < LEAST_SIDE:
        raise InputError(
            f"A photograph must have at least {LEAST_SIDE} x {LEAST_SIDE} pixels, but it has {width} x {height}; take a larger one."
        )
    square = to_float(picture[None, top:bottom, left:right])
    if square.shape[-1] >= size:
        return F.interpolate(square, size=(size, size), mode="area")
    return F.interpolate(square, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)


def _checked(box: Box, height: int, width: int) -> Box:
    entries = list(box)
    whole = all(isinstance(value, numbers.Integral) and not isinstance(value, bool) for value in entries)
    if len(entries) == 4 and whole:
        left, top, right, bottom = (int(value) for value in entries)
        inside = min(left, top) >= 0 and right <= width and bottom <= height
        if inside and right - left == bottom - top >= LEAST_SIDE:
            return left, top, right, bottom
    came = ", ".join(str(value)[:12] for value in entries[:5])
    words = f"left, top, right, bottom of a square of at least {LEAST_SIDE} pixels within {width} x {height}"
    raise InputError(f"The box must be {words}, but it is {came}; move it into the picture.")
