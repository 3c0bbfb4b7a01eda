"""Proxy masks: soft k-means membership of a generator's own features (SIS-UG, sec. 3.1, eq. 2).

Features of one or more resolutions are brought to the proxy grid and joined. The sample's own mean is subtracted, which takes
lighting and overall colour out, then they are whitened. Membership is softmax(-distance^2 / tau), differentiable, with tau chosen so
that a sample's own features give a mean largest probability of 0.9.

Where it is known which class a place has, clusters can keep to classes. K-means alone counts how much features differ, not what for: it
gives the rims of glasses no cluster, and hair several by its colour. So the places of every class are grouped by what is left of their
features once the mean of their class in their sample is gone, which is where in the class they are, not what it looks like; then
whitening and centroids descend until memberships tell groups and classes apart (soft learning vector quantization, Seo and Obermayer,
2003).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.nets.layers import channel_softmax, channels_last
from sisgen.types import Features, ProxyMask

CONFIDENCE = 0.9  # mean largest probability on a sample's own features
LEAST_OF_CLASS = 3  # clusters of every class, as far as there are enough
STYLE_ROWS = 4.0  # rows of a class in a sample that tell half of its mean
CLASS_STEPS, CLASS_ROWS, CLASS_RATE = 600, 4_096, 1e-2  # of the descent that makes clusters keep to classes
GROUPING = 0.5  # weight of groups in it, classes counting 1
COMPACTNESS = 0.3  # weight of k-means' own loss in it
LIVELINESS = 0.3  # weight of what clusters lose of their share in it


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyConfig:
    """What the clusters are made of."""

    resolution: int = 64  # side of the proxy grid
    sources: tuple[int, ...] = (32, 64)  # feature resolutions that are joined
    channels: int = 96  # of all sources together
    dims: int = 24  # kept by whitening
    num_clusters: int = 32  # K
    shares: bool = False  # the file also tells how much of a sample every cluster owns on average; older ones do not

    def __post_init__(self) -> None:
        for name in ("resolution", "channels", "dims", "num_clusters"):
            value = getattr(self, name)
            if not 1 <= value <= 8192:
                raise InputError(f"The proxy's {name} must be in 1..8192, but it is {value}; correct the config.")
        if self.dims > self.channels:
            raise InputError(f"The proxy's dims must be at most {self.channels}, its channels, but they are {self.dims}; correct them.")


class FeatureClusters(nn.Module):
    """Assign every place of a feature map to K clusters, softly.

    Args:
        config: sizes; the buffers are filled by `fit_clusters` or loaded.
    """

    whitening: torch.Tensor
    centroids: torch.Tensor
    tau: torch.Tensor
    shares: torch.Tensor  # of an average sample [K]; 0 where it is not known

    def __init__(self, config: ProxyConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("whitening", torch.zeros(config.dims, config.channels))
        self.register_buffer("centroids", torch.zeros(config.num_clusters, config.dims))
        self.register_buffer("tau", torch.ones([]))
        self.register_buffer("shares", torch.zeros(config.num_clusters), persistent=config.shares)

    def join(self, steps: Sequence[Features] | Mapping[int, torch.Tensor]) -> torch.Tensor:
        """Bring the sources to the proxy grid, join them and subtract each sample's mean: [B, C, h, w]."""
        maps = _as_maps(steps)
        size = (self.config.resolution, self.config.resolution)
        parts = [maps[source].float() for source in self.config.sources]
        parts = [p if p.shape[-2:] == size else F.interpolate(p, size=size, mode="bilinear", align_corners=False) for p in parts]
        joined = torch.cat(parts, dim=1)
        return joined - joined.mean(dim=(2, 3), keepdim=True)

    def whiten(self, joined: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> [B, dims, h, w]."""
        return F.conv2d(joined, self.whitening[:, :, None, None])

    def membership(self, whitened: torch.Tensor) -> torch.Tensor:
        """[B, dims, h, w] -> probabilities [B, K, h, w]."""
        # |f - c|^2 up to |f|^2, which the softmax cancels.
        affinity = F.conv2d(whitened, 2 * self.centroids[:, :, None, None], -self.centroids.square().sum(dim=1))
        return (affinity / self.tau).softmax(dim=1)

    def forward(self, steps: Sequence[Features] | Mapping[int, torch.Tensor]) -> ProxyMask:
        """Read the proxy mask of features; `steps` must hold every resolution in `config.sources`."""
        with torch.autocast(self.tau.device.type, enabled=False):  # differences of squared distances want fp32
            return ProxyMask(probs=channel_softmax(self._affinity(steps)))

    def _affinity(self, steps: Sequence[Features] | Mapping[int, torch.Tensor]) -> torch.Tensor:
        """What `membership` takes the softmax of, [B, K, h, w].

        Whitening and distances are linear, so that coarse sources are brought to the grid behind them: they have the same means there.
        """
        maps = _as_maps(steps)
        size = (self.config.resolution, self.config.resolution)
        scale = 2 * self.centroids / self.tau  # [K, dims]
        factors = (scale @ self.whitening).split([maps[source].shape[1] for source in self.config.sources], dim=1)
        offset: torch.Tensor | None = -self.centroids.square().sum(dim=1) / self.tau
        total: torch.Tensor | None = None
        for source, factor in zip(self.config.sources, factors):
            x = channels_last(maps[source].float())
            if source > self.config.resolution:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = x - x.mean(dim=(2, 3), keepdim=True)
            if total is not None and source == self.config.resolution and not torch.is_grad_enabled():
                total = _add_product(total, x, factor)
                continue
            x = F.conv2d(x, factor[:, :, None, None].contiguous(), offset)
            if source < self.config.resolution:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            total, offset = x if total is None else total + x, None
        assert total is not None  # there is at least one source
        return total


def _add_product(total: torch.Tensor, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Add factor [K, C] times x [B, C, h, w] to the total [B, K, h, w], in its memory where it is in channels_last."""
    rows = total.permute(0, 2, 3, 1).flatten(0, 2).addmm_(x.permute(0, 2, 3, 1).flatten(0, 2), factor.t())  # [B * h * w, K]
    return rows.unflatten(0, (len(x), *x.shape[2:])).permute(0, 3, 1, 2)


def _as_maps(steps: Sequence[Features] | Mapping[int, torch.Tensor]) -> Mapping[int, torch.Tensor]:
    return steps if isinstance(steps, Mapping) else {step.resolution: step.map for step in steps}


@torch.no_grad()
def fit_clusters(
    config: ProxyConfig,
    joined: torch.Tensor,
    *,
    seed: int = 0,
    before: FeatureClusters | None = None,
    classes: torch.Tensor | None = None,
    samples: int = 1,
) -> FeatureClusters:
    """Fit whitening, centroids and temperature.

    Args:
        config: sizes; `channels` must be those of `joined`.
        joined: rows [n, C] that `FeatureClusters.join` gave, the same number from every sample, sample by sample.
        seed: of the k-means start.
        before: clusters of an earlier state of the same generator, of the same config: k-means starts from the rows that they own now, so
            that every cluster stays what it was and networks that know the clusters can go on.
        classes: of the rows, int64 [n] from 0 on, which clusters shall keep to; `None` knows none.
        samples: how many the rows are from, where there are classes.

    Raises:
        InputError: fewer rows than clusters, rows of another width, or another number of classes.
    """
    if joined.ndim != 2 or joined.shape[1] != config.channels or joined.shape[0] < config.num_clusters:
        wanted = f"[at least {config.num_clusters}, {config.channels}]"
        raise InputError(f"The features must be {wanted}, but they are {list(joined.shape)}; draw more samples.")
    if classes is not None and classes.shape != joined.shape[:1]:
        raise InputError(f"Every row must have one class, but {list(classes.shape)} came for {len(joined)} rows; give as many.")
    clusters = FeatureClusters(config)

    # Whitening by the leading principal components.
    covariance = joined.double().t() @ joined.double() / joined.shape[0]
    values, vectors = torch.linalg.eigh(covariance)
    leading = torch.argsort(values, descending=True)[: config.dims]
    scale = values[leading].clamp_min(1e-8).rsqrt()
    clusters.whitening.copy_((vectors[:, leading] * scale).t())

    # Centroids.
    rows = joined @ clusters.whitening.t()
    owners, means = (None, None) if before is None else _follow(before, joined, rows)
    if classes is None:
        clusters.centroids.copy_(_by_features(rows, config.num_clusters, seed, means))
    else:
        groups = _group(rows, classes, samples, config.num_clusters, seed) if owners is None else owners
        clusters.centroids.copy_(_means(rows, groups, config.num_clusters) if means is None else means)
        clusters.tau.fill_(_fit_tau(clusters, rows))
        _tell_apart(clusters, joined, classes, groups, seed)
        rows = joined @ clusters.whitening.t()
    clusters.tau.fill_(_fit_tau(clusters, rows))
    clusters.shares.copy_(_shares(clusters, rows))
    return clusters


def _shares(clusters: FeatureClusters, rows: torch.Tensor) -> torch.Tensor:
    """Mean membership [K] of whitened `rows` [n, dims]."""
    parts = [clusters.membership(part.t()[None, :, :, None]).sum(dim=(0, 2, 3)) for part in rows.split(16_384)]
    return torch.stack(parts).sum(dim=0) / len(rows)


def _by_features(rows: torch.Tensor, num_clusters: int, seed: int, means: torch.Tensor | None) -> torch.Tensor:
    """Centroids [K, dims] of whitened `rows` [n, dims]; `means` are centroids to begin at and to stay near, `None` begins anew.

    A coarse k-means goes first, so that small parts (an eye, a brow) get as many rows as the backdrop in the fine one.
    """
    from sklearn.cluster import MiniBatchKMeans

    coarse = MiniBatchKMeans(max(2, num_clusters // 2), batch_size=4096, n_init=2, max_iter=40, random_state=seed)
    groups = torch.from_numpy(coarse.fit_predict(rows.numpy())).long()
    if means is None:
        kmeans = MiniBatchKMeans(num_clusters, batch_size=4096, n_init=3, max_iter=60, random_state=seed)
    else:
        kmeans = MiniBatchKMeans(
            num_clusters, init=means.numpy(), batch_size=4096, n_init=1, max_iter=10, reassignment_ratio=0, random_state=seed
        )
    kmeans.fit(rows[_balanced(groups, seed)].numpy())
    return torch.from_numpy(kmeans.cluster_centers_)


def _group(rows: torch.Tensor, classes: torch.Tensor, samples: int, num_clusters: int, seed: int) -> torch.Tensor:
    """Group the whitened `rows` [n, dims] of every class by where in the class they are, not by what it looks like in a sample: int64 [n].

    The mean of a class in a sample is taken out as far as enough rows tell it.
    """
    from sklearn.cluster import MiniBatchKMeans

    labels = int(classes.max()) + 1
    place = torch.arange(len(rows)) * samples // len(rows) * labels + classes  # of a sample's class
    known = torch.bincount(place, minlength=samples * labels).float()
    known = (known / (known + STYLE_ROWS))[place, None]
    rows = rows - known * (_means(rows, place, samples * labels)[place] - _means(rows, classes, labels)[classes])
    shares = share_clusters(torch.bincount(classes), num_clusters)
    groups, first = torch.zeros_like(classes), 0
    for label, num in enumerate(shares.tolist()):
        if num:
            kmeans = MiniBatchKMeans(num, batch_size=4096, n_init=2, max_iter=40, random_state=seed)
            own = classes == label
            groups[own] = torch.from_numpy(kmeans.fit_predict(rows[own].numpy())).long() + first
            first += num
    return groups


def _means(rows: torch.Tensor, groups: torch.Tensor, num: int) -> torch.Tensor:
    """Means [num, C] of `rows` [n, C] by group; 0 of a group without rows."""
    counts = torch.bincount(groups, minlength=num)
    return torch.zeros(num, rows.shape[1]).index_add_(0, groups, rows) / counts.clamp_min(1)[:, None]


def share_clusters(counts: torch.Tensor, num_clusters: int) -> torch.Tensor:
    """Share K clusters out over classes of so many rows, int64 [L] -> int64 [L], by the roots of the counts.

    Classes that are there get one each, then two, up to `LEAST_OF_CLASS`, as far as K reaches and rows suffice.
    """
    shares, roots = torch.zeros_like(counts), counts.double().sqrt()
    for _ in range(num_clusters):
        want = roots / (shares + 1) + roots.sum() * (LEAST_OF_CLASS - shares).clamp_min(0)
        want = torch.where(shares < counts, want, -1.0)
        shares[int(want.argmax())] += 1
    return shares


def _tell_apart(clusters: FeatureClusters, joined: torch.Tensor, classes: torch.Tensor, groups: torch.Tensor, seed: int) -> None:
    """Descend whitening and centroids until the memberships of `joined` rows [n, C] tell `classes` [n] and `groups` [n] apart.

    A cluster is of the class that most rows of its group have. The loss is the cross-entropy of groups, and of classes, which are what
    their clusters give together, rare ones counting more; the mean distance of rows to their clusters, which keeps these compact; and
    what clusters own less than at the start, so that none dies. The temperature stays as it is.
    """
    num, labels = len(clusters.centroids), int(classes.max()) + 1
    owners = torch.bincount(groups * labels + classes, minlength=num * labels).reshape(num, labels).argmax(dim=1)  # [K]
    theirs = owners[None, :] == torch.arange(labels)[:, None]  # [L, K]
    known = theirs.any(dim=1)[classes].nonzero()[:, 0]  # rows whose class has a cluster
    of_class, of_group = _root_weights(classes), _root_weights(groups)
    began = _shares(clusters, joined @ clusters.whitening.t()).clamp_min(1 / len(joined)).log()  # [K]
    whitening, centroids = clusters.whitening.clone().requires_grad_(), clusters.centroids.clone().requires_grad_()
    optimizer = torch.optim.Adam([whitening, centroids], lr=CLASS_RATE)
    source = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for step in range(CLASS_STEPS):
            optimizer.param_groups[0]["lr"] = CLASS_RATE * (1 - step / CLASS_STEPS)
            chosen = known[torch.randint(len(known), (CLASS_ROWS,), generator=source)]
            x = joined[chosen] @ whitening.t()
            distance = x.square().sum(dim=1, keepdim=True) + centroids.square().sum(dim=1) - 2 * (x @ centroids.t())  # [rows, K]
            scores = (-distance / clusters.tau).log_softmax(dim=1)
            right = scores.masked_fill(~theirs[classes[chosen]], -torch.inf).logsumexp(dim=1)
            grouped = scores.gather(1, groups[chosen, None])[:, 0]
            entropy = -(of_class[chosen] * right).mean() - GROUPING * (of_group[chosen] * grouped).mean()
            spread = (scores.detach().exp() * distance).sum(dim=1).mean() / len(whitening)
            lost = F.relu(began - scores.logsumexp(dim=0) + math.log(len(scores))).mean()
            loss = entropy + COMPACTNESS * spread + LIVELINESS * lost
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    clusters.whitening.copy_(whitening.detach())
    clusters.centroids.copy_(centroids.detach())


def _root_weights(groups: torch.Tensor) -> torch.Tensor:
    """Weights [n] of rows by the root of how rare their group is, 1 on average."""
    weights = torch.bincount(groups).clamp_min(1).rsqrt()[groups]
    return weights / weights.mean()


def _follow(before: FeatureClusters, joined: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell which earlier cluster owns every row of `joined` [n, C], int64 [n], and the means [K, dims] of the whitened `rows` of each.

    One that owns none takes the row that is farthest from all.
    """
    whitened = joined @ before.whitening.cpu().t()
    distance = torch.cat([torch.cdist(part, before.centroids.cpu()) for part in whitened.split(16_384)])  # [n, K]
    nearest, owner = distance.min(dim=1)
    means = _means(rows, owner, distance.shape[1])
    empty = torch.bincount(owner, minlength=len(means)) == 0
    means[empty] = rows[nearest.topk(int(empty.sum())).indices]
    return owner, means


def _balanced(groups: torch.Tensor, seed: int) -> torch.Tensor:
    """Indices of rows, about as many of every group: the median group's number, rows of smaller groups taken more than once."""
    counts = torch.bincount(groups)
    each = int(counts[counts > 0].median())
    source = torch.Generator().manual_seed(seed)
    members = [(groups == group).nonzero()[:, 0] for group in range(len(counts)) if counts[group] > 0]
    return torch.cat([rows[torch.randint(len(rows), (each,), generator=source)] for rows in members])


def _fit_tau(clusters: FeatureClusters, rows: torch.Tensor) -> float:
    """Bisect for the temperature that gives the wanted mean confidence."""
    part = rows[:: max(1, len(rows) // 20_000)].t()[None, :, :, None]  # [1, dims, n, 1]
    low, high = 1e-4, 1e4
    for _ in range(50):
        middle = (low * high) ** 0.5
        clusters.tau.fill_(middle)
        confident = float(clusters.membership(part).amax(dim=1).mean()) > CONFIDENCE
        low, high = (middle, high) if confident else (low, middle)
    return (low * high) ** 0.5


def cluster_purity(probs: torch.Tensor, labels: torch.Tensor, num_labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Relabel every cluster by its majority class and score that as a segmentation.

    Args:
        probs: [B, K, h, w].
        labels: int64 [B, h, w] in 0..num_labels-1.
        num_labels: L.

    Returns:
        IoU of every class [L] (0 where no cluster owns it) and the class of every cluster [K].
    """
    return purity(count_classes(probs, labels, num_labels))


def count_classes(probs: torch.Tensor, labels: torch.Tensor, num_labels: int) -> torch.Tensor:
    """Count the cells of every cluster and class: int64 [K, L]; counts of several batches may be added. Args as `cluster_purity`."""
    index = probs.argmax(dim=1).flatten() * num_labels + labels.flatten()
    return torch.bincount(index, minlength=probs.shape[1] * num_labels).reshape(-1, num_labels)


def purity(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Score counts [K, L] of `count_classes`: IoU of every class [L] and the majority class of every cluster [K]."""
    counts = counts.float()
    owner = counts.argmax(dim=1)
    assigned = torch.zeros_like(counts).scatter_(1, owner[:, None], counts.sum(dim=1, keepdim=True))
    hits = torch.zeros_like(counts[0]).index_add_(0, owner, counts.gather(1, owner[:, None])[:, 0])
    union = assigned.sum(dim=0) + counts.sum(dim=0) - hits
    return hits / union.clamp_min(1), owner
