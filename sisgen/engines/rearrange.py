"""The engine of SIS-UG: mapper, rearranger and the cut generator, wired, with everything cached that a drawing does not change."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sisgen.conditions.exemplar import EXEMPLAR
from sisgen.editing.styles import StyleRows
from sisgen.engines.drawings import Drawings, blend_drawings
from sisgen.engines.parts import GrowingParts, LooseParts, RearrangingParts, StyledParts, complete, rearrange, render
from sisgen.engines.styles import Key, Style, StyleCache, fold_tail, join_styles, pick_style, prepare_rows, prepare_style
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder
from sisgen.inversion.inversion import Inversion
from sisgen.nets.reader import Reader
from sisgen.proxy.clusters import FeatureClusters
from sisgen.proxy.drawing_mapper import DrawingMapper
from sisgen.proxy.mapper import MaskMapper, blend_proxies, fill_unpainted, whole_mask
from sisgen.rearrange.classes import class_bias
from sisgen.rearrange.rearranger import Rearranger
from sisgen.shapes import UNPAINTED
from sisgen.types import Condition, ProxyMask

MARGIN = 18  # a changed place reaches an 18th of the picture further: parts move with what is around them
PHOTO_MARGIN = 64  # on photographs, of which as much as possible stays


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
        self.styles = StyleCache()

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
        keys = [(seed, truncation) for seed in seeds]
        missing = [seed for seed, known in dict(zip(seeds, self.styles.find(keys))).items() if known is None]
        fresh: dict[Key, Style] = {}
        if missing:
            for z in latents(missing, self.generator.config.z_dim).to(self.device).split(self.generator.config.at_once):
                made = prepare_style(self, self.reader, z, truncation)
                fresh |= {(missing[len(fresh) + i], truncation): fold_tail(self, pick_style(made, i)) for i in range(len(z))}
        styles = [fresh.get(key, known) for key, known in zip(keys, self.styles.find(keys))]
        self.styles.keep(fresh, keys)
        if any(style is None for style in styles):  # another visitor's styles pushed ours out in between
            return self.recall(seeds, truncation)
        return join_styles([style for style in styles if style is not None])

    def recall_photo(self, inversion: Inversion | StyleRows, count: int = 1) -> Style:
        """Prepare a photograph or style rows as the style of `count` pictures, or take it from the cache."""
        key = (inversion.key, 1.0)
        (style,) = self.styles.find([key])
        if style is None:
            ws = inversion.ws.to(self.device)
            labels = None if inversion.labels is None else inversion.labels.to(self.device)
            parts = self.with_tail(inversion.tail)
            style = fold_tail(parts, prepare_rows(parts, ws, self.reader, labels))
        self.styles.keep({key: style}, [key])
        return join_styles([style] * count)

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
        drawings = self.complete_drawings(_as_drawings(condition))
        proxy = self.map_condition(drawings, style, strength)
        clock.lap("proxy")
        features, current = rearrange(parts, proxy, style.memory, style.ws, self.bias_by_class(drawings, style))
        clock.lap("rearrange")
        images = complete(parts, features, current, proxy, style.memory, style.ws)
        clock.lap("generate")
        return images, clock.timings

    def complete_drawings(self, drawings: Drawings) -> Drawings:
        """Put whole masks in the place of scribbles and depth, where the model has a network that completes them."""
        return Drawings(conditions=tuple(self._complete(one) for one in drawings.conditions), weights=drawings.weights)

    def map_condition(self, condition: Condition | Drawings, style: Style, strength: float = 1.0) -> ProxyMask:
        """Map drawings to a proxy mask; places that no drawing decides keep the style sample's own.

        A pen's stroke decides few rows, and the mask mapper is asked for these alone.
        """
        drawings, own = _as_drawings(condition), style.memory.own
        given = [self.complete_condition(one, style) for one in drawings.conditions]
        rows = covered_rows([covered for _, covered in given], self.mapper.scale)
        if rows.start == rows.stop:
            return ProxyMask(probs=own)
        parts = [
            (self.read_condition(one.kind, drawing, style, rows), covered[:, :, rows])
            for one, (drawing, covered) in zip(drawings.conditions, given)
        ]
        drawn, covered = blend_drawings(parts, drawings.weights)
        if strength < 1.0 or not bool((covered == 1).all()):
            drawn = blend_proxies(drawn, own[:, :, rows], covered * strength)
        if drawn.shape == own.shape:
            return ProxyMask(probs=drawn)
        probs = own.clone()  # of its layout, which a concatenation does not keep
        probs[:, :, rows] = drawn
        return ProxyMask(probs=probs)

    def bias_by_class(self, drawings: Drawings, style: Style) -> torch.Tensor | None:
        """Keep a photograph's classes to themselves where the drawing has classes; `None` for samples and for lines."""
        if not style.kept or drawings.labels is None:
            return None
        return class_bias(self.rearranger, whole_labels(drawings.labels, style.labels), style.labels, self.mapper.config.num_labels)

    def complete_condition(self, condition: Condition, style: Style) -> tuple[torch.Tensor, torch.Tensor]:
        """Complete a drawing from the style samples, and find how far it decides every place.

        Returns:
            The drawing [B, C, H, W], lines for all samples [1, C, H, W], and the shares [B, 1, h, w] in [0, 1].
        """
        own, size, given = style.labels, style.memory.own.shape[-1], condition.map.to(self.device)
        if condition.kind == EXEMPLAR or condition.kind in self.drawing_mappers:
            return given, given.new_ones(len(own), 1, size, size)
        whole, painted = fill_unpainted(given.expand(len(own), -1, -1, -1), own)
        labels = whole.argmax(dim=1) if condition.labels is None else condition.labels.to(self.device)
        wanted = labels if painted is None else whole_labels(labels, own)
        changed = changed_places(wanted, own, PHOTO_MARGIN if style.kept else MARGIN, size)
        return whole, changed if painted is None else changed * nn.functional.adaptive_avg_pool2d(painted, size)

    def read_condition(self, kind: str, drawing: torch.Tensor, style: Style, rows: slice) -> torch.Tensor:
        """Read what a completed drawing [B, C, H, W] wants in these rows of the proxy grid: probabilities [B, K, rows, w]."""
        if kind == EXEMPLAR:
            return drawing[:, :, rows].expand(len(style.ws), -1, -1, -1)
        if kind in self.drawing_mappers and isinstance(mapper := self.drawing_mappers[kind], DrawingMapper):
            return mapper.read(drawing, style.leaning).probs[:, :, rows]
        return self.mapper.read(drawing, style.leaning, rows).probs

    def _complete(self, condition: Condition) -> Condition:
        if condition.kind not in self.drawing_mappers:
            return condition
        mapper = self.drawing_mappers[condition.kind]
        if not isinstance(mapper, DrawingMapper) or not mapper.config.completes:
            return condition
        labels = mapper.complete(condition.map.to(self.device))
        return Condition(kind="mask", map=whole_mask(labels, self.mapper.config.num_labels), labels=labels)


