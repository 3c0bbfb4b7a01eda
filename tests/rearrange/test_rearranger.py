"""The rearranger: every output is a mixture of true features, and what agrees stays exactly as it is."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.rearrange import rearranger as attention
from sisgen.rearrange.rearranger import PRIOR_CELLS, Rearranger, RearrangerConfig, StyleMemory, agreement, cluster_sums
from sisgen.types import Features, ProxyMask

SIZES = RearrangerConfig(
    resolution=8, channels=6, fine_resolution=16, fine_channels=4, num_clusters=5, proxy_resolution=16, w_dim=8, width=8, dim=8
)


@pytest.fixture
def rearranger() -> Rearranger:
    """Random in every parameter, those that start at zero too."""
    torch.manual_seed(0)
    module = Rearranger(SIZES).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def features(resolution: int, channels: int, batch: int = 2, seed: int = 0) -> Features:
    source = torch.Generator().manual_seed(seed)
    return Features(
        map=torch.randn(batch, channels, resolution, resolution, generator=source),
        rgb=torch.randn(batch, 3, resolution, resolution, generator=source),
    )


def proxy(batch: int = 2, seed: int = 0) -> ProxyMask:
    logits = torch.randn(batch, 5, 16, 16, generator=torch.Generator().manual_seed(seed))
    return ProxyMask(probs=(4 * logits).softmax(dim=1))


def remember(module: Rearranger, batch: int = 2) -> StyleMemory:
    w = torch.randn(batch, 8, generator=torch.Generator().manual_seed(9))
    return module.remember(features(8, 6, batch), proxy(batch), features(16, 4, batch, seed=1), w)


def test_the_own_proxy_mask_gives_the_own_features_exactly(rearranger: Rearranger) -> None:
    memory = remember(rearranger)
    made = rearranger(proxy(), memory)
    assert torch.equal(made.map, memory.features.map) and torch.equal(made.rgb, memory.features.rgb)


def test_relative_prototypes_follow_the_colour_of_the_sample(rearranger: Rearranger) -> None:
    relative = Rearranger(replace(SIZES, relative_tokens=True)).eval().requires_grad_(False)
    relative.load_state_dict(rearranger.state_dict())
    w = torch.randn(2, 8, generator=torch.Generator().manual_seed(9))
    cut, fine = features(8, 6), features(16, 4, seed=1)
    brighter = Features(map=cut.map, rgb=cut.rgb + 1)
    for module, rise in ((relative, 1.0), (rearranger, 0.0)):
        before, after = (module.remember(part, proxy(), fine, w).values[:, 0, 64:, 6:] for part in (cut, brighter))
        assert torch.allclose(after, before + rise, atol=1e-5)


def test_without_tokens_all_comes_from_the_sample() -> None:
    bare = Rearranger(replace(SIZES, tokens_per_cluster=0)).eval().requires_grad_(False)
    memory = bare.remember(features(8, 6), proxy(), features(16, 4, seed=1), torch.randn(2, 8))
    assert memory.values.shape == (2, 1, 64, 9) and bare(proxy(seed=5), memory).map.shape == (2, 6, 8, 8)


def test_another_proxy_mask_gives_other_features(rearranger: Rearranger) -> None:
    memory = remember(rearranger)
    made = rearranger(proxy(seed=5), memory)
    assert made.map.shape == (2, 6, 8, 8) and made.rgb.shape == (2, 3, 8, 8)
    assert float((made.map - memory.features.map).abs().mean()) > 0.1


def test_attention_is_a_convex_mixture_of_values(rearranger: Rearranger) -> None:
    memory, target = remember(rearranger), proxy(seed=5)
    queries = F.normalize(rearranger.query(target.probs), dim=1).flatten(2).transpose(1, 2) * rearranger.temperature.exp()
    scores = queries @ memory.keys[:, 0, :, : queries.shape[-1]].transpose(1, 2) + rearranger.attention_bias()
    weights = scores.softmax(dim=2)  # [B, T, T + KM]
    assert weights.shape == (2, 64, 64 + 5 * 2)
    assert torch.allclose(weights.sum(dim=2), torch.ones(2, 64), atol=1e-5) and float(weights.min()) >= 0
    wanted = (weights @ memory.values[:, 0]).transpose(1, 2).unflatten(2, (8, 8))
    made = rearranger.attend(target, memory)
    assert torch.allclose(torch.cat([made.map, made.rgb], dim=1), wanted, atol=1e-5)

    low, high = memory.values[:, 0].amin(dim=1), memory.values[:, 0].amax(dim=1)  # [B, C + 3]
    outputs = torch.cat([made.map, made.rgb], dim=1).flatten(2)
    assert bool((outputs >= low[:, :, None] - 1e-5).all() and (outputs <= high[:, :, None] + 1e-5).all())


@pytest.mark.parametrize("own_bias", [False, True])
def test_plain_products_give_what_the_fused_kernel_gives(rearranger: Rearranger, own_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "QUERIES_AT_ONCE", 24)  # the last part is smaller
    memory, target = remember(rearranger), proxy(seed=5)
    bias = torch.randn(2, 1, 64, 64 + 5 * 2) if own_bias else None
    with torch.enable_grad():
        fused = rearranger.attend(target, memory, bias)
    with torch.no_grad():
        plain = rearranger.attend(target, memory, bias)
    assert torch.allclose(plain.map, fused.map, atol=1e-5) and torch.allclose(plain.rgb, fused.rgb, atol=1e-5)


def test_features_follow_a_proxy_mask_that_moved() -> None:
    """Sharp attention before any training: queries and keys are made alike, so that a shifted mask brings shifted features."""
    torch.manual_seed(0)
    module = Rearranger(replace(SIZES, dim=32, width=32)).requires_grad_(False)
    module.position.zero_()
    module.token_bias.fill_(-1e4)
    module.temperature.fill_(7.0)
    moved = ProxyMask(probs=proxy().probs.roll(4, dims=3))  # two cells of the features
    memory = remember(module)
    made = module.attend(moved, memory)
    wanted = memory.features.map.roll(2, dims=3)
    inner = (slice(None), slice(None), slice(3, 5), slice(5, 6))  # where no neighbourhood sees an edge or the seam
    assert torch.allclose(made.map[inner], wanted[inner], atol=0.15)


def test_tokens_give_what_the_sample_lacks(rearranger: Rearranger) -> None:
    memory, target = remember(rearranger), proxy(seed=5)
    other = replace(memory, values=torch.cat([memory.values[:, :, :64], memory.values[:, :, 64:] + 100], dim=2))

    rearranger.token_bias.fill_(-1e4)  # no token is looked at
    assert torch.equal(attend(rearranger, target, memory), attend(rearranger, target, other))

    rearranger.token_bias.fill_(1e4)  # nothing but tokens
    same = replace(memory, values=torch.cat([memory.values[:, :, :64] + 100, memory.values[:, :, 64:]], dim=2))
    assert torch.allclose(attend(rearranger, target, memory), attend(rearranger, target, same), atol=1e-4)
    assert torch.allclose(attend(rearranger, target, other), attend(rearranger, target, memory) + 100, atol=1e-3)


def attend(module: Rearranger, target: ProxyMask, memory: StyleMemory) -> torch.Tensor:
    made = module.attend(target, memory)
    return torch.cat([made.map, made.rgb], dim=1)


def test_prototypes_depend_on_the_style(rearranger: Rearranger) -> None:
    first = remember(rearranger)
    second = rearranger.remember(features(8, 6), proxy(), features(16, 4, seed=1), torch.randn(2, 8))
    assert torch.equal(first.values[:, :, :64], second.values[:, :, :64])
    assert not torch.allclose(first.values[:, :, 64:], second.values[:, :, 64:], atol=1e-2)
    assert not torch.allclose(first.prototypes, second.prototypes, atol=1e-3)


def test_what_agrees_stays_and_what_does_not_moves(rearranger: Rearranger) -> None:
    memory = remember(rearranger)
    probs = proxy().probs.clone()
    probs[..., 8:] = proxy(seed=5).probs[..., 8:].roll(1, dims=1)
    target = ProxyMask(probs=probs)
    kept, moved = rearranger(target, memory), rearranger.attend(target, memory)
    assert torch.equal(kept.map[..., :4], memory.features.map[..., :4])
    assert not torch.allclose(moved.map[..., :4], memory.features.map[..., :4], atol=0.1)
    assert float((kept.map[..., 4:] - memory.features.map[..., 4:]).abs().mean()) > 0.1


@torch.no_grad()
@pytest.mark.parametrize("own_bias", [False, True])
def test_places_that_keep_their_features_are_not_asked_for(rearranger: Rearranger, own_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, target = remember(rearranger), proxy().probs.clone()
    target[0, :, :5] = proxy(seed=4).probs[0, :, :5]  # the upper rows of the first picture want something else
    bias = torch.randn(2, 1, 64, 74, generator=torch.Generator().manual_seed(1)) if own_bias else None
    asked: list[int] = []

    def count(queries: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        asked.append(queries.shape[1])
        return real(queries, *rest)

    real = attention.attend
    dense = rearranger.keep_agreeing(rearranger.attend(ProxyMask(probs=target), memory, bias), ProxyMask(probs=target), memory)
    monkeypatch.setattr(attention, "attend", count)
    made = rearranger(ProxyMask(probs=target), memory, bias)
    assert asked == [24]  # three rows of eight places, of one picture
    assert torch.allclose(made.map, dense.map, atol=1e-5) and torch.allclose(made.rgb, dense.rgb, atol=1e-5)
    assert torch.equal(made.map[:, :, 3:], memory.features.map[:, :, 3:]) and made.map.stride() == memory.features.map.stride()


@pytest.mark.parametrize(("distance", "wanted"), [(0.0, 1.0), (0.05, 1.0), (0.0875, 0.84375), (0.125, 0.5), (0.2, 0.0), (1.0, 0.0)])
def test_agreement_by_hand(distance: float, wanted: float) -> None:
    own = torch.tensor([1.0, 0.0])[None, :, None, None]
    target = torch.tensor([1 - distance, distance])[None, :, None, None]
    assert float(agreement(target, own)) == pytest.approx(wanted, abs=1e-5)


def test_the_refinement_changes_nothing_where_the_features_read_as_wanted(rearranger: Rearranger) -> None:
    memory, fine, target = remember(rearranger), features(16, 4, seed=3), proxy(seed=5)
    refined = rearranger.refine(fine, target.probs, target, memory)
    assert torch.equal(refined.map, fine.map) and torch.equal(refined.rgb, fine.rgb)


def test_the_refinement_by_hand(rearranger: Rearranger) -> None:
    memory, fine = remember(rearranger), features(16, 4, seed=3)
    current, wanted = torch.zeros(2, 5, 16, 16), torch.zeros(2, 5, 16, 16)
    current[:, 1] = 1
    wanted[:, 3] = 1
    refined = rearranger.refine(fine, current, ProxyMask(probs=wanted), memory)
    change = (memory.prototypes[:, 3] - memory.prototypes[:, 1]) * rearranger.fine_gain  # [B, C' + 3]
    assert torch.allclose(refined.map, fine.map + change[:, :-3, None, None], atol=1e-5)
    assert torch.allclose(refined.rgb, fine.rgb + change[:, -3:, None, None], atol=1e-5)


def test_sums_of_clusters_by_hand() -> None:
    part = features(16, 4, seed=3)
    probs = torch.zeros(2, 5, 16, 16)
    probs[:, 2, :4] = 1
    probs[:, 0, 4:] = 1
    sums, mass = cluster_sums(part, probs)
    assert mass[0, :, 0].tolist() == [192, 0, 64, 0, 0]
    assert torch.allclose(sums[:, 2, :4], part.map[:, :, :4].sum(dim=(2, 3)), atol=1e-4)
    assert torch.allclose(sums[:, 2, 4:], part.rgb[:, :, :4].sum(dim=(2, 3)), atol=1e-4)
    assert torch.equal(sums[:, 1], torch.zeros(2, 7))


def test_prototypes_of_frequent_clusters_are_the_samples_own(rearranger: Rearranger) -> None:
    fine, own, w = features(16, 4, seed=3), torch.zeros(2, 5, 16, 16), torch.randn(2, 8)
    own[:, 2] = 1
    prototypes = rearranger.remember(features(8, 6), ProxyMask(probs=own), fine, w).prototypes
    prior = rearranger.fine_tokens(w)[:, :, 0]
    mean = torch.cat([fine.map, fine.rgb], dim=1).mean(dim=(2, 3))
    assert torch.allclose(prototypes[:, 2], (256 * mean + PRIOR_CELLS * prior[:, 2]) / (256 + PRIOR_CELLS), atol=1e-4)
    assert torch.allclose(prototypes[:, 4], prior[:, 4], atol=1e-5)


def test_a_style_does_not_depend_on_its_batch(rearranger: Rearranger) -> None:
    whole = rearranger(proxy(seed=5), remember(rearranger))
    memory = remember(rearranger)
    first = StyleMemory(
        features=Features(map=memory.features.map[:1], rgb=memory.features.rgb[:1]),
        own=memory.own[:1],
        keys=memory.keys[:1],
        values=memory.values[:1],
        prototypes=memory.prototypes[:1],
    )
    alone = rearranger(ProxyMask(probs=proxy(seed=5).probs[:1]), first)
    assert torch.allclose(alone.map, whole.map[:1], atol=1e-5)


def test_near_tokens_are_a_little_more_likely_at_the_start() -> None:
    bias = Rearranger(SIZES).attention_bias()[0, :64].reshape(8, 8)  # of the query in the corner
    assert float(bias[0, 0].detach()) == 0 and bool((bias[0, 1:] < bias[0, :-1]).all()) and bool((bias[1:, 0] < bias[:-1, 0]).all())


def test_the_kept_bias_follows_new_weights(rearranger: Rearranger) -> None:
    with torch.no_grad():
        old = rearranger.attention_bias().clone()
        other = Rearranger(SIZES)
        other.position.add_(1.0)
        rearranger.load_state_dict(other.state_dict())
        assert torch.equal(rearranger.attention_bias(), other.attention_bias())
        assert not torch.equal(rearranger.attention_bias(), old)
        assert rearranger.attention_bias() is rearranger.attention_bias()
        assert rearranger.double().attention_bias().dtype == torch.float64


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    module = Rearranger(SIZES)
    with torch.no_grad():
        for head in (module.tokens, module.fine_tokens):
            head.change.weight.normal_()
    memory, target = remember(module), proxy(seed=5)
    module.refine(features(16, 4, seed=3), proxy().probs, target, memory).map.square().sum().backward(retain_graph=True)
    made = module(target, memory)
    (made.map.square().sum() + made.rgb.square().sum()).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)] == []


@pytest.mark.parametrize("changes", [{"channels": 0}, {"dim": 10**9}, {"proxy_resolution": 20}, {"fine_resolution": 12}, {"w_dim": -3}])
def test_hostile_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="The rearranger's"):
        replace(SIZES, **changes)
