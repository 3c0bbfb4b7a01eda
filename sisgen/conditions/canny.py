"""A picture -> `Condition` of Canny edges, by kornia; an edge map is taken as it is (hop 1)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.conditions.pictures import check_picture, is_grey, resize, square_picture
from sisgen.errors import InputError
from sisgen.nets.lines import luminance
from sisgen.types import Condition

LOW, HIGH = 0.1, 0.2  # thresholds of kornia's own default, in units of its Sobel magnitude
MOST = 2.6  # a sharp step from black to white reaches this


def canny_condition(
    picture: NDArray[np.uint8], size: int, *, low: float = LOW, high: float = HIGH, edges: bool | None = None, device: str = "cpu"
) -> Condition:
    """Make a picture or an edge map ready for its mapper.

    Args:
        picture: uint8 RGB [H, W, 3] of any size; padded to a square with its border, never stretched.
        size: the model's picture size in pixels.
        low: strength above which an edge goes on, in (0, 2.6].
        high: strength above which an edge begins, at least `low`.
        edges: whether the picture is an edge map already; `None` looks at it.
        device: where edges are found.

    Returns:
        A condition with `map` float [1, 1, size, size], 1 = edge, else 0.

    Raises:
        InputError: it is no such picture, or a threshold is out of range.
    """
    check_picture(picture)
    if not 0 < low <= high <= MOST:
        raise InputError(f"Canny's thresholds must be 0 < low <= high <= {MOST}, but they are {low} and {high}; move them.")
    if is_edge_map(picture) if edges is None else edges:
        return Condition(kind="canny", map=_as_it_is(picture, size))
    from kornia.filters import canny

    gray = luminance(square_picture(picture, size)).to(device)
    return Condition(kind="canny", map=canny(gray, low, high)[1].cpu())


def is_edge_map(picture: NDArray[np.uint8]) -> bool:
    """Tell whether a picture is an edge map: grey, nearly two-valued, thin lines on an even ground.

    Args:
        picture: uint8 RGB [H, W, 3].
    """
    check_picture(picture)
    if not is_grey(picture):
        return False
    gray = torch.from_numpy(picture[..., 1].astype(np.float32) / 255)
    two_valued = float(((gray < 0.15) | (gray > 0.85)).float().mean())
    lines = (gray > 0.5).float() if float(gray.median()) < 0.5 else (gray < 0.5).float()
    share = float(lines.mean())
    if two_valued < 0.9 or not 0 < share < 0.3:
        return False
    side = max(3, max(picture.shape[:2]) // 48 // 2 * 2 + 1)
    core = -F.max_pool2d(-lines[None, None], side, stride=1)  # what survives is no line
    return float(core.sum()) < 0.1 * float(lines.sum())


def _as_it_is(picture: NDArray[np.uint8], size: int) -> torch.Tensor:
    """Bring an edge map to the model's size; a pixel is an edge where at least half a line of the original's width runs through it."""
    side = max(picture.shape[:2])
    gray = luminance(square_picture(picture, side))
    lines = (gray > 0.5).float() if float(gray.median()) < 0.5 else (gray < 0.5).float()
    shrink = max(1.0, side / size)
    return (resize(lines, size) > min(0.5, 0.6 / shrink)).float()
