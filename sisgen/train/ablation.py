"""Which features to cluster, and into how many clusters: chosen by how purely clusters own classes, before anything is trained.

Every cluster is given the class that most of its cells have; scored as a segmentation, that is the most a mapper can reach with these
clusters. A class that no cluster owns cannot be drawn at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.errors import InputError
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.reader import Reader
from sisgen.proxy.clusters import FeatureClusters, count_classes, fit_clusters, purity
from sisgen.train.fitting import proxy_config
from sisgen.train.proxies import collect_features
from sisgen.types import LabelSet

NOTICEABLE = 0.003  # share of the area from which on a class should own a cluster
CHUNK = 8  # pictures at once


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyAblationConfig:
    """What is compared, on how many samples."""

    sources: tuple[tuple[int, ...], ...] = ()  # feature resolutions that are joined; empty takes those around a quarter of the picture
    clusters: tuple[int, ...] = (16, 24, 32, 48)  # values of K
    samples: int = 64  # pictures that are scored; k-means does not see them
    fit_samples: int = 256  # pictures that k-means sees
    psi: float = 0.8  # truncation of both
    seed: int = 0  # of k-means


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyScore:
    """How purely the clusters of one choice own classes.

    Attributes:
        sources: feature resolutions that were joined.
        num_clusters: K.
        miou: mean IoU in percent, over the classes that occur.
        per_class: class name -> IoU in percent, for the classes that occur.
        unowned: classes of a noticeable area that own no cluster.
    """

    sources: tuple[int, ...]
    num_clusters: int
    miou: float
    per_class: Mapping[str, float]
    unowned: tuple[str, ...]


def ablate_proxy(
    generator: StyleGAN2,
    reader: Reader,
    label_set: LabelSet,
    config: ProxyAblationConfig,
    advance: Callable[[int], object] = lambda pictures: None,
) -> tuple[list[ProxyScore], dict[str, float]]:
    """Fit clusters for every choice and score them on samples that k-means did not see.

    Args:
        generator: whose features are clustered.
        reader: gives the classes of the samples' pictures.
        label_set: what its outputs mean.
        config: what is compared.
        advance: called with the number of pictures that were just made.

    Returns:
        One score a choice, and the share of the area in percent of every class.

    Raises:
        InputError: the generator has no such resolution, or a number of clusters is impossible.
    """
    choices = config.sources or default_sources(generator.config.resolution)
    for size in {size for sources in choices for size in sources}:
        if size not in generator.config.resolutions:
            allowed = ", ".join(map(str, generator.config.resolutions))
            raise InputError(f"Features can be taken at {allowed}, but {size} was asked for; take one of these.")
    z = latents(range(config.fit_samples + config.samples), generator.config.z_dim).to(generator.mapping.w_avg.device)
    seen, unseen = z[: config.fit_samples], z[config.fit_samples :]
    labels = _read(generator, reader, unseen, config.psi)
    area = torch.bincount(labels.flatten(), minlength=len(label_set)) / labels.numel()  # [L]

    scores = []
    for sources in choices:
        rows = collect_features(generator, proxy_config(generator, sources, 1), seen, psi=config.psi, seed=config.seed)
        fitted = [fit_clusters(proxy_config(generator, sources, k), rows, seed=config.seed).to(z.device) for k in config.clusters]
        counts = _count(generator, fitted, unseen, labels, config.psi, len(label_set))
        scores += [_score(sources, part, area, label_set) for part in counts]
        advance(len(z))
    return scores, {name: 100 * float(share) for name, share in zip(label_set.names, area)}


def default_sources(resolution: int) -> tuple[tuple[int, ...], ...]:
    """Name the usual choices: a quarter and half of the picture's resolution, alone and together, and the step below."""
    eighth, quarter, half = (max(resolution // part, 4) for part in (8, 4, 2))
    choices = ((quarter,), (half,), (eighth, quarter), (quarter, half))
    return tuple(dict.fromkeys(tuple(sorted(set(choice))) for choice in choices))


def choose(scores: list[ProxyScore]) -> ProxyScore:
    """Choose where the fewest classes go without a cluster, and among those the purest."""
    return min(scores, key=lambda score: (len(score.unowned), -score.miou))


def shrink_labels(labels: torch.Tensor, size: int, num_labels: int) -> torch.Tensor:
    """Bring labels [B, H, W] to [B, size, size] by the class that covers most of each cell."""
    if labels.shape[-1] == size:
        return labels
    shares = F.adaptive_avg_pool2d(F.one_hot(labels, num_labels).permute(0, 3, 1, 2).float(), size)  # [B, L, h, w]
    return shares.argmax(dim=1)


@torch.no_grad()
def _read(generator: StyleGAN2, reader: Reader, z: torch.Tensor, psi: float) -> torch.Tensor:
    """Classes of the samples' pictures [n, H, W]."""
    return torch.cat([reader.read(generator(generator.map(part, psi=psi)).clamp(-1, 1)) for part in z.split(CHUNK)])


@torch.no_grad()
def _count(
    generator: StyleGAN2, fitted: list[FeatureClusters], z: torch.Tensor, labels: torch.Tensor, psi: float, num_labels: int
) -> list[torch.Tensor]:
    """Cells of every cluster and class [K, L], for several clusterings of the same features."""
    totals = [torch.zeros(one.config.num_clusters, num_labels, dtype=torch.int64) for one in fitted]
    for part, truth in zip(z.split(CHUNK), labels.split(CHUNK)):
        steps = generator.hypercolumn(generator.map(part, psi=psi))
        joined = fitted[0].join(steps)
        cells = shrink_labels(truth, joined.shape[-1], num_labels)
        for total, one in zip(totals, fitted):
            total += count_classes(one.membership(one.whiten(joined)), cells, num_labels).cpu()
    return totals


def _score(sources: tuple[int, ...], counts: torch.Tensor, area: torch.Tensor, label_set: LabelSet) -> ProxyScore:
    iou, owner = purity(counts)
    owning = {int(label) for label, cells in zip(owner, counts.sum(dim=1)) if cells > 0}
    per_class = {name: 100 * float(iou[i]) for i, name in enumerate(label_set.names) if area[i] > 0}
    return ProxyScore(
        sources=tuple(sources),
        num_clusters=len(counts),
        miou=sum(per_class.values()) / len(per_class),
        per_class=per_class,
        unowned=tuple(name for i, name in enumerate(label_set.names) if area[i] >= NOTICEABLE and i not in owning),
    )
