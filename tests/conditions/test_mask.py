import numpy as np
import pytest
import torch

from sisgen.conditions.mask import crop_box, mask_condition
from sisgen.errors import InputError
from sisgen.types import LabelSet

LABELS = LabelSet(names=("a", "b", "c"), colors=((0, 0, 0), (200, 0, 0), (0, 200, 0)))


def test_same_size_is_one_hot():
    labels = np.random.default_rng(0).integers(-1, 3, (8, 8))

    condition = mask_condition(labels, LABELS, 8)

    assert condition.kind == "mask"
    assert condition.map.shape == (1, 3, 8, 8)
    np.testing.assert_array_equal(condition.labels[0], labels)
    for label in range(3):
        np.testing.assert_array_equal(condition.map[0, label], labels == label)


def test_255_is_unpainted_too():
    labels = np.full((4, 4), 255, dtype=np.uint8)

    condition = mask_condition(labels, LABELS, 4)

    assert (condition.labels == -1).all()
    assert condition.map.abs().sum() == 0


def test_areas_are_pooled_by_hand():
    labels = np.array([[0, 1, 2, 2], [1, 1, 2, -1], [-1, -1, 0, 0], [-1, -1, 0, 0]])

    condition = mask_condition(labels, LABELS, 2)

    expected = torch.tensor([[[0.25, 0], [0, 1]], [[0.75, 0], [0, 0]], [[0, 0.75], [0, 0]]])
    torch.testing.assert_close(condition.map[0], expected)
    assert condition.labels[0].tolist() == [[1, 2], [-1, 0]]


@pytest.mark.parametrize("side", [5, 16, 30, 100, 1000])
def test_area_shares_survive_any_size(side):
    labels = np.zeros((side, side), dtype=np.int64)
    labels[: side // 5] = 1

    condition = mask_condition(labels, LABELS, 16)

    torch.testing.assert_close(condition.map.sum(dim=1), torch.ones(1, 16, 16))
    assert abs(condition.map[0, 1].mean() - (side // 5) / side) < 0.03


def test_equal_shares_go_to_the_first_class_and_unpainted_before_any():
    labels = np.array([[2, 1, -1, 0], [1, 2, 0, -1]])

    assert mask_condition(labels[:, :2], LABELS, 1).labels.tolist() == [[[1]]]
    assert mask_condition(labels[:, 2:], LABELS, 1).labels.tolist() == [[[-1]]]


def test_a_thin_line_survives_a_large_reduction():
    labels = np.zeros((1024, 1024), dtype=np.int64)
    labels[500:504] = 1

    assert mask_condition(labels, LABELS, 128).map[0, 1].max() == pytest.approx(0.5)


def test_a_wide_mask_is_padded_not_stretched():
    condition = mask_condition(np.ones((4, 8), dtype=np.int64), LABELS, 8)

    rows = condition.map[0, 1].sum(dim=1).tolist()
    assert rows == [0, 0, 8, 8, 8, 8, 0, 0]
    assert crop_box(4, 8, 8) == (2, 0, 6, 8)
    assert crop_box(8, 4, 16) == (0, 4, 16, 12)
    assert crop_box(8, 8, 16) == (0, 0, 16, 16)
    assert crop_box(1, 1000, 16) == (8, 0, 9, 16)


def test_several_masks_of_several_sizes():
    condition = mask_condition([np.zeros((4, 4), dtype=np.uint8), np.ones((6, 3), dtype=np.int32)], LABELS, 4)

    assert condition.map.shape == (2, 3, 4, 4)
    assert condition.labels.shape == (2, 4, 4)
    assert condition.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "At least one mask"),
        (np.zeros((2, 0), dtype=int), "at least one pixel"),
        (np.zeros((1, 2, 2, 3), dtype=int), r"\[2, 2, 3\]"),
        (np.zeros((2, 2)), "integers"),
        (np.full((2, 2), 3), "0..2 or -1 for unpainted, but it holds 3"),
        (np.full((2, 2), -2), "but it holds -2"),
    ],
)
def test_bad_masks(labels, message):
    with pytest.raises(InputError, match=message):
        mask_condition(labels, LABELS, 4)