def _as_drawings(condition: Condition | Drawings) -> Drawings:
    return condition if isinstance(condition, Drawings) else Drawings(conditions=(condition,), weights=(1.0,))


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
    reach, fold = size // margin, own_labels.shape[-1] // size
    changed = _any_shift(wanted != own_labels, range(fold), fold)
    near = _any_shift(nn.functional.pad(changed, (reach,) * 4), range(2 * reach + 1), 1)
    return near[:, None].float()


def _any_shift(places: torch.Tensor, shifts: range, step: int) -> torch.Tensor:
    """Whether any of the shifted copies of bool [B, H, W] is true, every `step`-th place: several times faster than pooling on a CPU."""
    height, width = (side - shifts[-1] for side in places.shape[1:])
    rows = functools.reduce(torch.logical_or, (places[:, i : i + height : step] for i in shifts))
    return functools.reduce(torch.logical_or, (rows[:, :, i : i + width : step] for i in shifts))


def covered_rows(covered: Sequence[torch.Tensor], step: int) -> slice:
    """Rows of maps [B, 1, h, w] where any of them is not 0: the shortest run of all of them, of multiples of `step`, which divides h."""
    found = torch.stack([one.amax(dim=(0, 1, 3)) for one in covered]).amax(dim=0).nonzero().flatten().tolist()
    return slice(found[0] // step * step, found[-1] // step * step + step) if found else slice(0, 0)


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
