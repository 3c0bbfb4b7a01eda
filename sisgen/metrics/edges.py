"""How well the lines of a picture are those that were drawn: precision, recall and F at a tolerance of pixels.

Unlike the protocol of BSDS (`sisgen.metrics.boundaries`), matches need not be one to one: thick lines and thin ones may agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.shapes import check_shape

TOLERANCE = 2.0  # pixels
LINE = 0.4  # strength from which on a soft line counts


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeAgreement:
    """How lines that were found agree with lines that were drawn.

    Attributes:
        precision: share of the found pixels that lie near a drawn one, in [0, 1]; 1 when nothing was found.
        recall: share of the drawn pixels that lie near a found one, in [0, 1]; 1 when nothing was drawn.
        f: their harmonic mean.
    """

    precision: float
    recall: float
    f: float


def edge_agreement(drawn: torch.Tensor, found: torch.Tensor, *, tolerance: float = TOLERANCE) -> list[EdgeAgreement]:
    """Compare lines, one picture after the other.

    Args:
        drawn: float [B, 1, H, W] in [0, 1], 1 = line.
        found: lines read back from the pictures, of the same shape.
        tolerance: Euclidean distance in pixels up to which pixels agree.

    Raises:
        InputError: the shapes differ.
    """
    check_shape("drawn", drawn, (None, 1, None, None))
    check_shape("found", found, tuple(drawn.shape))
    wanted, have = (maps.float() >= LINE for maps in (drawn, found))
    precision = _share(have & near(wanted, tolerance), have)
    recall = _share(wanted & near(have, tolerance), wanted)
    f = 2 * precision * recall / (precision + recall).clamp_min(1e-12)
    rows = zip(precision.tolist(), recall.tolist(), f.tolist())
    return [EdgeAgreement(precision=p, recall=r, f=score) for p, r, score in rows]


def near(lines: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Mark every pixel with a line within `tolerance` pixels: bool [B, 1, H, W] -> the same."""
    reach = int(tolerance)
    steps = torch.arange(-reach, reach + 1, device=lines.device)
    disk = (steps[:, None].square() + steps[None].square() <= tolerance**2).float()
    return F.conv2d(lines.float(), disk[None, None], padding=reach) > 0.5


def _share(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Count `part` over `whole`, a picture at a time: [B]; 1 where there is nothing to count."""
    total = whole.flatten(1).sum(dim=1).double()
    return torch.where(total > 0, part.flatten(1).sum(dim=1).double() / total.clamp_min(1), torch.ones_like(total))
