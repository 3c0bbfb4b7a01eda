"""Sizes and first values of clusters and rearranger, fitted to a generator."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json
from sisgen.nets.segmenter import Segmenter
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig, fit_clusters
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig, cluster_sums
from sisgen.train.checkpoints import generator_sha256, load_part
from sisgen.train.proxies import collect_features, collect_labelled
from sisgen.train.release import revision_of

log = logging.getLogger(__name__)
TOKEN_JITTER = 0.1  # by how much the keys of a cluster's tokens differ at first


@torch.no_grad()
def start_tokens(rearranger: Rearranger, generator: StyleGAN2, clusters: FeatureClusters, z: torch.Tensor) -> None:
    """Set the prototype tokens to the cluster means over plain samples, and their keys to what the query makes of a pure cluster."""
    sizes = rearranger.config
    sums = {size: torch.zeros([], device=z.device) for size in (sizes.resolution, sizes.fine_resolution)}
    cells = dict(sums)
    for part in z.split(16):
        found = generator.hypercolumn(generator.map(part, psi=0.8), largest=max(*sums, *clusters.config.sources))
        steps = {step.resolution: step for step in found}
        own = clusters({size: step.map for size, step in steps.items()}).probs
        for size in sums:
            total, mass = cluster_sums(steps[size], own)
            total = total - mass * rearranger.base(steps[size])[:, None]
            sums[size], cells[size] = sums[size] + total.sum(dim=0), cells[size] + mass.sum(dim=0)
    for size, head in ((sizes.resolution, rearranger.tokens), (sizes.fine_resolution, rearranger.fine_tokens)):
        head.mean.copy_((sums[size] / cells[size].clamp_min(1e-3))[:, None].expand(head.shape))
    grid = clusters.config.resolution
    pure = torch.eye(sizes.num_clusters, device=z.device)[:, :, None, None].expand(-1, -1, grid, grid)
    middle = sizes.resolution // 2
    keys = rearranger.query(pure)[:, :, middle, middle]  # [K, d]
    jitter = 1 + TOKEN_JITTER * rearranger.token_keys  # a new rearranger's are normal; without it a cluster's tokens would stay alike
    rearranger.token_keys.copy_(keys[:, None] * jitter)


def proxy_config(generator: StyleGAN2, sources: Sequence[int], num_clusters: int) -> ProxyConfig:
    """Fit a `ProxyConfig` to a generator."""
    channels = sum(generator.config.channels[str(size)] for size in sources)
    dims = min(24, channels)
    return ProxyConfig(
        resolution=max(sources), sources=tuple(sources), channels=channels, dims=dims, num_clusters=num_clusters, shares=True
    )


def rearranger_config(generator: StyleGAN2, proxy: ProxyConfig, resolution: int) -> RearrangerConfig:
    """Fit a `RearrangerConfig` to a generator and its clusters."""
    return RearrangerConfig(
        resolution=resolution,
        channels=generator.config.channels[str(resolution)],
        fine_resolution=proxy.resolution,
        fine_channels=generator.config.channels[str(proxy.resolution)],
        num_clusters=proxy.num_clusters,
        proxy_resolution=proxy.resolution,
        w_dim=generator.config.w_dim,
        relative_tokens=True,
    )


def fit_generator(
    generator: StyleGAN2,
    proxy: ProxyConfig,
    *,
    samples: int = 512,
    seed: int = 0,
    before: FeatureClusters | None = None,
    segmenter: Segmenter | None = None,
) -> FeatureClusters:
    """Fit clusters to the features of plain samples.

    Args:
        generator: whose features.
        proxy: which of them, and how many clusters.
        samples: how many are looked at.
        seed: of the places that are, and of k-means.
        before: earlier clusters, which keep their numbers; `None` begins anew.
        segmenter: reads the classes that clusters shall keep to; `None` goes by the features alone.
    """
    z = latents(range(samples), generator.config.z_dim).to(generator.mapping.w_avg.device)
    if segmenter is None:
        return fit_clusters(proxy, collect_features(generator, proxy, z, seed=seed), seed=seed, before=before)
    rows, classes = collect_labelled(generator, segmenter, proxy, z, seed=seed)
    return fit_clusters(proxy, rows, seed=seed, before=before, classes=classes, samples=samples)


def start_rearranger(
    sizes: RearrangerConfig, generator: StyleGAN2, clusters: FeatureClusters, *, warm_from: Path | None, seed: int = 0
) -> Rearranger:
    """Make a rearranger ready for training: that of the model folder `warm_from`, or a new one for `None`."""
    device = clusters.tau.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rearranger = Rearranger(sizes).to(device)
    if warm_from is not None:
        load_part(warm_from, "rearranger", rearranger)
    else:
        start_tokens(rearranger, generator, clusters, latents(range(128), generator.config.z_dim).to(device))
    return rearranger


def carry_clusters(
    model: Path, generator: StyleGAN2, *, samples: int = 512, seed: int = 0, segmenter: Segmenter | None = None
) -> FeatureClusters:
    """Load a model's clusters, and bring them to its generator where that changed since the rearranger was fitted; see `fit_generator`."""
    clusters = load_clusters(model)
    fitted_to = generator_of_rearranger(read_json(model / "config.json"))
    if fitted_to is None or fitted_to == generator_sha256(model):
        return clusters
    log.info("The generator changed since the clusters were fitted: they follow it.")
    proxy = replace(clusters.config, shares=True)
    return fit_generator(generator, proxy, samples=samples, seed=seed, before=clusters, segmenter=segmenter)


def generator_of_rearranger(content: Mapping[str, Any]) -> str | None:
    """Give the checksum of the generator that a model's rearranger was fitted to; `None` where that is not known.

    Models of before this was noted: their revision names the files of their release, whose parts belong together.
    """
    noted = content.get("training", {}).get("rearranger", {}).get("fitted_to")
    if noted is None and content.get("revision") == revision_of(content["files"]):
        noted = content["files"]["generator.safetensors"]
    return noted if isinstance(noted, str) else None


def load_clusters(model: Path) -> FeatureClusters:
    """Load a model's clusters."""
    config = from_dict(ProxyConfig, read_json(model / "config.json").get("proxy", {}), where=f"The proxy of '{model}'")
    clusters = FeatureClusters(config)
    load_part(model, "proxy", clusters)
    return clusters
