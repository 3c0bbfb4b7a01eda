"""What travels along the data path: Condition -> ProxyMask -> Features -> Result, all of them frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """The named classes of a model; a class's id is its place in the tuples."""

    names: tuple[str, ...]  # class names, [L]
    colors: tuple[tuple[int, int, int], ...]  # RGB palette in 0..255, [L]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A drawing, made ready for a mapper.

    Attributes:
        kind: which mapper reads it: "mask", "scribble", "sketch", ...
        map: float [B, C, H, W] in [0, 1]; for a mask C = L soft one-hot channels, all 0 where nothing was drawn.
        labels: int64 [B, H, W] of the drawing, -1 where nothing was drawn; `None` for kinds without classes.
    """

    kind: str
    map: torch.Tensor
    labels: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyMask:
    """Soft membership of every place in the K clusters of the generator's features (SIS-UG, sec. 3.1).

    Attributes:
        probs: float [B, K, h, w], sums to 1 over K.
    """

    probs: torch.Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """A generator cut open at one resolution.

    Attributes:
        map: float [B, C, h, w], the feature map after the block of that resolution.
        rgb: float [B, 3, h, w], the skip-RGB accumulated so far; it must be rearranged together with `map`.
    """

    map: torch.Tensor
    rgb: torch.Tensor

    @property
    def resolution(self) -> int:
        """Side of the feature grid in cells."""
        return self.map.shape[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How well labels read back from a picture agree with the drawing, over painted pixels only.

    Attributes:
        miou: mean intersection over union, over the classes that were drawn, in [0, 1].
        accuracy: share of painted pixels that read back as drawn, in [0, 1].
        per_class: class name -> intersection over union, for the classes that were drawn.
    """

    miou: float
    accuracy: float
    per_class: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a `Pipeline` call gives back.

    Attributes:
        images: float [B, 3, H, W] in [-1, 1].
        seeds: one a picture.
        labels: int64 [B, H, W] of drawings' size, read back from the pictures by the model's own reader; `None` unless asked for.
        agreement: self-agreement with the drawing, one a picture; empty unless asked for and something was drawn.
        timings: hop name -> milliseconds.
        settings: what it takes to make the same pictures again (model, revision, truncation, strength, ...), JSON-ready.
    """

    images: torch.Tensor
    seeds: tuple[int, ...]
    labels: torch.Tensor | None = None
    agreement: tuple[Agreement, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
