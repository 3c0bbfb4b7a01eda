"""Proxy masks: what k-means on features promises, and purity by hand."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.proxy.clusters import CONFIDENCE, FeatureClusters, ProxyConfig, cluster_purity, fit_clusters, share_clusters
from sisgen.train.proxies import collect_features

PROXY = ProxyConfig(resolution=16, sources=(8, 16), channels=16, dims=6, num_clusters=5)


@pytest.fixture(scope="module")
def rows(tiny_generator: StyleGAN2) -> torch.Tensor:
    return collect_features(tiny_generator, PROXY, latents(range(24), 8), cells=128)


@pytest.fixture(scope="module")
def clusters(rows: torch.Tensor) -> FeatureClusters:
    return fit_clusters(PROXY, rows)


def features(generator: StyleGAN2, num: int = 24) -> dict[int, torch.Tensor]:
    return {step.resolution: step.map for step in generator.hypercolumn(generator.map(latents(range(num), 8), psi=0.8))}


def test_memberships_are_probabilities_of_the_wanted_confidence(clusters: FeatureClusters, tiny_generator: StyleGAN2) -> None:
    probs = clusters(features(tiny_generator)).probs
    assert probs.shape == (24, 5, 16, 16)
    assert torch.allclose(probs.sum(dim=1), torch.ones(24, 16, 16), atol=1e-5) and float(probs.min()) >= 0
    assert abs(float(probs.amax(dim=1).mean()) - CONFIDENCE) < 0.02
    assert len(probs.argmax(dim=1).unique()) == 5  # every cluster is somewhere


def test_membership_is_the_softmax_of_distances(clusters: FeatureClusters) -> None:
    whitened = torch.randn(2, 6, 3, 3)
    distance = (whitened[:, None] - clusters.centroids[None, :, :, None, None]).square().sum(dim=2)  # [B, K, h, w]
    assert torch.allclose(clusters.membership(whitened), (-distance / clusters.tau).softmax(dim=1), atol=1e-5)


@pytest.mark.parametrize("sources", [(8, 16), (16, 32), (4, 8, 32)])
def test_reading_is_joining_whitening_and_membership(sources: tuple[int, ...]) -> None:
    """Coarse sources are brought to the grid late, which changes no number."""
    torch.manual_seed(0)
    clusters = FeatureClusters(replace(PROXY, sources=sources, channels=5 * len(sources)))
    clusters.whitening.normal_()
    clusters.centroids.normal_()
    clusters.tau.fill_(3.0)
    maps = {size: torch.randn(2, 5, size, size) + 2 for size in sources}
    wanted = clusters.membership(clusters.whiten(clusters.join(maps)))
    assert torch.allclose(clusters(maps).probs, wanted, atol=1e-5)
    with torch.no_grad():  # another way through the same sums
        assert torch.allclose(clusters(maps).probs, wanted, atol=1e-5)


def test_steps_and_maps_are_read_alike(clusters: FeatureClusters, tiny_generator: StyleGAN2) -> None:
    steps = tiny_generator.hypercolumn(tiny_generator.map(latents([3], 8), psi=0.8))
    assert torch.equal(clusters(steps).probs, clusters({step.resolution: step.map for step in steps}).probs)


def test_lighting_of_a_whole_sample_does_not_matter(clusters: FeatureClusters, tiny_generator: StyleGAN2) -> None:
    maps = features(tiny_generator, 2)
    lit = {size: m + 3 * torch.randn(1, m.shape[1], 1, 1) for size, m in maps.items()}
    assert torch.allclose(clusters(lit).probs, clusters(maps).probs, atol=1e-3)


def test_joined_features_are_whitened(clusters: FeatureClusters, rows: torch.Tensor) -> None:
    white = rows @ clusters.whitening.t()
    assert torch.allclose(white.t() @ white / len(white), torch.eye(6), atol=1e-2)
    assert clusters.join({8: torch.randn(1, 8, 8, 8), 16: torch.randn(1, 8, 16, 16)}).shape == (1, 16, 16, 16)


def test_a_gradient_reaches_the_features(clusters: FeatureClusters, tiny_generator: StyleGAN2) -> None:
    maps = {size: m.requires_grad_() for size, m in features(tiny_generator, 1).items() if size in PROXY.sources}
    probs = clusters(maps).probs
    F.nll_loss(probs.clamp_min(1e-8).log(), torch.zeros(1, 16, 16, dtype=torch.int64)).backward()
    assert all(m.grad is not None and bool(m.grad.abs().sum() > 0) for m in maps.values())


def test_a_seed_gives_equal_clusters(rows: torch.Tensor, clusters: FeatureClusters) -> None:
    assert torch.equal(fit_clusters(PROXY, rows).centroids, clusters.centroids)
    assert not torch.equal(fit_clusters(PROXY, rows, seed=1).centroids, clusters.centroids)


def test_clusters_of_well_separated_rows_are_found() -> None:
    source = torch.Generator().manual_seed(0)
    means = torch.tensor([[6.0, 0.0], [-6.0, 1.0], [0.0, -7.0]])
    rows = (means[:, None] + 0.2 * torch.randn(3, 200, 2, generator=source)).flatten(0, 1)
    found = fit_clusters(ProxyConfig(resolution=4, sources=(4,), channels=2, dims=2, num_clusters=3), rows)
    owner = found.membership(found.whiten(rows.t()[None, :, :, None])).argmax(dim=1).reshape(3, 200)
    assert [len(part.unique()) for part in owner] == [1, 1, 1] and len(owner.unique()) == 3


def test_clusters_keep_their_numbers_when_the_features_move(rows: torch.Tensor, clusters: FeatureClusters) -> None:
    mixing = torch.eye(16) + 0.05 * torch.randn(16, 16, generator=torch.Generator().manual_seed(1))
    moved = rows @ mixing
    followed, anew = fit_clusters(PROXY, moved, before=clusters), fit_clusters(PROXY, moved)

    def owners(fitted: FeatureClusters, of: torch.Tensor) -> torch.Tensor:
        return fitted.membership(fitted.whiten(of.t()[None, :, :, None])).argmax(dim=1).flatten()

    before = owners(clusters, rows)
    assert float((owners(followed, moved) == before).float().mean()) > 0.75
    assert float((owners(anew, moved) == before).float().mean()) < 0.6  # numbers of a k-means from scratch mean nothing
    assert not torch.equal(followed.whitening, clusters.whitening)


def test_a_cluster_that_owned_nothing_starts_where_the_others_are_far() -> None:
    config = ProxyConfig(resolution=4, sources=(4,), channels=2, dims=2, num_clusters=3)
    source = torch.Generator().manual_seed(0)
    means = torch.tensor([[6.0, 0.0], [-6.0, 1.0], [0.0, -7.0]])
    rows = (means[:, None] + 0.2 * torch.randn(3, 200, 2, generator=source)).flatten(0, 1)
    before = fit_clusters(config, rows)
    before.centroids[1] = 1e3
    found = fit_clusters(config, rows, before=before)
    owner = found.membership(found.whiten(rows.t()[None, :, :, None])).argmax(dim=1).reshape(3, 200)
    assert [len(part.unique()) for part in owner] == [1, 1, 1] and len(owner.unique()) == 3


def faint_classes() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of three classes, the second one rare: one direction of twelve tells each apart, the others are noise."""
    source = torch.Generator().manual_seed(0)
    classes = torch.tensor([0] * 900 + [1] * 60 + [2] * 900)
    means = torch.zeros(3, 12)
    means[1, 2], means[2, 3] = 5.0, -5.0
    return means[classes] + torch.randn(len(classes), 12, generator=source), classes


