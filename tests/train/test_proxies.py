"""What adaptation makes from samples: styles, rows for k-means, warps."""

from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig
from sisgen.train.checkpoints import load_generator
from sisgen.train.proxies import WarpConfig, collect_features, collect_labelled, draw_ws, warp_grid, warp_maps
from sisgen.train.segmenter import load_segmenter

STILL = WarpConfig(p_flip=0.0, rotation=0.0, scale=0.0, shift=0.0, elastic=0.0, bulge=0.0)
PROXY = ProxyConfig(resolution=16, sources=(8, 16), channels=16, dims=6, num_clusters=5)


def sources(num: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(first, first + num)]


def test_a_warp_by_nothing_is_the_identity() -> None:
    maps = torch.rand(3, 4, 16, 16)
    assert torch.allclose(warp_maps(maps, warp_grid(sources(3), 16, STILL)), maps, atol=1e-5)
    assert torch.allclose(warp_maps(maps, warp_grid(sources(3), 32, STILL)), maps, atol=1e-5)  # a finer grid is brought down


def test_a_flip_is_a_flip() -> None:
    maps = torch.rand(2, 4, 16, 16)
    assert torch.allclose(warp_maps(maps, warp_grid(sources(2), 16, replace(STILL, p_flip=1.0))), maps.flip(3), atol=1e-5)


def test_proxy_and_mask_move_together() -> None:
    """A disc drawn at both resolutions stays one disc: the finer one, pooled, is the coarser one."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    mask = ((x - 0.25).square() + (y + 0.2).square() < 0.3).float()[None, None].repeat(8, 1, 1, 1)
    proxy = F.adaptive_avg_pool2d(mask, 16)
    grid = warp_grid(sources(8), 64, WarpConfig())
    fine, coarse = warp_maps(mask, grid), warp_maps(proxy, grid)
    apart = (F.adaptive_avg_pool2d(fine, 16) - coarse).abs().mean(dim=(1, 2, 3))
    moved = (coarse - proxy).abs().mean(dim=(1, 2, 3))
    assert float(apart.max()) < 0.03
    assert float(moved.median()) > 2 * float(apart.median())  # while it really moved


def test_a_warp_keeps_probabilities_and_does_not_depend_on_its_batch() -> None:
    probs = torch.rand(4, 5, 16, 16).softmax(dim=1)
    warped = warp_maps(probs, warp_grid(sources(4), 16, WarpConfig()))
    assert torch.allclose(warped.sum(dim=1), torch.ones(4, 16, 16), atol=1e-5)
    alone = warp_maps(probs[2:3], warp_grid(sources(1, first=2), 16, WarpConfig()))
    assert torch.allclose(alone, warped[2:3], atol=1e-6)
    assert not torch.allclose(warped, probs, atol=0.05)


def test_styles_are_truncated_between_a_half_and_one(tiny_generator: StyleGAN2) -> None:
    ws = draw_ws(tiny_generator, sources(64))
    assert ws.shape == (64, tiny_generator.config.num_ws, 8)
    full = tiny_generator.map(torch.stack([torch.randn(8, generator=g) for g in sources(64)]))
    mean = tiny_generator.mapping.w_avg
    psi = ((ws - mean).norm(dim=2) / (full - mean).norm(dim=2))[:, 0]
    assert 0.5 <= float(psi.min()) < 0.6 and 0.9 < float(psi.max()) <= 1.0
    assert torch.allclose(draw_ws(tiny_generator, sources(1, first=9)), ws[9:10], atol=1e-5)


def test_every_sample_gives_the_same_number_of_rows(tiny_generator: StyleGAN2) -> None:
    z = latents(range(20), 8)
    rows = collect_features(tiny_generator, PROXY, z, cells=10)
    assert rows.shape == (200, 16)
    assert torch.equal(rows, collect_features(tiny_generator, PROXY, z, cells=10))
    assert not torch.equal(rows, collect_features(tiny_generator, PROXY, z, cells=10, seed=1))
    # A sample's own mean was subtracted, so that many of its rows come near zero on average.
    many = collect_features(tiny_generator, PROXY, z[:1], cells=5000)
    assert float(many.mean(dim=0).abs().max()) < 0.1 * float(many.std())


def test_classes_belong_to_the_rows_of_features(complete: Path) -> None:
    """Of every place that was drawn, the class is the one that most of its pixels have."""
    generator, (segmenter, label_set) = load_generator(complete), load_segmenter(complete)
    proxy, z = replace(PROXY, shares=True), latents(range(3), 8)
    rows, classes = collect_labelled(generator, segmenter, proxy, z, cells=50, seed=4)
    assert torch.equal(rows, collect_features(generator, proxy, z, cells=50, seed=4))
    steps = generator.hypercolumn(generator.map(z, psi=0.8))
    joined = FeatureClusters(proxy).join(steps)  # [B, C, h, w]
    probs = segmenter([step.map for step in steps if step.resolution <= segmenter.resolution]).softmax(dim=1)
    labels = F.adaptive_avg_pool2d(probs, 16).argmax(dim=1)
    for i in range(3):
        places = torch.cdist(rows[50 * i : 50 * (i + 1)], joined[i].flatten(1).t()).argmin(dim=1)
        assert torch.equal(classes[50 * i : 50 * (i + 1)], labels[i].flatten()[places])
    assert len(classes.unique()) > 1 and int(classes.max()) < len(label_set)
