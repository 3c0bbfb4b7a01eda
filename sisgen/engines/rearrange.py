"""The engine of SIS-UG: mapper, rearranger and the cut generator, wired, with everything cached that a drawing does not change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from sisgen.conditions.exemplar import EXEMPLAR
from sisgen.editing.styles import StyleRows
from sisgen.engines.drawings import Drawings, blend_drawings
from sisgen.generators.styled import StyledTail, folds
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder
from sisgen.inversion.inversion import Inversion
from sisgen.nets.reader import Reader
from sisgen.proxy.clusters import FeatureClusters
from sisgen.proxy.drawing_mapper import DrawingMapper
from sisgen.proxy.leaning import lean_on
from sisgen.proxy.mapper import MaskMapper, blend_proxies, fill_unpainted, whole_mask
from sisgen.rearrange.classes import class_bias
from sisgen.rearrange.rearranger import Rearranger, StyleMemory
from sisgen.shapes import UNPAINTED
from sisgen.types import Condition, Features, ProxyMask

Key = tuple[int | str, float]  # of a style in the cache: a seed, or a photograph's key, and the truncation
CACHE_BYTES = 256 * 2**20
MARGIN = 18  # a changed place reaches an 18th of the picture further: parts move with what is around them
PHOTO_MARGIN = 64  # on photographs, of which as much as possible stays


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


class RearrangeEngine(nn.Module):
    """Answer a condition by rearranging an unconditional generator's features (SIS-UG, secs. 3.1-3.2).

    Args:
        generator: any generator with the `map / head / tail` contract.
        clusters: proxy masks of its features.
        rearranger: trained on these clusters.
        mapper: from drawn masks to proxy masks.
        reader: from pictures to labels, for a sample's own mask.
        encoder: from pictures to style rows; `None` = photographs cannot be taken in.
        drawing_mappers: kind -> the way from such a drawing to a proxy mask; those that the model has.
    """

    def __init__(
        self,
        generator: StyleGAN2,
        clusters: FeatureClusters,
        rearranger: Rearranger,
        mapper: MaskMapper,
        reader: Reader,
        encoder: Encoder | None = None,
        drawing_mappers: Mapping[str, DrawingMapper] | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.clusters = clusters
        self.rearranger = rearranger
        self.mapper = mapper
        self.reader = reader
        self.encoder = encoder
        self.drawing_mappers = nn.ModuleDict(drawing_mappers)
        self._cache: OrderedDict[Key, Style] = OrderedDict()
        self._cache_bytes = 0
        self._lock = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.clusters.tau.device

    @property
    def drawing_size(self) -> int:
        """Side of drawings and labels in pixels."""
        return self.mapper.config.resolution

    def recall(self, seeds: Sequence[int], truncation: float) -> Style:
        """Prepare style samples, or take them from the cache.

        Args:
            seeds: one a sample; the latent of a seed is that of the official tools.
            truncation: psi.
        """
        missing = [seed for seed in dict.fromkeys(seeds) if (seed, truncation) not in self._cache]
        fresh: dict[Key, Style] = {}
        if missing:
            for z in latents(missing, self.generator.config.z_dim).to(self.device).split(self.generator.config.at_once):
                made = prepare_style(self, z, truncation)
                fresh |= {(missing[len(fresh) + i], truncation): fold_tail(self, _pick(made, i)) for i in range(len(z))}
        with self._lock:
            found = [fresh.get((seed, truncation)) or self._cache.get((seed, truncation)) for seed in seeds]
            self._store(fresh, [(seed, truncation) for seed in seeds])
        if any(style is None for style in found):  # another visitor's styles pushed ours out in between
            return self.recall(seeds, truncation)
        return _join([style for style in found if style is not None])

    def recall_photo(self, inversion: Inversion | StyleRows, count: int = 1) -> Style:
        """Prepare a photograph or style rows as the style of `count` pictures, or take it from the cache."""
        key = (inversion.key, 1.0)
        with self._lock:
            style = self._cache.get(key)
        if style is None:
            ws = inversion.ws.to(self.device)
            labels = None if inversion.labels is None else inversion.labels.to(self.device)
            parts = self.with_tail(inversion.tail)
            style = fold_tail(parts, prepare_rows(parts, ws, self.reader, labels))
        with self._lock:
            self._store({key: style}, [key])
        return _join([style] * count)

    @torch.inference_mode()
    def shape_of(self, own: torch.Tensor, image: torch.Tensor, labels: torch.Tensor, trust: float) -> ProxyMask:
        """The arrangement of a picture: its own proxy mask blended with what the mask mapper makes of its labels.

        Args:
            own: proxy mask [1, K, h, w] of the sample or of the reconstruction.
            image: that sample or reconstruction, [1, 3, H, W].
            labels: of the picture that is meant, int64 [1, H, W]; where `image` reads otherwise, they alone count.
            trust: in the labels, 0..1, everywhere else.
        """
        labels, shown = labels.to(self.device), self.reader.read(image.to(self.device).clamp(-1, 1))
        drawn = self.mapper.read(whole_mask(labels, self.mapper.config.num_labels)).probs
        other = changed_places(labels, shown, PHOTO_MARGIN, drawn.shape[-1])
        return ProxyMask(probs=blend_proxies(drawn, own.to(self.device), other.clamp_min(trust)))

    def with_tail(self, tail: StyleGAN2 | None) -> RearrangingParts:
        """The parts that rearranging takes, with a tuned generator in place of the model's own; `None` = that one."""
        return self if tail is None else LooseParts(generator=tail, clusters=self.clusters, rearranger=self.rearranger)

    @torch.inference_mode()
    def proxy_of(self, seeds: Sequence[int], truncation: float) -> ProxyMask:
        """Read the proxy masks of plain samples."""
        return ProxyMask(probs=self.recall(seeds, truncation).memory.own)

    @torch.inference_mode()
    def synthesize_proxy(self, proxy: ProxyMask, seeds: Sequence[int], truncation: float) -> torch.Tensor:
        """Rearrange the samples of `seeds` to the given proxy masks: images [B, 3, H, W]."""
        style = self.recall(seeds, truncation)
        return render(self, proxy, style.memory, style.ws)

    @torch.inference_mode()
    def synthesize(
        self,
        condition: Condition | Drawings | None,
        seeds: Sequence[int],
        *,
        truncation: float,
        strength: float,
        photo: Inversion | StyleRows | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Make pictures.

        Args:
            condition: of one drawing for all seeds, or of one a seed; `None` gives plain samples.
            seeds: one a picture.
            truncation: psi.
            strength: 0 keeps the samples' own arrangement, 1 follows the drawing.
            photo: an inverted photograph, or style rows, whose style all pictures take; `None` takes those of the seeds.

        Returns:
            Images [B, 3, H, W] and the milliseconds of every hop.
        """
        clock = Clock(self.device)
        style = self.recall(seeds, truncation) if photo is None else self.recall_photo(photo, len(seeds))
        parts: GrowingParts = self if photo is None else self.with_tail(photo.tail)
        if style.tail is not None:
            parts = StyledParts(generator=style.tail, clusters=self.clusters, rearranger=self.rearranger)
        clock.lap("style")
        if condition is None or strength == 0.0:
            return style.images.clone(), clock.timings
        drawings = self.complete_scribbles(_as_drawings(condition))
        proxy = self.map_condition(drawings, style, strength)
        clock.lap("proxy")
        features, current = rearrange(parts, proxy, style.memory, style.ws, self.bias_by_class(drawings, style))
        clock.lap("rearrange")
        images = complete(parts, features, current, proxy, style.memory, style.ws)
        clock.lap("generate")
        return images, clock.timings

    def complete_scribbles(self, drawings: Drawings) -> Drawings:
        """Put whole masks in the place of scribbles, where the model has a network that completes them."""
        return Drawings(conditions=tuple(self._complete(one) for one in drawings.conditions), weights=drawings.weights)

    def map_condition(self, condition: Condition | Drawings, style: Style, strength: float = 1.0) -> ProxyMask:
        """Map drawings to a proxy mask; places that no drawing decides keep the style sample's own."""
        drawings = _as_drawings(condition)
        parts = [self.read_condition(one, style) for one in drawings.conditions]
        drawn, covered = blend_drawings(parts, drawings.weights)
        if strength == 1.0 and bool((covered == 1).all()):  # nothing is left to the sample, the usual case while a pen moves
            return ProxyMask(probs=drawn)
        return ProxyMask(probs=blend_proxies(drawn, style.memory.own, covered * strength))

    def bias_by_class(self, drawings: Drawings, style: Style) -> torch.Tensor | None:
        """Keep a photograph's classes to themselves where the drawing has classes; `None` for samples and for lines."""
        if not style.kept or drawings.labels is None:
            return None
        return class_bias(self.rearranger, whole_labels(drawings.labels, style.labels), style.labels, self.mapper.config.num_labels)

    def read_condition(self, condition: Condition, style: Style) -> tuple[torch.Tensor, torch.Tensor]:
        """Read what a drawing wants, [B, K, h, w], and how far it decides every place, [B, 1, h, w] in [0, 1]."""
        given, count = condition.map.to(self.device), style.ws.shape[0]
        if condition.kind == EXEMPLAR or condition.kind in self.drawing_mappers:
            mapper = None if condition.kind == EXEMPLAR else self.drawing_mappers[condition.kind]
            probs = mapper.read(given, style.leaning).probs if isinstance(mapper, DrawingMapper) else given.expand(count, -1, -1, -1)
            return probs, torch.ones_like(probs[:, :1])
        whole, painted = fill_unpainted(given.expand(count, -1, -1, -1), style.labels)
        probs = self.mapper.read(whole, style.leaning).probs
        wanted = whole.argmax(dim=1) if condition.labels is None else whole_labels(condition.labels, style.labels)
        changed = changed_places(wanted, style.labels, PHOTO_MARGIN if style.kept else MARGIN, probs.shape[-1])
        return probs, changed * nn.functional.adaptive_avg_pool2d(painted, probs.shape[-1])

    def _complete(self, condition: Condition) -> Condition:
        if condition.kind not in self.drawing_mappers:
            return condition
        mapper = self.drawing_mappers[condition.kind]
        if not isinstance(mapper, DrawingMapper) or not mapper.config.completes:
            return condition
        labels = mapper.complete(condition.map.to(self.device))
        return Condition(kind="mask", map=whole_mask(labels, self.mapper.config.num_labels), labels=labels)

    def _store(self, fresh: Mapping[Key, Style], used: Sequence[Key]) -> None:
        for key, style in fresh.items():
            if key not in self._cache:
                self._cache[key] = style
                self._cache_bytes += _num_bytes(style)
        for key in used:
            if key in self._cache:
                self._cache.move_to_end(key)
        while self._cache_bytes > CACHE_BYTES and len(self._cache) > len(set(used)):
            _, old = self._cache.popitem(last=False)
            self._cache_bytes -= _num_bytes(old)


def _as_drawings(condition: Condition | Drawings) -> Drawings:
    return condition if isinstance(condition, Drawings) else Drawings(conditions=(condition,), weights=(1.0,))


def latents(seeds: Sequence[int], z_dim: int) -> torch.Tensor:
    """Draw the latents of seeds [B, D] as the official tools do, on the CPU, one seed at a time."""
    rows = [np.random.RandomState(seed).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate(rows)).float()


@torch.no_grad()
def prepare_style(engine: RearrangeEngine, z: torch.Tensor, truncation: float) -> Style:
    """Run plain samples [B, D] once and keep what any drawing on them will need."""
    return prepare_rows(engine, engine.generator.map(z, psi=truncation), engine.reader)


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


def whole_labels(drawn: torch.Tensor | None, own_labels: torch.Tensor) -> torch.Tensor:
    """The class of every place: as drawn, and the sample's own where nothing is; int64 [B, H, W]."""
    if drawn is None:
        return own_labels
    labels = drawn.to(own_labels.device).expand_as(own_labels)
    return torch.where(labels == UNPAINTED, own_labels, labels)


def changed_places(wanted: torch.Tensor, own_labels: torch.Tensor, margin: int, size: int) -> torch.Tensor:
    """Where labels say another class than the sample's own, both int64 [B, H, W], and around it: float [B, 1, size, size].

    `margin` is the part of the picture that a change reaches further: 64 = a 64th.
    """
    reach = size // margin
    other = nn.functional.max_pool2d((wanted != own_labels)[:, None].float(), own_labels.shape[-1] // size)
    across = nn.functional.max_pool2d(other, (1, 2 * reach + 1), stride=1, padding=(0, reach))
    return nn.functional.max_pool2d(across, (2 * reach + 1, 1), stride=1, padding=(reach, 0))


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


def fold_tail(parts: RearrangingParts, style: Style) -> Style:
    """Add the blocks behind the cut with this single style folded in, where that pays."""
    cut = parts.rearranger.config.resolution
    return replace(style, tail=StyledTail(parts.generator, style.ws, cut)) if folds(parts.generator, cut) else style


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


def _pick(style: Style, i: int) -> Style:
    """One sample of a batch, in memory of its own."""
    return _map_style([style], lambda parts: parts[0][i : i + 1].clone())


def _join(styles: Sequence[Style]) -> Style:
    return styles[0] if len(styles) == 1 else _map_style(styles, torch.cat)


def _map_style(styles: Sequence[Style], merge: Callable[[list[torch.Tensor]], torch.Tensor]) -> Style:
    memories = [style.memory for style in styles]
    features = [memory.features for memory in memories]
    joined = Features(map=merge([f.map for f in features]), rgb=merge([f.rgb for f in features]))
    tensors = {f.name: merge([getattr(m, f.name) for m in memories]) for f in fields(StyleMemory) if f.name != "features"}
    memory = StyleMemory(features=joined, **tensors)
    ws, images, labels, leaning = (merge([getattr(style, name) for style in styles]) for name in ("ws", "images", "labels", "leaning"))
    return Style(memory=memory, ws=ws, images=images, labels=labels, leaning=leaning, kept=styles[0].kept)


def _num_bytes(style: Style) -> int:
    memory = style.memory
    tensors = [style.ws, style.images, style.labels, memory.features.map, memory.features.rgb]
    tensors += [memory.own, memory.keys, memory.values, memory.prototypes]
    return sum(t.numel() * t.element_size() for t in tensors) + (0 if style.tail is None else style.tail.num_bytes)


class Clock:
    """Milliseconds between laps, the device's work included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.timings: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.timings[name] = (now - self.last) * 1000
        self.last = now
