"""Styles by region: the hair of one picture, the skin of another, in one drawing.

Keys and values of all sources stand side by side in one attention. A place whose class belongs to a source sees the tokens of that
source alone, by a bias of log(share): within a region this is the plain attention on that source, on a border both count by their
shares. Prototypes of the refinement are chosen in the same way.

The layers behind the cut take one style for the whole picture, so they cannot be split by region: they run once a source over the
shared features, and what they give is blended by region. Time grows with the number of sources.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.engines.checks import check_seeds
from sisgen.engines.drawings import Drawings
from sisgen.engines.parts import RearrangingParts
from sisgen.engines.rearrange import Clock, RearrangeEngine, whole_labels
from sisgen.engines.styles import Style
from sisgen.errors import InputError
from sisgen.inversion.inversion import Inversion
from sisgen.rearrange.rearranger import Rearranger, agreement
from sisgen.types import Features, ProxyMask

MOST = 4  # sources besides the base
SEAM = 32  # regions melt into each other over a 32nd of the picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Regions:
    """Which classes take whose style.

    Attributes:
        sources: class name -> a photograph or a seed.
        base: for all other classes; `None` = the seeds of the call.
    """

    sources: Mapping[str, Inversion | int]
    base: Inversion | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One style with the parts that draw it."""

    style: Style
    parts: RearrangingParts


def check_regions(regions: Regions, names: Sequence[str]) -> None:
    """Check classes, number of sources and seeds; photographs are checked by who knows the model's sizes.

    Raises:
        InputError: no such class, too many sources, or no such seed.
    """
    unknown = [name for name in regions.sources if name not in names]
    if unknown:
        raise InputError(f"Regions must be classes of {', '.join(names)}, but {str(unknown[0])[:40]!r} came; name one of them.")
    count = len(set(regions.sources.values()))
    if count > MOST:
        raise InputError(f"At most {MOST} styles go into one picture, but {count} came; leave some out.")
    for source in regions.sources.values():
        if not isinstance(source, Inversion):
            check_seeds([source])


