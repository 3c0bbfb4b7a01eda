"""What one stage measures: scores over all pictures, and apart for classes that were drawn but that the style sample lacks."""

from __future__ import annotations

import math
from typing import Any

import torch

from sisgen.metrics.segmentation import confusion_matrix, score

LEAST_SHARE = 0.001  # a class with fewer of a picture's pixels than this counts as missing from it


class StageMeter:
    """Adds up how pictures follow their references.

    Args:
        names: class names, [L].
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        size = len(names)
        self.names = names
        self.pictures = 0
        self.matrix = torch.zeros(size, size, dtype=torch.int64)
        # Intersection and union of a class, over pictures where it was drawn: row 0 = the style sample has it, row 1 = lacks it.
        self._split = torch.zeros(2, 2, size, dtype=torch.int64)
        self._drawn = torch.zeros(2, size, dtype=torch.int64)

    def add(self, reference: torch.Tensor, read: torch.Tensor, style: torch.Tensor | None = None) -> None:
        """Count a batch.

        Args:
            reference: int64 [B, H, W], what the pictures should show; -1 counts nowhere.
            read: int64 [B, H, W], what the judge reads in them.
            style: int64 [B, H, W], labels of the plain style samples; `None` where there is none.
        """
        for k in range(len(reference)):
            matrix = confusion_matrix(reference[k], read[k], len(self.names))
            self.matrix += matrix
            self.pictures += 1
            if style is not None:
                self._add_split(matrix, style[k])

    def report(self) -> dict[str, Any]:
        """Give the scores as plain JSON: percent, one decimal; `null` where nothing was drawn."""
        scores = score(self.matrix)
        result: dict[str, Any] = {
            "miou": percent(scores.miou),
            "accuracy": percent(scores.accuracy),
            "per_class": {name: percent(value) for name, value in zip(self.names, scores.iou)},
            "pictures": self.pictures,
        }
        if int(self._drawn.sum()):
            result["style_has_class"] = self._report_split(0)
            result["style_lacks_class"] = self._report_split(1)
        return result

    def _add_split(self, matrix: torch.Tensor, style: torch.Tensor) -> None:
        least = LEAST_SHARE * style.numel()
        in_style = torch.bincount(style[style >= 0].flatten().cpu(), minlength=len(self.names)) >= least
        drawn = matrix.sum(dim=1) >= least
        hits = matrix.diagonal()
        unions = matrix.sum(dim=0) + matrix.sum(dim=1) - hits
        for row, chosen in enumerate((drawn & in_style, drawn & ~in_style)):
            self._split[row] += torch.stack([hits, unions]) * chosen
            self._drawn[row] += chosen

    def _report_split(self, row: int) -> dict[str, Any]:
        hits, unions = self._split[row].double()
        return {
            name: {"iou": percent(float(hits[c] / unions[c])), "pictures": int(self._drawn[row, c])}
            for c, name in enumerate(self.names)
            if int(self._drawn[row, c])
        }


def percent(value: float) -> float | None:
    """Turn a share into percent with one decimal; NaN becomes `None`."""
    return None if math.isnan(value) else round(100 * value, 1)


def show_percent(value: float | None) -> str:
    """Write a score for a table: one decimal, a dash where there is none."""
    return "-" if value is None else f"{value:.1f}"
