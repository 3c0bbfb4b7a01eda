"""Styles that are neither a seed's nor a photograph's: edited, mixed, or on the way from one to another."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from sisgen.errors import InputError
from sisgen.shapes import check_shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StyleRows:
    """Style rows of any origin, for `Pipeline(..., style=)`.

    Attributes:
        ws: float [1, S, D].
        key: names them in caches.
        labels, tail: always `None`; what an inverted photograph has beside its rows.
    """

    ws: torch.Tensor
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    labels: None = None
    tail: None = None

    def __post_init__(self) -> None:
        check_shape("ws", self.ws, (1, None, None))


def mix_rows(shape: torch.Tensor, color: torch.Tensor, row: int) -> torch.Tensor:
    """Take coarse rows from one style and fine rows from another (style mixing; Karras et al., CVPR 2019, sec. 3.1).

    Args:
        shape: [B, S, D], gives the rows before `row`: pose and forms.
        color: [B, S, D], gives the others: colours and texture.
        row: 0..S.

    Raises:
        InputError: the styles differ in size, or the row lies outside.
    """
    if shape.shape != color.shape or shape.ndim != 3:
        raise InputError(f"Styles to mix must have one shape [B, S, D], but they have {list(shape.shape)} and {list(color.shape)}.")
    if not 0 <= row <= shape.shape[1]:
        raise InputError(f"The row where styles change must lie in 0..{shape.shape[1]}, but it is {row}; choose one inside.")
    return torch.cat([shape[:, :row], color[:, row:]], dim=1)


def slerp(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Go along the great circle between latents [..., D]: `share` 0 is a, 1 is b; lengths are interpolated, too."""
    lengths = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    cosine = ((a / lengths[0]) * (b / lengths[1])).sum(dim=-1, keepdim=True).clamp(-1, 1)
    angle = torch.arccos(cosine)
    first, second = torch.sin((1 - share) * angle), torch.sin(share * angle)
    near = torch.sin(angle).abs() < 1e-4  # the same way, or opposite ones, between which no circle is the shortest
    total = torch.sin(angle).clamp_min(1e-4)
    weights = (
        torch.where(near, torch.full_like(angle, 1 - share), first / total),
        torch.where(near, torch.full_like(angle, share), second / total),
    )
    length = (1 - share) * lengths[0] + share * lengths[1]
    return (weights[0] * a / lengths[0] + weights[1] * b / lengths[1]) * length


def lerp(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Go straight from w (or ws) a to b: `share` 0 is a, 1 is b."""
    return a + (b - a) * share


def walk(stops: torch.Tensor, frames: int, *, spherical: bool, loop: bool = False) -> Iterator[torch.Tensor]:
    """Go from stop to stop, slower near each.

    Args:
        stops: [N, ...], N >= 1: latents z for a spherical walk, w or ws for a straight one.
        frames: steps of every leg; one stop alone stands for so many frames.
        spherical: along great circles.
        loop: go back to the first stop, so that the end meets the beginning.

    Yields:
        [...], (N - 1) * frames + 1 of them, or N * frames in a loop.

    Raises:
        InputError: no stop or no frame came.
    """
    if len(stops) < 1 or frames < 1:
        raise InputError(f"A walk needs at least 1 stop and 1 frame a leg, but it has {len(stops)} and {frames}.")
    if len(stops) == 1:
        yield from (stops[0] for _ in range(frames))
        return
    legs = len(stops) if loop else len(stops) - 1
    for leg in range(legs):
        a, b = stops[leg], stops[(leg + 1) % len(stops)]
        for frame in range(frames):
            share = (1 - math.cos(math.pi * frame / frames)) / 2
            yield slerp(a, b, share) if spherical else lerp(a, b, share)
    if not loop:
        yield stops[-1]
