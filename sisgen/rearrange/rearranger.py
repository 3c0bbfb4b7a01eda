"""The rearranger: attention that gives features the arrangement of a proxy mask (SIS-UG, sec. 3.1, eq. 1).

Queries come from the proxy mask, keys from the style sample's features and own proxy mask; the values are the features themselves
together with the skip-RGB, so that one attention moves both and every output is a mixture of true features. Besides the T tokens
of the sample there are K * M prototype tokens predicted from w, one group a cluster, for what the sample lacks (a hat, glasses).
Where the target agrees with the sample's own proxy mask, the sample's own features stay.

Keys, values and prototypes do not depend on the drawing: `remember` makes them once a style, `forward` runs while the pen moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.nets.layers import EqualLinear, channels_last, fold_conv
from sisgen.types import Features, ProxyMask


@dataclass(frozen=True, kw_only=True, slots=True)
class RearrangerConfig:
    """Sizes of a rearranger."""

    resolution: int = 32  # where the generator is cut
    channels: int = 64  # C of the features there
    fine_resolution: int = 64  # where the refinement corrects once more
    fine_channels: int = 32
    num_clusters: int = 32  # K
    proxy_resolution: int = 64
    w_dim: int = 128
    width: int = 48  # of the query and key embeddings' hidden layer
    dim: int = 32  # d of the attention
    tokens_per_cluster: int = 2  # M; 0 = only what the sample has, where every sample has all parts
    relative_tokens: bool = False  # prototypes are predicted as differences from the sample's own mean, not from zero

    def __post_init__(self) -> None:
        for name in ("channels", "fine_channels", "num_clusters", "w_dim", "width", "dim", "tokens_per_cluster"):
            value, least = getattr(self, name), 0 if name == "tokens_per_cluster" else 1
            if not least <= value <= 8192:
                raise InputError(f"The rearranger's {name} must be in {least}..8192, but it is {value}; correct the config.")
        if self.proxy_resolution % self.resolution or self.fine_resolution % self.resolution:
            raise InputError("The rearranger's proxy and fine resolutions must be multiples of its resolution; correct the config.")


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleMemory:
    """What a style contributes, made once a seed: everything of the attention but the queries.

    Attributes:
        features: the style sample at the cut.
        own: its own proxy mask [B, K, h, w].
        keys: [B, 1, T + K*M, max(d, C + 3)]. The fused kernels want keys as wide as values: zeros change no product, and the
            CPU is almost three times faster.
        values: [B, 1, T + K*M, C + 3].
        prototypes: features and rgb of every cluster at the fine resolution [B, K, C' + 3].
    """

    features: Features
    own: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    prototypes: torch.Tensor

    def select(self, chosen: torch.Tensor) -> StyleMemory:
        """Keep some styles: `chosen` is bool [B] or indices."""
        features = Features(map=self.features.map[chosen], rgb=self.features.rgb[chosen])
        rest = {name: getattr(self, name)[chosen] for name in ("own", "keys", "values", "prototypes")}
        return StyleMemory(features=features, **rest)


class ProxyEmbedding(nn.Module):
    """Proxy mask [B, K, H, W] -> embeddings [B, d, h, w] that know the neighbourhood; space-to-depth loses no cell."""

    def __init__(self, config: RearrangerConfig) -> None:
        super().__init__()
        self.fold = config.proxy_resolution // config.resolution
        self.enter = nn.Conv2d(config.num_clusters * self.fold**2, config.width, 1)
        self.near = nn.Conv2d(config.width, config.width, 3, padding=1)
        self.far = nn.Conv2d(config.width, config.width, 3, padding=3, dilation=3, groups=config.width)
        self.leave = nn.Conv2d(2 * config.width, config.dim, 1)

    def forward(self, probs: torch.Tensor) -> torch.Tensor:
        x = fold_conv(channels_last(probs), self.enter, self.fold)
        y = F.relu(self.near(F.relu(x)))
        with torch.autocast(probs.device.type, enabled=False):  # bf16 gradients of a dilated convolution are NaN at times (oneDNN)
            y = y + self.far(y.float()).to(y.dtype)
        return self.leave(torch.cat([x, y], dim=1))


class PrototypeHead(nn.Module):
    """w [B, D] -> prototypes [B, K, M, C]: cluster means plus what this style changes."""

    def __init__(self, w_dim: int, num_clusters: int, per_cluster: int, channels: int) -> None:
        super().__init__()
        self.shape = (num_clusters, per_cluster, channels)
        self.mean = nn.Parameter(torch.zeros(self.shape))
        self.hidden = EqualLinear(w_dim, w_dim, activation=True)
        self.change = EqualLinear(w_dim, num_clusters * per_cluster * channels)
        nn.init.zeros_(self.change.weight)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return self.mean + self.change(self.hidden(w)).reshape(len(w), *self.shape)


class Rearranger(nn.Module):
    """Rearrange a style sample's features to a target proxy mask.

    Args:
        config: sizes.
    """

    offset: torch.Tensor

    def __init__(self, config: RearrangerConfig) -> None:
        super().__init__()
        self.config = config
        self.query = ProxyEmbedding(config)
        self.key = nn.Conv2d(config.channels + 3, config.dim, 1, bias=False)
        self.position = nn.Parameter(_near_is_likely(config.resolution))  # relative position bias, a table
        self.temperature = nn.Parameter(torch.tensor(3.2))  # log of the factor of the cosines
        self.token_keys = nn.Parameter(torch.randn(config.num_clusters, config.tokens_per_cluster, config.dim))
        self.token_bias = nn.Parameter(torch.tensor(-2.0))
        self.tokens = PrototypeHead(config.w_dim, config.num_clusters, config.tokens_per_cluster, config.channels + 3)
        self.fine_tokens = PrototypeHead(config.w_dim, config.num_clusters, 1, config.fine_channels + 3)
        self.fine_gain = nn.Parameter(torch.full((config.fine_channels + 3,), 0.5))
        nn.init.zeros_(self.key.weight)
        index = torch.arange(config.resolution)
        offset = index[None, :] - index[:, None] + config.resolution - 1  # [h, h]
        self.register_buffer("offset", offset, persistent=False)
        self._bias: torch.Tensor | None = None
        self.register_load_state_dict_post_hook(lambda module, _: module._forget_bias())

    def remember(self, features: Features, own: ProxyMask, fine: Features, w: torch.Tensor) -> StyleMemory:
        """Prepare a style: everything that does not depend on the drawing.

        Args:
            features: the sample at the cut, [B, C, h, w].
            own: its own proxy mask.
            fine: the sample at the fine resolution, for its prototypes.
            w: [B, D].
        """
        joined = torch.cat([features.map, features.rgb], dim=1)  # [B, C + 3, h, w]
        scaled = joined * joined.square().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-8).rsqrt()
        keys = F.normalize(self.query(own.probs) + self.key(scaled), dim=1).flatten(2).transpose(1, 2)  # [B, T, d]
        values = joined.flatten(2).transpose(1, 2)  # [B, T, C + 3]

        batch = w.shape[0]
        token_keys = F.normalize(self.token_keys, dim=2).flatten(0, 1).expand(batch, -1, -1)  # [B, KM, d]
        token_values = self.tokens(w).flatten(1, 2) + self.base(features)[:, None]  # [B, KM, C + 3]
        return StyleMemory(
            features=features,
            own=own.probs,
            keys=F.pad(torch.cat([keys, token_keys], dim=1), (0, max(values.shape[2] - keys.shape[2], 0)))[:, None],
            values=torch.cat([values, token_values], dim=1)[:, None],
            prototypes=self._fine_prototypes(fine, own.probs, w),
        )

    def forward(self, target: ProxyMask, memory: StyleMemory, bias: torch.Tensor | None = None) -> Features:
        """Rearrange.

        Args:
            target: wanted arrangement [B, K, h, w].
            memory: the style, from `remember`.
            bias: takes the place of `attention_bias()`; `None` = that one.

        Returns:
            `Features` at the cut.
        """
        if attends_densely(target.probs):
            return self.keep_agreeing(self.attend(target, memory, bias), target, memory)
        return self._attend_where_needed(target, memory, self.attention_bias() if bias is None else bias)

    def keep_agreeing(self, moved: Features, target: ProxyMask, memory: StyleMemory) -> Features:
        """Put the style sample's own features back where the target agrees with its own proxy mask."""
        keep, style = self._agreeing(target, memory), memory.features
        return Features(map=_mix(moved.map, style.map, keep), rgb=_mix(moved.rgb, style.rgb, keep))

    def attend(self, target: ProxyMask, memory: StyleMemory, bias: torch.Tensor | None = None) -> Features:
        """Attention alone (eq. 1), without keeping what agrees; `bias` takes the place of `attention_bias()`."""
        bias = self.attention_bias() if bias is None else bias
        return self._split(attend(self._queries(target), memory.keys, memory.values, bias))

    def _attend_where_needed(self, target: ProxyMask, memory: StyleMemory, bias: torch.Tensor) -> Features:
        """What `attend` and `keep_agreeing` give together, without asking for places that keep their own features anyway."""
        queries, tokens = self._queries(target), self.config.resolution**2
        moving = 1 - self._agreeing(target, memory).flatten(1)  # [B, T]
        out = memory.values[:, 0, :tokens].transpose(1, 2).clone(memory_format=torch.contiguous_format)  # the sample's own [B, C + 3, T]
        for i, share in enumerate(moving):
            places = share.nonzero()[:, 0]
            if len(places):
                wanted = bias.expand(len(moving), 1, -1, -1)[i, 0, places]  # [t, S]
                moved = attend(queries[i : i + 1, places], memory.keys[i : i + 1], memory.values[i : i + 1], wanted)[0]  # [C + 3, t]
                out[i, :, places] = out[i, :, places].lerp(moved, share[places])
        made, style = self._split(out), memory.features
        # Laid out as the sample's own, so that a plain sample and its own rearrangement stay alike bit for bit.
        return Features(map=torch.empty_like(style.map).copy_(made.map), rgb=torch.empty_like(style.rgb).copy_(made.rgb))

    def _agreeing(self, target: ProxyMask, memory: StyleMemory) -> torch.Tensor:
        """How far every place keeps the style sample's own features, [B, 1, h, w] in [0, 1]."""
        return F.adaptive_avg_pool2d(agreement(target.probs, memory.own), self.config.resolution)

    def _queries(self, target: ProxyMask) -> torch.Tensor:
        """Scaled queries [B, T, d] of a wanted arrangement."""
        queries = F.normalize(self.query(target.probs).permute(0, 2, 3, 1), dim=3).flatten(1, 2)
        return queries * self.temperature.exp()

    def _split(self, joined: torch.Tensor) -> Features:
        """[B, C + 3, T] -> `Features`."""
        joined = joined.unflatten(2, (self.config.resolution, self.config.resolution))  # [B, C + 3, h, w]
        return Features(map=joined[:, :-3], rgb=joined[:, -3:])

    def refine(self, fine: Features, current: torch.Tensor, target: ProxyMask, memory: StyleMemory) -> Features:
        """Correct the fine features where they still read as another cluster: f + (target - current) * prototypes.

        Args:
            fine: features at the fine resolution, grown from the rearranged ones.
            current: the proxy mask that they read as [B, K, h, w].
            target: the wanted one.
            memory: the style.
        """
        wanted, read = (_to_grid(p, self.config.fine_resolution) for p in (target.probs, current))
        change = (wanted - read).permute(0, 2, 3, 1)  # [B, h, w, K]
        moved = change.flatten(1, 2) @ (memory.prototypes * self.fine_gain)  # [B, T, C' + 3]
        moved = moved.unflatten(1, change.shape[1:3]).permute(0, 3, 1, 2)  # [B, C' + 3, h, w]
        return Features(map=fine.map + moved[:, :-3], rgb=fine.rgb + moved[:, -3:])

    def attention_bias(self) -> torch.Tensor:
        """Additive bias of every query and token [T, T + KM]; cached while nothing is trained."""
        if self._bias is not None and not torch.is_grad_enabled():
            return self._bias
        tokens = self.config.resolution**2
        near = self.position[self.offset[:, None, :, None], self.offset[None, :, None, :]].reshape(tokens, tokens)
        bias = torch.cat([near, self.token_bias.expand(tokens, self.token_keys.shape[0] * self.token_keys.shape[1])], dim=1)
        self._bias = None if torch.is_grad_enabled() else bias
        return bias

    def base(self, features: Features) -> torch.Tensor:
        """What the predicted prototypes are added to [B, C + 3]: the sample's own mean, features and rgb, or zeros."""
        mean = torch.cat([features.map, features.rgb], dim=1).mean(dim=(2, 3))
        return mean if self.config.relative_tokens else torch.zeros_like(mean)

    def _forget_bias(self) -> None:
        self._bias = None

    def _apply(self, *args: Any, **kwargs: Any) -> Rearranger:  # what `to`, `double`, `cuda` and their like go through
        self._forget_bias()
        return super()._apply(*args, **kwargs)

    def _fine_prototypes(self, fine: Features, own: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Means of the sample's own fine features a cluster, leaning on the prediction from w where a cluster is rare."""
        sums, mass = cluster_sums(fine, own)
        prior = self.fine_tokens(w)[:, :, 0] + self.base(fine)[:, None]
        return (sums + PRIOR_CELLS * prior) / (mass + PRIOR_CELLS)


QUERIES_AT_ONCE = 512
PRIOR_CELLS = 8.0  # a cluster of this many cells counts as much as the prediction from w


def cluster_sums(features: Features, probs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum features and rgb over every cluster: [B, K, C + 3], and the cells of every cluster [B, K, 1]."""
    weights = _to_grid(probs, features.resolution).flatten(2)  # [B, K, T]
    joined = torch.cat([features.map, features.rgb], dim=1).flatten(2)  # [B, C + 3, T]
    return weights @ joined.transpose(1, 2), weights.sum(dim=2, keepdim=True)


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Softmax attention.

    Args:
        queries: [B, T, d], scaled.
        keys: [B, 1, S, at least d]; beyond d they are zero.
        values: [B, 1, S, C].
        bias: added to the scores, [T, S] or [B, 1, T, S].

    Returns:
        [B, C, T].
    """
    width = queries.shape[2]
    if attends_densely(queries):
        queries = F.pad(queries, (0, keys.shape[3] - width))
        return F.scaled_dot_product_attention(queries[:, None], keys, values, attn_mask=bias, scale=1.0)[:, 0].transpose(1, 2)

    # On a CPU plain products are faster than the fused kernel, which multiplies the zeros too. Some queries of one picture at a time,
    # all in the same memory, so that the scores stay small and near; values^T @ weights^T is faster than weights @ values.
    bias = bias.expand(len(queries), 1, -1, -1)
    out = values.new_empty(len(queries), values.shape[3], queries.shape[1])
    scores = values.new_empty(min(QUERIES_AT_ONCE, queries.shape[1]), keys.shape[2])
    for i, first in product(range(len(queries)), range(0, queries.shape[1], QUERIES_AT_ONCE)):
        rows = slice(first, first + QUERIES_AT_ONCE)
        weights = scores[: len(queries[i, rows])]  # [t, S]
        torch.addmm(bias[i, 0, rows], queries[i, rows], keys[i, 0, :, :width].t(), out=weights)
        torch.softmax(weights, dim=1, out=weights)
        torch.mm(values[i, 0].t(), weights.t(), out=out[i, :, rows])
    return out


def attends_densely(x: torch.Tensor) -> bool:
    """Whether attention goes by the fused kernel: on a GPU, and where gradients are taken."""
    return not x.is_cpu or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")


def agreement(target: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Where two proxy masks agree: 1 at total variation <= 0.05, 0 from 0.2 on, smooth between. [B, K, h, w] -> [B, 1, h, w]."""
    distance = 0.5 * (target - own).abs_().permute(0, 2, 3, 1).sum(dim=3)[:, None]  # [B, 1, h, w]
    x = ((0.2 - distance) / 0.15).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _mix(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    # Bf16 training mixes types. The outcome is laid out as b, so that a plain sample and its own rearrangement stay alike bit for bit.
    return torch.lerp(b, a.to(b.dtype), 1 - weight.to(b.dtype))


def _to_grid(probs: torch.Tensor, size: int) -> torch.Tensor:
    if probs.shape[-1] == size:
        return probs
    if probs.shape[-1] > size:
        return F.adaptive_avg_pool2d(probs, size)
    return F.interpolate(probs, size=(size, size), mode="bilinear", align_corners=False)


def _near_is_likely(resolution: int, spread: float = 0.35) -> torch.Tensor:
    """First values of the position table [2h - 1, 2h - 1]: near tokens are a little more likely."""
    line = torch.arange(1 - resolution, resolution).float() / resolution
    return -(line[:, None].square() + line[None, :].square()) / (2 * spread**2)
