"""Segmentation scores against numbers worked out by hand."""

import math

import pytest
import torch

from sisgen.errors import InputError
from sisgen.metrics.segmentation import ConfusionMeter, confusion_matrix, score

REFERENCE = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, -1]]])
READ = torch.tensor([[[0, 1, 1, 1], [0, 0, 0, 2]]])


def test_confusion_matrix_leaves_unpainted_out() -> None:
    matrix = confusion_matrix(REFERENCE, READ, 3)
    assert matrix.tolist() == [[3, 1, 0], [1, 2, 0], [0, 0, 0]]


def test_score_by_hand() -> None:
    scores = score(confusion_matrix(REFERENCE, READ, 3))
    assert scores.iou[:2] == pytest.approx((3 / 5, 2 / 4))
    assert math.isnan(scores.iou[2])
    assert scores.miou == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert scores.accuracy == pytest.approx(5 / 7)
    assert scores.pixels == (4, 3, 0)
    assert scores.by_name(("sky", "sea", "sun")) == pytest.approx({"sky": 0.6, "sea": 0.5})


def test_a_class_read_where_the_reference_has_none_costs_the_others_only() -> None:
    scores = score(confusion_matrix(torch.zeros(1, 2, 2), torch.tensor([[[0, 0], [0, 1]]]), 2))
    assert scores.miou == pytest.approx(3 / 4)


def test_meter_equals_one_call() -> None:
    meter = ConfusionMeter(3)
    meter.add(REFERENCE[..., :2], READ[..., :2])
    meter.add(REFERENCE[..., 2:], READ[..., 2:])
    assert torch.equal(meter.matrix, confusion_matrix(REFERENCE, READ, 3))


def test_nothing_painted_gives_nan() -> None:
    scores = score(confusion_matrix(torch.full((1, 2, 2), -1), torch.zeros(1, 2, 2), 2))
    assert math.isnan(scores.miou) and math.isnan(scores.accuracy)


def test_refusals() -> None:
    with pytest.raises(InputError, match="one shape"):
        confusion_matrix(REFERENCE, READ[..., :1], 3)
    with pytest.raises(InputError, match="reach from 0 to 2"):
        confusion_matrix(torch.zeros(1, 2, 4), READ, 2)
