"""What rearranging takes, and the way from a proxy mask to a picture (SIS-UG, sec. 3.1): trainers go it without a mapper, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from sisgen.generators.styled import StyledTail
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.proxy.clusters import FeatureClusters
from sisgen.rearrange.rearranger import Rearranger, StyleMemory
from sisgen.types import Features, ProxyMask


class RearrangingParts(Protocol):
    """What rearranging takes: the engine has it, and so have trainers that have no mapper yet."""

    generator: StyleGAN2
    clusters: FeatureClusters
    rearranger: Rearranger


@dataclass(kw_only=True, slots=True)
class LooseParts:
    """Parts put together by hand: with a generator that was tuned to a photograph, or one in training."""

    generator: StyleGAN2
    clusters: FeatureClusters
    rearranger: Rearranger


class GrowingParts(Protocol):
    """What rearranging takes once a style is prepared: the generator's blocks behind the cut, in any style or in this one."""

    @property
    def generator(self) -> StyleGAN2 | StyledTail: ...
    @property
    def clusters(self) -> FeatureClusters: ...
    @property
    def rearranger(self) -> Rearranger: ...


@dataclass(kw_only=True, slots=True)
class StyledParts:
    """Parts with one style folded in."""

    generator: StyledTail
    clusters: FeatureClusters
    rearranger: Rearranger


def rearrange(
    parts: GrowingParts, proxy: ProxyMask, memory: StyleMemory, ws: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[Features, ProxyMask]:
    """Rearrange at the cut, grow to the fine resolution, read back the proxy mask there; `bias` as for `Rearranger.forward`."""
    return grow(parts, parts.rearranger(proxy, memory, bias), ws)


def grow(parts: GrowingParts, cut: Features, ws: torch.Tensor) -> tuple[Features, ProxyMask]:
    """Grow features from the cut to the fine resolution and read back the proxy mask there."""
    fine = parts.generator.advance(cut, ws, parts.rearranger.config.fine_resolution)
    return fine, parts.clusters({cut.resolution: cut.map, fine.resolution: fine.map})


def complete(
    parts: GrowingParts, fine: Features, current: ProxyMask, proxy: ProxyMask, memory: StyleMemory, ws: torch.Tensor
) -> torch.Tensor:
    """Refine what `grow` gave and run the rest of the generator: images [B, 3, H, W]."""
    return parts.generator.tail(parts.rearranger.refine(fine, current.probs, proxy, memory), ws)


def render(parts: GrowingParts, proxy: ProxyMask, memory: StyleMemory, ws: torch.Tensor) -> torch.Tensor:
    """Rearrange, refine and run the rest of the generator: images [B, 3, H, W]."""
    fine, current = rearrange(parts, proxy, memory, ws)
    return complete(parts, fine, current, proxy, memory, ws)
