"""The drawings of one request: one condition or several with weights, checked against what a model reads, blended in proxy space."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.errors import InputError
from sisgen.shapes import UNPAINTED, check_shape
from sisgen.types import Condition

MOST = 8  # drawings of one request
EMPTY_AREA = 1e-6  # total weight below which no drawing decides a place


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawings:
    """Conditions of one request, none of them blank.

    Attributes:
        conditions: one or more.
        weights: one a condition, summing to 1.
    """

    conditions: tuple[Condition, ...]
    weights: tuple[float, ...]

    @property
    def kind(self) -> str:
        """The kinds, joined by "+"."""
        return "+".join(condition.kind for condition in self.conditions)

    @property
    def labels(self) -> torch.Tensor | None:
        """The labels of the first condition that has any: what a picture can be compared with."""
        return next((condition.labels for condition in self.conditions if condition.labels is not None), None)

    def rows(self, first: int, count: int) -> Drawings:
        """The part that belongs to a chunk of seeds."""
        return Drawings(conditions=tuple(_rows(condition, first, count) for condition in self.conditions), weights=self.weights)


def check_drawings(
    given: Condition | Sequence[Condition] | None,
    weights: Sequence[float] | None,
    num_seeds: int,
    *,
    name: str,
    shapes: Mapping[str, tuple[int, int, int]],
    pictures: int | None = None,
) -> Drawings | None:
    """Check the drawings of a request; blank ones fall away.

    Args:
        given: one condition or several, each of one drawing for all seeds or of one a seed; `None` for none.
        weights: at least 0, one a condition; `None` weighs all alike.
        num_seeds: pictures of the request.
        name: the model's name.
        shapes: kind -> shape [C, H, W] of its maps, for the kinds that the model reads.
        pictures: side of the model's pictures; drawings that were made at it are brought to `shapes`. `None` takes none of another size.

    Returns:
        What is to be followed; `None` where nothing was drawn, or nothing has a weight.

    Raises:
        InputError: a kind that the model does not read, a shape, a number or a weight that does not fit.
    """
    if given is None:
        return None
    conditions = (given,) if isinstance(given, Condition) else tuple(given)
    if len(conditions) > MOST:
        raise InputError(f"At most {MOST} drawings make one picture, but {len(conditions)} came; leave some out.")
    shares = _check_weights(weights, len(conditions))
    conditions = tuple(_fit(condition, shapes, pictures) for condition in conditions)
    for condition in conditions:
        _check_condition(condition, num_seeds, name, shapes)
    drawn = [(condition, share) for condition, share in zip(conditions, shares) if share > 0 and not _is_blank(condition)]
    total = sum(share for _, share in drawn)
    if not drawn:
        return None
    return Drawings(conditions=tuple(condition for condition, _ in drawn), weights=tuple(share / total for _, share in drawn))


def blend_drawings(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], weights: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend what several drawings want; where only some of them decide, the others have no say.

    Args:
        parts: of every drawing the proxy probabilities [B, K, h, w] and how far it decides a place [B, 1, h, w] in [0, 1].
        weights: one a drawing, summing to 1.

    Returns:
        Probabilities [B, K, h, w] and how far any drawing decides a place [B, 1, h, w].
    """
    if len(parts) == 1:
        return parts[0]
    shares = [weight * covered for weight, (_, covered) in zip(weights, parts)]
    total = torch.stack(shares).sum(dim=0)
    blended = torch.stack([share * probs for share, (probs, _) in zip(shares, parts)]).sum(dim=0) / total.clamp_min(EMPTY_AREA)
    covered = torch.stack([covered for _, covered in parts]).amax(dim=0)
    return blended, covered * (total > EMPTY_AREA)


def _check_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    if weights is None:
        return [1.0] * count
    weights = list(weights)
    if len(weights) != count:
        raise InputError(f"One weight a drawing is needed, but there are {len(weights)} for {count}; give as many.")
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, numbers.Real) or not math.isfinite(weight) or weight < 0:
            raise InputError(f"A weight must be a number of at least 0, but it is {str(weight)[:40]}.")
    return [float(weight) for weight in weights]


def _check_condition(condition: Condition, num_seeds: int, name: str, shapes: Mapping[str, tuple[int, int, int]]) -> None:
    if condition.kind not in shapes:
        known = ", ".join(shapes)
        came = f"but a {condition.kind} came; draw a {next(iter(shapes))} or take another model."
        raise InputError(f"The model {name!r} reads {known}, {came}")
    check_shape("condition.map", condition.map, (None, *shapes[condition.kind]))
    if condition.map.shape[0] not in (1, num_seeds):
        raise InputError(f"One drawing or one a seed is needed, but there are {condition.map.shape[0]} for {num_seeds} seeds.")
    if not math.isfinite(float(condition.map.sum())):  # a sum is several times faster than a look at each
        maker = f"{condition.kind}_condition"
        raise InputError(f"The condition must hold finite numbers, but it holds NaN or infinity; make it with {maker}.")


def _fit(condition: Condition, shapes: Mapping[str, tuple[int, int, int]], pictures: int | None) -> Condition:
    """Bring a drawing of the pictures' size to the size that the model reads, where that is smaller."""
    size = shapes.get(condition.kind, (0, 0, 0))[-1]
    if pictures is None or condition.map.ndim != 4 or condition.map.shape[-2:] != (pictures, pictures) or not 0 < size < pictures:
        return condition
    pool = F.adaptive_avg_pool2d if condition.kind in ("mask", "depth") else F.adaptive_max_pool2d  # thin strokes stay whole
    labels = condition.labels
    if labels is not None:
        labels = F.interpolate(labels[:, None].double(), size=(size, size), mode="nearest-exact")[:, 0].long()
    return Condition(kind=condition.kind, map=pool(condition.map, size), labels=labels)


def _is_blank(condition: Condition) -> bool:
    """Whether nothing was drawn at all."""
    if condition.labels is not None and bool((condition.labels != UNPAINTED).any()):
        return False
    return not bool(condition.map.any())


def _rows(condition: Condition, first: int, count: int) -> Condition:
    if condition.map.shape[0] == 1:
        return condition
    labels = None if condition.labels is None else condition.labels[first : first + count]
    return Condition(kind=condition.kind, map=condition.map[first : first + count], labels=labels)