@torch.inference_mode()
def synthesize_regions(
    engine: RearrangeEngine,
    drawings: Drawings | None,
    seeds: Sequence[int],
    regions: Regions,
    names: Sequence[str],
    *,
    truncation: float,
    strength: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Make pictures whose classes take different styles; see `RearrangeEngine.synthesize`.

    Args:
        engine: the model's parts.
        drawings: `None` keeps the base's own arrangement.
        seeds: one a picture.
        regions: which classes take whose style.
        names: the model's classes.
        truncation: psi of all seeds.
        strength: 0 keeps the base's arrangement, 1 follows the drawing.

    Returns:
        Images [B, 3, H, W] and the milliseconds of every hop.
    """
    clock = Clock(engine.device)
    chosen = list(dict.fromkeys(regions.sources.values()))  # inversions are told apart by themselves
    sources = [_recall(engine, regions.base, seeds, truncation)] + [_recall(engine, one, seeds, truncation) for one in chosen]
    base = sources[0].style
    clock.lap("style")

    owners = torch.zeros(len(names), dtype=torch.int64, device=engine.device)  # class -> source
    for name, one in regions.sources.items():
        owners[list(names).index(name)] = 1 + chosen.index(one)
    followed = None if drawings is None or strength == 0 else engine.complete_drawings(drawings)
    proxy = ProxyMask(probs=base.memory.own) if followed is None else engine.map_condition(followed, base, strength)
    labels = whole_labels(None if followed is None else followed.labels, base.labels)
    shares = soft_shares(owners[labels], len(sources))
    clock.lap("proxy")

    cut = attend_regions(engine.rearranger, proxy, [source.style for source in sources], shares)
    images = complete_regions(engine, cut, proxy, sources, shares)
    clock.lap("generate")
    return images, clock.timings


def soft_shares(owners: torch.Tensor, count: int) -> torch.Tensor:
    """Who owns every place, int64 [B, H, W] -> shares [B, N, H, W] that sum to 1 and are soft on borders."""
    hard = F.one_hot(owners, count).permute(0, 3, 1, 2).float()
    seam = 2 * (owners.shape[-1] // (2 * SEAM)) + 1
    return F.avg_pool2d(hard, seam, stride=1, padding=seam // 2, count_include_pad=False)


def attend_regions(rearranger: Rearranger, target: ProxyMask, styles: Sequence[Style], shares: torch.Tensor) -> Features:
    """Rearrange the features of several styles to one proxy mask, each within its region.

    Args:
        rearranger: of the model.
        target: wanted arrangement [B, K, h, w].
        styles: N of them, of B samples each.
        shares: [B, N, H, W].

    Returns:
        `Features` at the cut.
    """
    size = rearranger.config.resolution
    cells = F.adaptive_avg_pool2d(shares, size)  # [B, N, h, w]
    memories = [style.memory for style in styles]
    near = rearranger.attention_bias()  # [T, T + KM]
    regions = cells.flatten(2).log()  # [B, N, T], -inf where a source has no say
    bias = torch.cat([near + regions[:, n, :, None] for n in range(len(styles))], dim=2)[:, None]  # [B, 1, T, N (T + KM)]
    keys, values = (torch.cat([getattr(memory, name) for memory in memories], dim=2) for name in ("keys", "values"))
    moved = rearranger.attend(target, dataclasses.replace(memories[0], keys=keys, values=values), bias)

    # What agrees with the own arrangement of the source that owns the place stays.
    kept = [cells[:, n : n + 1] * F.adaptive_avg_pool2d(agreement(target.probs, m.own), size) for n, m in enumerate(memories)]
    features = [memory.features for memory in memories]
    rest = 1 - torch.stack(kept).sum(dim=0)
    return Features(
        map=rest * moved.map + sum(k * f.map for k, f in zip(kept, features)),
        rgb=rest * moved.rgb + sum(k * f.rgb for k, f in zip(kept, features)),
    )


def complete_regions(
    engine: RearrangeEngine, cut: Features, proxy: ProxyMask, sources: Sequence[Source], shares: torch.Tensor
) -> torch.Tensor:
    """Run the rest of the generator once a source and blend by region: images [B, 3, H, W]."""
    size = engine.rearranger.config.fine_resolution
    cells = F.adaptive_avg_pool2d(shares, size)
    grown = [source.parts.generator.advance(cut, source.style.ws, size) for source in sources]
    fine = _blend(grown, cells)
    current = engine.clusters({cut.resolution: cut.map, size: fine.map})
    fine = _blend([engine.rearranger.refine(fine, current.probs, proxy, source.style.memory) for source in sources], cells)
    images = [source.parts.generator.tail(fine, source.style.ws) for source in sources]
    if shares.shape[-1] != images[0].shape[-1]:
        shares = F.interpolate(shares, size=images[0].shape[-2:], mode="bilinear", align_corners=False)
    return torch.stack([shares[:, n : n + 1] * image for n, image in enumerate(images)]).sum(dim=0)


def _recall(engine: RearrangeEngine, source: Inversion | int | None, seeds: Sequence[int], truncation: float) -> Source:
    if isinstance(source, Inversion):
        return Source(style=engine.recall_photo(source, len(seeds)), parts=engine.with_tail(source.tail))
    chosen = list(seeds) if source is None else [source] * len(seeds)
    return Source(style=engine.recall(chosen, truncation), parts=engine)


def _blend(features: Sequence[Features], cells: torch.Tensor) -> Features:
    """Mix features [B, C, h, w] of N sources by their shares [B, N, h, w]."""
    weights = [cells[:, n : n + 1] for n in range(len(features))]
    return Features(
        map=torch.stack([w * f.map for w, f in zip(weights, features)]).sum(dim=0),
        rgb=torch.stack([w * f.rgb for w, f in zip(weights, features)]).sum(dim=0),
    )
