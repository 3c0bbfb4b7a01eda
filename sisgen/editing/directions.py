"""Directions in style space: what they are, how they are applied, and the file that holds a model's."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sisgen.errors import CheckpointError, InputError
from sisgen.io.weights import read_weights, save_weights
from sisgen.shapes import check_shape

FILE = "directions.safetensors"
MOST_STRENGTH = 10.0
NAME = re.compile(r"[a-z0-9][a-z0-9 _-]{0,47}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Direction:
    """A way to go in style space.

    Attributes:
        name: plain lower-case words.
        vector: float [D]; as long as one standard deviation of w along it, so that strengths of -3..3 stay among likely styles.
        rows: first and one past the last style row that it moves; `None` moves all.
    """

    name: str
    vector: torch.Tensor
    rows: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(f"A direction's name must be plain lower-case letters, digits and hyphens, but it is {self.name[:60]!r}.")

    def apply(self, ws: torch.Tensor, strength: float) -> torch.Tensor:
        """Move style rows.

        Args:
            ws: float [B, S, D].
            strength: in standard deviations, within -10..10; 0 changes nothing.

        Returns:
            New rows [B, S, D].

        Raises:
            InputError: the strength is out of range, or the rows are another model's.
        """
        if not math.isfinite(strength) or abs(strength) > MOST_STRENGTH:
            raise InputError(
                f"A strength must be a number in -{MOST_STRENGTH:g}..{MOST_STRENGTH:g}, but it is {strength}; take a smaller one."
            )
        check_shape("ws", ws, (None, None, self.vector.shape[0]))
        first, last = self.rows or (0, ws.shape[1])
        if not 0 <= first < last <= ws.shape[1]:
            raise InputError(f"The rows to move must lie within 0..{ws.shape[1]}, but they are {first}..{last}; correct them.")
        moved = ws.clone()
        moved[:, first:last] += strength * self.vector.to(ws)
        return moved


def scale_to_deviation(vector: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Give a vector [D] the length of one standard deviation of w [N, D] along it."""
    unit = vector / vector.norm().clamp_min(1e-12)
    return unit * ((w - w.mean(dim=0)) @ unit).std()


def find_direction(name: str, directions: Sequence[Direction]) -> Direction:
    """Find a direction by its name.

    Raises:
        InputError: there is none; the message lists what there is.
    """
    found = next((direction for direction in directions if direction.name == name), None)
    if found is None:
        names = ", ".join(direction.name for direction in directions)
        raise InputError(f"There is no direction {name[:60]!r} in this model; choose one of {names}.")
    return found


def save_directions(path: str | os.PathLike[str], directions: Sequence[Direction]) -> str:
    """Write directions that move all rows, one tensor each; give the file's SHA-256."""
    return save_weights(path, {direction.name: direction.vector for direction in directions}, half=False)


def load_directions(path: str | os.PathLike[str], w_dim: int, *, sha256: str | None = None) -> list[Direction]:
    """Read what `save_directions` wrote, in the order of the names.

    Args:
        path: the file.
        w_dim: D of the model that they are for.
        sha256: what the file must hash to; `None` skips that check.

    Raises:
        CheckpointError: it is missing, altered, or another model's.
    """
    tensors: Mapping[str, torch.Tensor] = read_weights(path, sha256=sha256)
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != (w_dim,) or not NAME.fullmatch(name):
            words = f"but it holds {name[:60]!r} of shape {list(tensor.shape)}"
            raise CheckpointError(f"The directions in '{path}' must be vectors of {w_dim} numbers, {words}; learn them again.")
    return [Direction(name=name, vector=tensors[name].float()) for name in sorted(tensors)]
