"""What conditions that come from pictures share: the check at the door, the square, the model's size."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.errors import InputError
from sisgen.io.images import to_float


def square_picture(picture: NDArray[np.uint8], size: int, *, fill: tuple[int, int, int] | None = None) -> torch.Tensor:
    """Pad a picture to a square around its middle, never stretched, and bring it to the model's size.

    Args:
        picture: uint8 RGB [H, W, 3] of any size.
        size: side of the square in pixels.
        fill: colour of the padding; `None` repeats the picture's border, so that no line appears where it ends.

    Returns:
        Float [1, 3, size, size] in [-1, 1].

    Raises:
        InputError: it is no such picture.
    """
    check_picture(picture)
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = ((top, side - height - top), (left, side - width - left), (0, 0))
    if fill is None:
        square = np.pad(picture, around, mode="edge")
    else:
        square = np.empty((side, side, 3), dtype=np.uint8)
        square[:] = fill
        square[top : top + height, left : left + width] = picture
    return resize(to_float(square[None]), size)


def resize(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Bring square maps [B, C, H, H] to `size`: by area when they shrink, so that nothing is skipped."""
    if maps.shape[-1] == size:
        return maps
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False, antialias=maps.shape[-1] > size)


def check_picture(picture: NDArray[np.uint8]) -> None:
    """Check a picture from outside.

    Raises:
        InputError: it is not uint8 [H, W, 3] with at least one pixel.
    """
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        came = f"{getattr(picture, 'dtype', type(picture).__name__)} {list(getattr(picture, 'shape', []))}"
        raise InputError(f"A picture must be uint8 RGB [H, W, 3], but it is {came}; read it with sisgen.io.images.load_image.")


def is_grey(picture: NDArray[np.uint8], tolerance: int = 12) -> bool:
    """Tell whether a picture has no colours: all but 1% of its pixels within `tolerance` between their channels."""
    spread = picture.max(axis=2).astype(np.int16) - picture.min(axis=2)
    return float((spread <= tolerance).mean()) > 0.99
