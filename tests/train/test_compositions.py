"""Masks that no sample has: what comes from where."""

import torch

from sisgen.train.compositions import ComposeConfig, compose_masks
from sisgen.train.proxies import WarpConfig

STILL = WarpConfig(p_flip=0.0, rotation=0.0, scale=0.0, shift=0.0, elastic=0.0, bulge=0.0)


def sources(num: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(num)]


def masks() -> torch.Tensor:
    """Class 0 with a large square of class 1 or 2, and an eye of class 3."""
    labels = torch.zeros(2, 32, 32, dtype=torch.int64)
    labels[0, 4:24, 4:24] = 1
    labels[1, 12:30, 12:30] = 2
    labels[:, 14:16, 14:16] = 3
    return labels


def test_one_class_of_the_other_mask_is_laid_over_where_it_is() -> None:
    labels = masks()
    composed = compose_masks(labels, 4, sources(2), ComposeConfig(parts=1, p_keep=0.0, warp=STILL))
    for own, other, found in zip(labels, labels.flip(0), composed):
        changed = found != own
        laid = found[changed].unique()
        assert len(laid) <= 1  # one part
        if len(laid):
            assert torch.equal(found == laid, (own == laid) | (other == laid))


def test_small_parts_come_back_on_top() -> None:
    labels = masks()
    for seed in range(5):
        drawers = [torch.Generator().manual_seed(10 * seed + i) for i in range(2)]
        composed = compose_masks(labels, 4, drawers, ComposeConfig(parts=3, p_keep=1.0, warp=STILL))
        assert bool((composed[labels == 3] == 3).all())


def test_the_same_drawers_compose_the_same_and_others_do_not() -> None:
    labels = masks()
    first, second = compose_masks(labels, 4, sources(2)), compose_masks(labels, 4, sources(2))
    assert torch.equal(first, second) and first.dtype == torch.int64 and first.shape == labels.shape
    assert set(first.unique().tolist()) <= {0, 1, 2, 3}
    others = [torch.Generator().manual_seed(100 + i) for i in range(2)]
    assert not torch.equal(first, compose_masks(labels, 4, others))


def test_a_batch_of_one_takes_its_own_parts() -> None:
    composed = compose_masks(masks()[:1], 4, sources(1))
    assert set(composed.unique().tolist()) <= {0, 1, 3}