FAINT = ProxyConfig(resolution=4, sources=(4,), channels=12, dims=10, num_clusters=9)


def test_clusters_keep_to_classes_that_features_alone_do_not_show() -> None:
    rows, classes = faint_classes()

    def score(found: FeatureClusters) -> torch.Tensor:
        probs = found.membership(found.whiten(rows.t()[None, :, :, None]))
        return cluster_purity(probs, classes[None, :, None], 3)[0]

    kept = fit_clusters(FAINT, rows, classes=classes)
    assert float(score(fit_clusters(FAINT, rows))[1]) < 0.5 and float(score(kept)[1]) > 0.7
    assert float(score(kept).min()) > 0.7
    probs = kept.membership(kept.whiten(rows.t()[None, :, :, None]))
    assert abs(float(probs.amax(dim=1).mean()) - CONFIDENCE) < 0.02 and bool((probs.mean(dim=(0, 2, 3)) > 0.005).all())  # none died


def test_clusters_that_keep_to_classes_keep_their_numbers() -> None:
    rows, classes = faint_classes()
    before = fit_clusters(FAINT, rows, classes=classes)
    followed = fit_clusters(FAINT, rows + 0.02, before=before, classes=classes)
    owners = [found.membership(found.whiten(rows.t()[None, :, :, None])).argmax(dim=1).flatten() for found in (before, followed)]
    assert float((owners[0] == owners[1]).float().mean()) > 0.5
    classes_of = [[int(classes[owner == k].mode().values) for k in range(9)] for owner in owners]
    assert classes_of[0] == classes_of[1]


