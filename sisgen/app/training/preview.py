"""The live preview of a training: from a stage's grid of samples to pairs that a visitor understands, one above the other."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from sisgen.app.training.jobs import Job
from sisgen.errors import InputError

# Rows of a stage's grid that are shown, what goes in above what comes out; see `save_samples` of each trainer.
ROWS = {"rearranger": (0, 3), "segmenter": (0, 2), "reader": (0, 2), "mapper": (1, 3)}
MOST = 8  # pairs
MAX_BYTES = 16 * 2**20


def read_pairs(path: Path, job: Job) -> bytes:
    """Read a stage's newest grid as the page shows it.

    Args:
        path: the grid, in the folder of its stage.
        job: whose masks have the size of one picture.

    Returns:
        A PNG file; the grid as it is where it is laid out in another way.

    Raises:
        InputError: it is not there any more, or is no picture.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("The picture of this training is too large to be shown.")
        with Image.open(path) as picture:
            grid = np.asarray(picture.convert("RGB"))
        with Image.open(job.masks / f"{job.seeds[0]}.png") as mask:
            side = mask.width
    except (OSError, ValueError, SyntaxError):
        raise InputError("There is no picture of this training yet; wait a moment.") from None
    buffer = io.BytesIO()
    Image.fromarray(arrange(grid, side, ROWS.get(path.parent.name))).save(buffer, "PNG")
    return buffer.getvalue()


def arrange(grid: np.ndarray, side: int, rows: tuple[int, int] | None) -> np.ndarray:
    """Put two rows of a grid above each other, in two lines where there are many columns.

    Args:
        grid: uint8 [rows * side, columns * side, 3].
        side: of one picture.
        rows: which two; `None` leaves the grid as it is.

    Returns:
        uint8, as close to a square as the number of pairs allows.
    """
    height, width = grid.shape[0] // side, grid.shape[1] // side
    if rows is None or grid.shape[0] % side or grid.shape[1] % side or height <= max(rows):
        return grid
    count = min(width, MOST)
    above, below = (grid[row * side : (row + 1) * side, : count * side] for row in rows)  # [side, count * side, 3]
    if count == 1:
        return np.concatenate([above, below], axis=1)
    if count < 4:
        return np.concatenate([above, below])
    half = count // 2 * side
    return np.concatenate([above[:, :half], below[:, :half], above[:, half : 2 * half], below[:, half : 2 * half]])
