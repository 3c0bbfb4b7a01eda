"""Class weights and losses of label trainers."""

import pytest
import torch

from sisgen.train.label_loss import class_weights, faded, label_loss, soft_dice


def test_class_weights_by_hand() -> None:
    labels = torch.tensor([0] * 16 + [1] * 4 + [2] * 1 + [-1] * 9)
    assert class_weights(labels, 4, 0.5).tolist() == pytest.approx([0.5, 1.0, 2.0, 1.0])
    assert class_weights(labels, 4, 0.0).tolist() == [1.0] * 4


def test_class_weights_fade_until_pixels_count_alike() -> None:
    weights = torch.tensor([0.25, 1.0, 4.0])
    assert faded(weights, 0.0, 0.5).tolist() == weights.tolist()
    assert faded(weights, 0.25, 0.5).tolist() == pytest.approx([0.5, 1.0, 2.0])
    assert faded(weights, 0.5, 0.5).tolist() == faded(weights, 1.0, 0.5).tolist() == [1.0] * 3
    assert faded(weights, 1.0, 0.0).tolist() == weights.tolist()


def test_perfect_logits_cost_nothing_and_unpainted_counts_nowhere() -> None:
    labels = torch.tensor([[[0, 1], [1, -1]]])
    logits = torch.nn.functional.one_hot(labels.clamp_min(0), 3).permute(0, 3, 1, 2).float() * 50
    assert float(label_loss(logits, labels, torch.ones(3), 0.5)) < 1e-4
    logits[..., 1, 1] = torch.tensor([0.0, 0.0, 99.0])[None, :]
    assert float(label_loss(logits, labels, torch.ones(3), 0.5)) < 1e-4


def test_labels_that_are_all_left_out_cost_and_teach_nothing() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = label_loss(logits, torch.full((2, 4, 4), -1), torch.ones(3), 0.5)
    loss.backward()
    assert float(loss.detach()) == 0 and logits.grad is not None and not bool(logits.grad.any())


def test_dice_of_wrong_logits_is_high() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    wrong = torch.tensor([-50.0, 50.0])[None, :, None, None].expand(1, 2, 8, 8)
    assert float(soft_dice(wrong, labels)) > 0.9
    assert float(soft_dice(wrong, torch.full_like(labels, -1))) == 0
