"""Samples and photographs as styles: all that a drawing on them needs and does not change, prepared once and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch

from sisgen.engines.parts import RearrangingParts
from sisgen.generators.styled import StyledTail, folds
from sisgen.nets.reader import Reader
from sisgen.proxy.leaning import lean_on
from sisgen.rearrange.rearranger import StyleMemory
from sisgen.types import Features

Key = tuple[int | str, float]  # of a style in the cache: a seed, or a photograph's key, and the truncation
CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """One or more style samples, ready to be rearranged.

    Attributes:
        ws: [B, S, D], truncated.
        memory: what the rearranger keeps of them.
        images: the plain samples [B, 3, H, W].
        labels: their own masks as the model's reader sees them, int64 [B, H, W] of drawings' size.
        kept: it is a photograph, of which as much as possible stays: its classes keep to themselves, and changes reach less far.
        leaning: how much more of every cluster they have than an average sample, as logits [B, K], see `proxy/leaning.py`.
        tail: the blocks behind the cut with a single style folded in; `None` for several, and where that does not pay.
    """

    ws: torch.Tensor
    memory: StyleMemory
    images: torch.Tensor
    labels: torch.Tensor
    leaning: torch.Tensor
    kept: bool = False
    tail: StyledTail | None = None

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        memory = self.memory
        tensors = [self.ws, self.images, self.labels, memory.features.map, memory.features.rgb]
        tensors += [memory.own, memory.keys, memory.values, memory.prototypes]
        return sum(t.numel() * t.element_size() for t in tensors) + (0 if self.tail is None else self.tail.num_bytes)


class StyleCache:
    """Styles by key; those that were used longest ago go when all take too much memory. Threads may share it."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._styles: OrderedDict[Key, Style] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._styles)

    def __iter__(self) -> Iterator[Key]:
        """Go through the keys, the one that was used longest ago first."""
        with self._lock:
            return iter(list(self._styles))

    def find(self, keys: Sequence[Key]) -> list[Style | None]:
        """Give what is there, `None` for what is not."""
        with self._lock:
            return [self._styles.get(key) for key in keys]

    def keep(self, fresh: Mapping[Key, Style], used: Sequence[Key]) -> None:
        """Take styles in, and note which were used now: these stay even where they alone are too much."""
        with self._lock:
            for key, style in fresh.items():
                if key not in self._styles:
                    self._styles[key] = style
                    self.num_bytes += style.num_bytes
            for key in used:
                if key in self._styles:
                    self._styles.move_to_end(key)
            while self.num_bytes > self.max_bytes and len(self._styles) > len(set(used)):
                _, old = self._styles.popitem(last=False)
                self.num_bytes -= old.num_bytes

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._styles.clear()
            self.num_bytes = 0


@torch.no_grad()
def prepare_style(parts: RearrangingParts, reader: Reader, z: torch.Tensor, truncation: float) -> Style:
    """Run plain samples [B, D] once and keep what any drawing on them will need."""
    return prepare_rows(parts, parts.generator.map(z, psi=truncation), reader)


@torch.no_grad()
def prepare_rows(parts: RearrangingParts, ws: torch.Tensor, reader: Reader, labels: torch.Tensor | None = None) -> Style:
    """Prepare style rows [B, S, D]; `labels` int64 [B, H, W] are kept as the samples' own masks, `None` has them read."""
    generator, rearranger = parts.generator, parts.rearranger
    found = generator.hypercolumn(ws, largest=max(rearranger.config.fine_resolution, *parts.clusters.config.sources))
    steps = {step.resolution: step for step in found}
    own = parts.clusters({size: step.map for size, step in steps.items()})
    cut, fine = steps[rearranger.config.resolution], steps[rearranger.config.fine_resolution]
    images = generator.tail(found[-1], ws)
    memory = rearranger.remember(cut, own, fine, ws[:, 0])
    read = reader.read(images.clamp(-1, 1)) if labels is None else labels
    leaning = lean_on(own.probs, parts.clusters.shares)
    return Style(ws=ws, memory=memory, images=images, labels=read, leaning=leaning, kept=labels is not None)


def fold_tail(parts: RearrangingParts, style: Style) -> Style:
    """Add the blocks behind the cut with this single style folded in, where that pays."""
    cut = parts.rearranger.config.resolution
    return replace(style, tail=StyledTail(parts.generator, style.ws, cut)) if folds(parts.generator, cut) else style


def pick_style(style: Style, i: int) -> Style:
    """One style of a batch, in memory of its own."""
    return _map_style([style], lambda parts: parts[0][i : i + 1].clone())


def join_styles(styles: Sequence[Style]) -> Style:
    """One batch of several styles."""
    return styles[0] if len(styles) == 1 else _map_style(styles, torch.cat)


def _map_style(styles: Sequence[Style], merge: Callable[[list[torch.Tensor]], torch.Tensor]) -> Style:
    memories = [style.memory for style in styles]
    features = [memory.features for memory in memories]
    joined = Features(map=merge([f.map for f in features]), rgb=merge([f.rgb for f in features]))
    tensors = {f.name: merge([getattr(m, f.name) for m in memories]) for f in fields(StyleMemory) if f.name != "features"}
    memory = StyleMemory(features=joined, **tensors)
    ws, images, labels, leaning = (merge([getattr(style, name) for style in styles]) for name in ("ws", "images", "labels", "leaning"))
    return Style(memory=memory, ws=ws, images=images, labels=labels, leaning=leaning, kept=styles[0].kept)
