"""Self-agreement: how well the labels that a model's own reader finds in a picture agree with the drawing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sisgen.metrics.segmentation import confusion_matrix, score
from sisgen.types import Agreement


def agreement(drawn: torch.Tensor, read: torch.Tensor, names: Sequence[str]) -> tuple[Agreement, ...]:
    """Compare drawings with what was read back, painted pixels only.

    Args:
        drawn: int64 [B, H, W], -1 where nothing was drawn; one drawing ([1, H, W]) serves all pictures.
        read: int64 [B, H, W].
        names: class names, [L].

    Returns:
        One `Agreement` a picture; empty when nothing at all was drawn.
    """
    if not bool((drawn >= 0).any()):
        return ()
    results = []
    for one, back in zip(drawn.expand(len(read), -1, -1), read):
        scores = score(confusion_matrix(one, back, len(names)))
        results.append(Agreement(miou=scores.miou, accuracy=scores.accuracy, per_class=scores.by_name(tuple(names))))
    return tuple(results)