def test_clusters_are_shared_out_by_the_roots_of_the_classes() -> None:
    counts = torch.tensor([10_000, 100, 0, 2_500, 2])
    shares = share_clusters(counts, 20)
    assert shares.tolist() == [10, 3, 0, 5, 2]  # roots 100, 10, 0, 50: three for a rare class, none for what is nowhere, rows permitting
    assert share_clusters(counts, 5).tolist() == [2, 1, 0, 1, 1]  # too few for three each: one each, then the largest first


def test_every_row_needs_a_class(rows: torch.Tensor) -> None:
    with pytest.raises(InputError, match="Every row must have one class"):
        fit_clusters(PROXY, rows, classes=torch.zeros(3, dtype=torch.int64))


def test_shares_are_what_an_average_sample_has(clusters: FeatureClusters, tiny_generator: StyleGAN2) -> None:
    found = clusters(features(tiny_generator)).probs.mean(dim=(0, 2, 3))
    assert abs(float(clusters.shares.sum()) - 1) < 1e-4
    assert torch.allclose(clusters.shares, found, atol=0.02)


def test_files_of_before_shares_were_kept_say_nothing_about_them() -> None:
    old, new = FeatureClusters(PROXY), FeatureClusters(replace(PROXY, shares=True))
    assert "shares" not in old.state_dict() and "shares" in new.state_dict()
    assert not bool(old.shares.any())


def test_purity_by_hand() -> None:
    # Clusters over eight cells: 0 0 0 1 1 1 2 2; classes: 0 0 1 1 1 0 1 1; class 2 is nowhere.
    hard, labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 1, 0, 1, 1])
    probs = F.one_hot(hard, 3).t().float().reshape(1, 3, 2, 4)
    iou, owner = cluster_purity(probs, labels.reshape(1, 2, 4), 3)
    assert owner.tolist() == [0, 1, 1]
    # Class 0: two hits, three assigned, three there. Class 1: four hits, five assigned, five there.
    assert torch.allclose(iou, torch.tensor([2 / 4, 4 / 6, 0.0]))


def test_a_cluster_may_own_every_class_perfectly() -> None:
    labels = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    iou, owner = cluster_purity(F.one_hot(labels, 4).permute(0, 3, 1, 2).float(), labels, 4)
    assert torch.equal(iou, torch.ones(4)) and owner.tolist() == [0, 1, 2, 3]


def test_rows_that_do_not_fit_are_refused(rows: torch.Tensor) -> None:
    for wrong in (rows[:4], rows[:, :9], rows[0]):
        with pytest.raises(InputError, match=r"must be \[at least 5, 16\]"):
            fit_clusters(PROXY, wrong)


@pytest.mark.parametrize("changes", [{"num_clusters": 0}, {"num_clusters": 10**9}, {"dims": 17}, {"resolution": -1}, {"channels": 0}])
def test_hostile_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="The proxy's"):
        replace(PROXY, **changes)
