"""Directions of measured attributes: the normal of a linear classifier, as in InterFaceGAN (Shen et al., CVPR 2020, sec. 2.2).

The classifier sees whitened w, and its normal is carried back by the square root of w's covariance: a step along it leads to other
likely styles, where the normal in w itself would also leave the places that the generator knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sisgen.editing.directions import Direction
from sisgen.errors import InputError

EXTREMES = 0.3  # share of the samples at either end that is told apart
FEWEST = 60  # samples that must show a class
HELD_OUT = 4  # every fourth sample only tests
SURE = 0.75  # share of held-out samples that must be told apart


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LearnedDirection:
    """A direction and how well its attribute can be told from w: `accuracy` on held-out samples, 0.5 = not at all."""

    direction: Direction
    accuracy: float


def attribute_directions(
    w: torch.Tensor, attributes: Mapping[str, torch.Tensor], *, accuracy: float = SURE, names: Sequence[str] | None = None
) -> list[LearnedDirection]:
    """Learn a direction an attribute.

    Args:
        w: float [N, D], not truncated.
        attributes: name -> float [N], NaN where it does not apply.
        accuracy: attributes that are told apart less well are left out.
        names: which attributes; `None` takes all.

    Returns:
        Directions towards more of the attribute, in the order of `attributes`.

    Raises:
        InputError: there are too few samples.
    """
    if len(w) < 4 * FEWEST:
        raise InputError(f"Directions of attributes need at least {4 * FEWEST} samples, but {len(w)} came; take more.")
    mean, root, inverse = whitening(w)
    whitened = (w - mean) @ inverse  # [N, d]
    found = []
    for name in attributes if names is None else names:
        fitted = _fit(whitened.numpy(), attributes[name].numpy())
        if fitted is not None and fitted[1] >= accuracy:
            vector = root @ torch.from_numpy(fitted[0]).to(root)  # [D]
            found.append(LearnedDirection(direction=Direction(name=name, vector=vector), accuracy=fitted[1]))
    return found


def whitening(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean [D], the way from whitened to w [D, d], and back [D, d]; dimensions that w hardly uses are left out."""
    values, vectors = torch.linalg.eigh(torch.cov(w.t()))
    used = values > 1e-4 * values.max()
    deviations, axes = values[used].sqrt(), vectors[:, used]
    return w.mean(dim=0), axes * deviations, axes / deviations


def _fit(whitened: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Tell the ends of an attribute apart: the unit normal [d] and the held-out accuracy; `None` where it does not vary."""
    from sklearn.linear_model import LogisticRegression

    shown = np.flatnonzero(np.isfinite(values))
    if len(shown) < FEWEST:
        return None
    low, high = np.quantile(values[shown], [EXTREMES, 1 - EXTREMES])
    chosen = shown[(values[shown] <= low) | (values[shown] >= high)]
    target = values[chosen] >= high
    if not high > low or min(target.sum(), (~target).sum()) < FEWEST // 4:
        return None
    held = np.arange(len(chosen)) % HELD_OUT == 0
    model = LogisticRegression(C=0.02, max_iter=300)
    model.fit(whitened[chosen[~held]], target[~held])
    normal = model.coef_[0] / max(float(np.linalg.norm(model.coef_[0])), 1e-12)
    return normal.astype(np.float32), float(model.score(whitened[chosen[held]], target[held]))
