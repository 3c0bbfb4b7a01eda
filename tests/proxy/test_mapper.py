"""The mask mapper: shapes, what it sees, and how unpainted places are filled."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig, blend_proxies, fill_unpainted

TINY = MaskMapperConfig(num_labels=4, num_clusters=5, resolution=32, proxy_resolution=16, width=8)


def tiny(**changes: int) -> MaskMapper:
    torch.manual_seed(0)
    return MaskMapper(replace(TINY, **changes)).eval().requires_grad_(False)


def one_hot(batch: int = 2, seed: int = 0) -> torch.Tensor:
    labels = torch.randint(0, 4, (batch, 4, 4), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(labels, 4).permute(0, 3, 1, 2).float().repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


@pytest.mark.parametrize("proxy_resolution", [8, 16, 32])
def test_logits_lie_on_the_proxy_grid(proxy_resolution: int) -> None:
    mapper = tiny(proxy_resolution=proxy_resolution)
    assert mapper(one_hot()).shape == (2, 5, proxy_resolution, proxy_resolution)
    probs = mapper.read(one_hot()).probs
    assert torch.allclose(probs.sum(dim=1), torch.ones_like(probs[:, 0]), atol=1e-5)


def test_a_single_pixel_is_seen_and_the_whole_picture_too() -> None:
    mapper, mask = tiny(), one_hot(1)
    changed = mask.clone()
    changed[:, :, 13, 7] = torch.tensor([0.0, 0.0, 0.0, 1.0]) if mask[0, 3, 13, 7] == 0 else torch.tensor([1.0, 0.0, 0.0, 0.0])
    difference = (mapper(changed) - mapper(mask)).abs().amax(dim=1)[0]
    assert float(difference[6, 3]) > 1e-4  # there
    assert float(difference[-1, -1]) > 0  # and far away, through the view of the whole


def test_a_drawing_does_not_depend_on_its_batch() -> None:
    mapper, masks = tiny(), one_hot(3)
    assert torch.allclose(mapper(masks)[1:2], mapper(masks[1:2]), atol=1e-5)


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"mask must have the shape \[any, 4, 32, 32\]"):
        tiny()(one_hot()[:, :, :16])


@pytest.mark.parametrize(
    "changes", [{"num_labels": 0}, {"num_clusters": 10**9}, {"width": 0}, {"resolution": 30}, {"proxy_resolution": 64}]
)
def test_hostile_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="A mapper's"):
        replace(TINY, **changes)


@torch.no_grad()
def test_wanted_rows_are_those_of_the_whole_answer_and_a_leaning_is_added() -> None:
    mapper, mask = MaskMapper(TINY), one_hot()
    leaning = torch.randn(2, TINY.num_clusters)
    whole = mapper(mask)
    assert torch.allclose(mapper(mask, leaning, slice(4, 10)), (whole + leaning[:, :, None, None])[:, :, 4:10], atol=1e-5)
    assert torch.allclose(mapper.read(mask, rows=slice(0, 2)).probs, whole.softmax(dim=1)[:, :, :2], atol=1e-6)


def test_unpainted_places_are_filled_from_the_samples_own_mask() -> None:
    mask = torch.zeros(1, 3, 1, 3)
    mask[0, 2, 0, 0] = 1.0  # wholly painted as 2
    mask[0, 1, 0, 1] = 0.25  # a quarter painted as 1
    own = torch.tensor([[[0, 0, 1]]])
    whole, painted = fill_unpainted(mask, own)
    assert torch.equal(painted[0, 0, 0], torch.tensor([1.0, 0.25, 0.0]))
    assert torch.allclose(whole[0, :, 0].t(), torch.tensor([[0.0, 0.0, 1.0], [0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]))


def test_a_whole_drawing_stays_as_it_is() -> None:
    mask = one_hot()
    whole, painted = fill_unpainted(mask, torch.zeros(2, 32, 32, dtype=torch.int64))
    assert torch.equal(whole, mask) and painted is None


def test_proxies_blend_by_place_or_by_number() -> None:
    drawn, own = torch.rand(2, 5, 4, 4).softmax(dim=1), torch.rand(2, 5, 4, 4).softmax(dim=1)
    weight = torch.zeros(2, 1, 4, 4)
    weight[:, :, 1, 2] = 1
    mixed = blend_proxies(drawn, own, weight)
    assert torch.allclose(mixed[..., 1, 2], drawn[..., 1, 2]) and torch.equal(mixed[..., 0, 0], own[..., 0, 0])
    assert torch.allclose(blend_proxies(drawn, own, 0.25), 0.25 * drawn + 0.75 * own)
    assert torch.equal(blend_proxies(drawn, own, 0.0), own)
