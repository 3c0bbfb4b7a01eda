"""The one legend of tensor shapes, and the check that public doors use.

| letter | meaning |
|---|---|
| B | batch |
| C | channels |
| H, W | picture height, width |
| h, w | height, width of the feature grid |
| T | tokens of an attention, h * w |
| K | proxy clusters |
| L | labels (semantic classes) |
| N | attention heads |
| S | style layers, the rows of `ws` |
| D | latent dimension |

Pictures are float `[B, 3, H, W]` in [-1, 1]; label maps are int64 `[B, H, W]`, `UNPAINTED` (-1) where nothing was drawn. Labels and
drawings have the size of the pictures, at most `MOST_DRAWN`: no finer part is drawn, and memory stays bounded at 1024 px.
"""

from __future__ import annotations

import torch

from sisgen.errors import InputError

UNPAINTED = -1
MOST_DRAWN = 256  # largest side of labels and drawings in pixels


def drawing_size(resolution: int) -> int:
    """Give the side of labels and drawings for pictures of a side."""
    return min(resolution, MOST_DRAWN)


def check_shape(name: str, tensor: torch.Tensor, expected: tuple[int | None, ...]) -> None:
    """Check a tensor at a public door.

    Args:
        name: the argument's name, for the message.
        tensor: the tensor that came.
        expected: its shape; `None` stands for any size.

    Raises:
        InputError: rank or a size differs.
    """
    fits = tensor.ndim == len(expected) and all(want in (None, have) for want, have in zip(expected, tensor.shape))
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in expected)
        raise InputError(f"{name} must have the shape [{wanted}], but it has {list(tensor.shape)}; reshape it first.")
