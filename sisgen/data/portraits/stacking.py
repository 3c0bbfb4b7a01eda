"""Join the numbers of several portraits into tensors that broadcast over their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import torch

from sisgen.data.portraits.parameters import Portrait


def stack(portraits: Sequence[Portrait], device: torch.device) -> Portrait:
    """Join portraits into one whose numbers are `[B, 1, 1]` and whose colours are `[B, 3, 1, 1]` tensors on `device`."""
    rows = torch.tensor([_flatten(portrait) for portrait in portraits], dtype=torch.float32).to(device)[:, :, None, None]
    columns = rows.unbind(1)  # [B, 1, 1] each
    groups, place = {}, 0
    for name, kind, members in _layout():
        values = {}
        for member, width in members:
            values[member] = columns[place] if width == 1 else rows[:, place : place + width]
            place += width
        groups[name] = kind(**values)
    return Portrait(**groups)


@cache
def _layout() -> tuple[tuple[str, type, tuple[tuple[str, int], ...]], ...]:
    """Name, class and members of every group; a member is its name and how many numbers it takes."""
    from sisgen.data.portraits import parameters

    layout = []
    for group in fields(Portrait):
        kind = getattr(parameters, str(group.type))
        layout.append((group.name, kind, tuple((member.name, 3 if member.type == "Color" else 1) for member in fields(kind))))
    return tuple(layout)


def _flatten(portrait: Portrait) -> list[float]:
    numbers: list[Any] = []
    for name, _, members in _layout():
        group = getattr(portrait, name)
        for member, width in members:
            if width == 1:
                numbers.append(getattr(group, member))
            else:
                numbers.extend(getattr(group, member))
    return numbers
