"""Segmentation scores from a confusion matrix: intersection over union of every class, their mean, and pixel accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sisgen.errors import InputError


def confusion_matrix(reference: torch.Tensor, read: torch.Tensor, num_labels: int) -> torch.Tensor:
    """Count pixels by (reference class, read class).

    Args:
        reference: integer labels of any shape; pixels outside [0, L) (unpainted) are left out.
        read: integer labels of the same shape, in [0, L).
        num_labels: L.

    Returns:
        int64 [L, L], rows = reference, columns = read.

    Raises:
        InputError: the shapes differ, or a read label lies outside [0, L).
    """
    if reference.shape != read.shape:
        raise InputError(f"Both label maps must have one shape, but they have {list(reference.shape)} and {list(read.shape)}; resize one.")
    known = (reference >= 0) & (reference < num_labels)
    rows, columns = reference[known].long(), read[known].long()
    if len(columns) and not 0 <= int(columns.min()) <= int(columns.max()) < num_labels:
        span = f"they reach from {int(columns.min())} to {int(columns.max())}"
        raise InputError(f"Read labels must lie in [0, {num_labels}), but {span}; check the reader.")
    counts = torch.bincount(rows * num_labels + columns, minlength=num_labels**2)
    return counts.reshape(num_labels, num_labels).cpu()


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationScore:
    """What a confusion matrix says.

    Attributes:
        miou: mean intersection over union over the classes that the reference holds, in [0, 1]; NaN when it holds none.
        accuracy: share of pixels read as the reference says, in [0, 1]; NaN without pixels.
        iou: one a class; NaN for a class that the reference does not hold.
        pixels: reference pixels, one a class.
    """

    miou: float
    accuracy: float
    iou: tuple[float, ...]
    pixels: tuple[int, ...]

    def by_name(self, names: tuple[str, ...]) -> dict[str, float]:
        """Intersection over union of the classes that the reference holds, under their names."""
        return {name: value for name, value, count in zip(names, self.iou, self.pixels) if count}


def score(matrix: torch.Tensor) -> SegmentationScore:
    """Score a confusion matrix [L, L] (rows = reference)."""
    counts = matrix.double()
    hits, held = counts.diagonal(), counts.sum(dim=1)
    iou = hits / (held + counts.sum(dim=0) - hits)
    iou = torch.where(held > 0, iou, torch.nan)
    present = iou[held > 0]
    return SegmentationScore(
        miou=float(present.mean()) if len(present) else float("nan"),
        accuracy=float(hits.sum() / held.sum()) if held.sum() > 0 else float("nan"),
        iou=tuple(iou.tolist()),
        pixels=tuple(int(n) for n in held.tolist()),
    )


class ConfusionMeter:
    """Adds up a confusion matrix over batches."""

    def __init__(self, num_labels: int) -> None:
        self.matrix = torch.zeros(num_labels, num_labels, dtype=torch.int64)

    def add(self, reference: torch.Tensor, read: torch.Tensor) -> None:
        """Count a batch of label maps; see `confusion_matrix`."""
        self.matrix += confusion_matrix(reference, read, len(self.matrix))

    def score(self) -> SegmentationScore:
        """Score everything that was added."""
        return score(self.matrix)
