"""What a drawing leaves open is decided as the style sample has it.

A mask says "background", and clusters tell dark backdrops from light ones: a mapper that never saw the style answers with the average.
Bayes' rule brings the style in without training: p(cluster | drawing, style) is p(cluster | drawing) times p(cluster | style) / p(cluster),
where the first factor is the mapper's, and the second compares how much of *this* sample a cluster owns with how much of an average one.
Where the drawing repeats the sample's own class, the sample's own arrangement is the answer.
"""

from __future__ import annotations

import torch

TRUST = 0.5  # exponent of the ratio: rare parts must stay drawable on samples that have none; of 0, 0.5, 1 on validation
LIMIT = 8.0  # greatest ratio either way
RARE = 2e-3  # share below which clusters count as alike


def lean_on(own: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Weigh clusters by what a style sample has of them; the outcome is added to a mapper's logits.

    Args:
        own: proxy masks of the style samples [B, K, h, w].
        shares: of an average sample [K]; all 0 where they are not known.

    Returns:
        Logarithms of the factors [B, K], 0 where the sample is like the average, or where nothing is known.
    """
    if not bool(shares.any()):
        return torch.zeros(own.shape[:2], device=own.device)
    ratio = (own.mean(dim=(2, 3)) + RARE) / (shares + RARE)
    return TRUST * ratio.clamp(1 / LIMIT, LIMIT).log()
