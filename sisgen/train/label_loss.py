"""What every trainer of labels minimises: cross-entropy plus soft Dice.

A network that learns classes needs rare ones weighed up, or a short run never finds them: after five minutes of `sisgen adapt` without
weights, noses were gone. Weights that stay make it read small classes too large wherever it is in doubt, so that in long runs they fade
(`faded`) until every pixel counts alike.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

GREATEST_WEIGHT = 4.0
FADE = 0.5  # share of a run over which class weights fade


def class_weights(labels: torch.Tensor, num_labels: int, power: float) -> torch.Tensor:
    """Weigh classes by (median share / own share) ** power, so that brows count beside backgrounds.

    Args:
        labels: integer labels of any shape, taken as typical.
        num_labels: L.
        power: 0 = all alike, 1 = every class weighs the same in total.

    Returns:
        Float [L] in [1/4, 4]; a class that never occurs gets 1.
    """
    counts = torch.bincount(labels[labels >= 0].flatten(), minlength=num_labels).double()
    held = counts > 0
    weights = torch.ones(num_labels, dtype=torch.float64)
    weights[held] = (counts[held].median() / counts[held]) ** power
    return weights.clamp(1 / GREATEST_WEIGHT, GREATEST_WEIGHT).float()


def faded(weights: torch.Tensor, progress: float, over: float) -> torch.Tensor:
    """Bring class weights [L] evenly to 1.

    Args:
        weights: at the start.
        progress: of the run, in [0, 1].
        over: share of the run after which all are 1; 0 leaves them as they are.
    """
    return weights.pow(max(0.0, 1 - progress / over)) if over else weights


def soft_dice(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Give 1 - the mean soft Dice over the classes that the batch holds; labels may hold -1, which counts nowhere."""
    known = (labels >= 0)[:, None]
    probs = logits.softmax(dim=1) * known
    target = torch.zeros_like(probs).scatter_(1, labels.clamp_min(0)[:, None], 1.0) * known
    both, sizes = (probs * target).sum(dim=(0, 2, 3)), (probs + target).sum(dim=(0, 2, 3))
    held = target.sum(dim=(0, 2, 3)) > 0
    dice = (2 * both + 1) / (sizes + 1)
    return (1 - dice)[held].mean() if bool(held.any()) else logits.sum() * 0


def label_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, dice: float) -> torch.Tensor:
    """Weighted cross-entropy plus `dice` times soft Dice.

    Args:
        logits: float [B, L, H, W].
        labels: int64 [B, H, W]; -1 is left out.
        weights: of the classes in cross-entropy, float [L].
        dice: weight of the Dice term.

    Returns:
        A scalar; 0 where no label counts.
    """
    if not bool((labels >= 0).any()):
        return logits.sum() * 0
    entropy = F.cross_entropy(logits, labels, weight=weights, ignore_index=-1)
    return entropy + dice * soft_dice(logits, labels) if dice else entropy
