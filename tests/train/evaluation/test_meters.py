"""What a stage measures, by hand."""

import torch

from sisgen.train.evaluation.meters import StageMeter


def test_classes_that_the_style_lacks_are_reported_apart() -> None:
    meter = StageMeter(("sky", "hat"))
    mask = torch.tensor([[[0, 0], [1, 1]]])
    with_hat, without = mask, torch.zeros_like(mask)
    meter.add(mask, mask, style=with_hat)
    meter.add(mask, without, style=without)
    report = meter.report()
    assert report["pictures"] == 2
    assert report["style_has_class"] == {"sky": {"iou": 66.7, "pictures": 2}, "hat": {"iou": 100.0, "pictures": 1}}
    assert report["style_lacks_class"] == {"hat": {"iou": 0.0, "pictures": 1}}
    assert report["accuracy"] == 75.0
    assert report["per_class"] == {"sky": 66.7, "hat": 50.0}


def test_a_class_that_nobody_drew_is_null() -> None:
    meter = StageMeter(("sky", "hat"))
    meter.add(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    assert meter.report()["per_class"] == {"sky": 100.0, "hat": None}
    assert "style_lacks_class" not in meter.report()
