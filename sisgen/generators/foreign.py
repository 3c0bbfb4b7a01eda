"""What the readers of foreign files hand over: tensors by official names, not yet read, and what the file says beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from sisgen.errors import CheckpointError
from sisgen.io.standins import Record
from sisgen.io.stored import StoredArray, StoredTensor

MAX_TENSORS = 2_000
MAX_DEPTH = 8
MAX_ITEMS = 100_000  # attributes and modules of a network
MAPPING_LR = 0.01  # learning-rate multiplier of mapping layers, which their stored weights are divided by


class Stored(Protocol):
    """A tensor that is still in its file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its size in every dimension."""
        ...

    def load(self) -> torch.Tensor:
        """Read it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A stored tensor that is rearranged when it is read."""

    shape: tuple[int, ...]
    load: Callable[[], torch.Tensor]


def shown(text: Any) -> str:
    """Quote a word of the file for a message: short, on one line."""
    return repr(str(text)[:80])


def changed(stored: Stored, change: Callable[[torch.Tensor], torch.Tensor]) -> Changed:
    """Apply `change` when the tensor is read; its new shape is known before."""
    try:
        shape = tuple(change(torch.empty(stored.shape, device="meta")).shape)
    except (RuntimeError, IndexError):
        raise CheckpointError(f"A tensor of the shape {list(stored.shape)} is none that a StyleGAN2 has; choose another file.") from None
    return Changed(shape=shape, load=lambda: change(stored.load().float()).contiguous())


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreign:
    """The networks of a file.

    Attributes:
        kind: what the file is, in words that follow "an" or "a".
        generator: official tensor name -> tensor, of the averaged generator where there is one.
        discriminator: the same of the discriminator; `None` when the file has none.
        facts: attributes of the generator's modules by dotted place, for what shapes cannot tell.
        discriminator_facts: the same of the discriminator.
    """

    kind: str
    generator: Mapping[str, Stored]
    discriminator: Mapping[str, Stored] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    discriminator_facts: Mapping[str, Any] = field(default_factory=dict)


def flatten(module: Record) -> tuple[dict[str, Stored], dict[str, Any]]:
    """List the tensors and plain attributes of a PyTorch module that was read as a record, by dotted names.

    Raises:
        CheckpointError: it is no module, or nested or repeated beyond what a network is.
    """
    tensors: dict[str, Stored] = {}
    facts: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("", module)]
    seen = 0
    while waiting:
        place, record = waiting.pop()
        # A few records that hold each other can look like billions.
        seen += 1 + (len(record.fields) if isinstance(record, Record) else MAX_ITEMS)
        if seen > MAX_ITEMS or place.count(".") > MAX_DEPTH:
            raise CheckpointError(f"The file's network is no usable tree of modules at {shown(place)}; get the file again.")
        facts |= {f"{place}{name}": value for name, value in record.fields.items() if isinstance(value, (str, int, float))}
        for name, value in (_group(record, "_parameters", place) | _group(record, "_buffers", place)).items():
            tensor = as_stored(value)
            if tensor is not None:
                tensors[f"{place}{name}"] = tensor
        children = _group(record, "_modules", place)
        waiting += [(f"{place}{name}.", child) for name, child in children.items() if child is not None]
        seen += len(children)
    return tensors, facts


def _group(module: Record, group: str, place: str) -> dict[str, Any]:
    found = module.fields.get(group, {})
    usable = isinstance(found, dict) and len(found) <= MAX_TENSORS
    if not usable or not all(isinstance(name, str) and len(name) <= 80 for name in found):
        raise CheckpointError(f"The file's network is no usable tree of modules at {shown(place)}; get the file again.")
    return found


def as_stored(value: Any) -> Stored | None:
    """Take a tensor or an array that was read; `None` for anything else."""
    value = value.tensor if isinstance(value, StoredArray) else value
    return value if isinstance(value, StoredTensor) else None


def as_number(value: Any) -> Stored | None:
    """Take a plain number as a tensor without dimensions; `None` for anything else."""
    if not isinstance(value, (int, float)):
        return None
    number = float(value)
    return Changed(shape=(), load=lambda: torch.tensor(number))


def as_state(data: Any) -> dict[str, Stored]:
    """Keep the tensors of a flat state dict; empty when it is none."""
    if not isinstance(data, dict) or len(data) > 2 * MAX_TENSORS:
        return {}
    pairs = ((name, as_stored(value)) for name, value in data.items() if isinstance(name, str))
    return {name: tensor for name, tensor in pairs if tensor is not None}
