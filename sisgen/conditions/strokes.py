"""What conditions of drawn lines share: ink on paper whatever the colours, without shading, specks and filled areas."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from sisgen.nets.lines import gaussian_blur

PAPER_CELLS = 32  # a side; shading is smoother than this
CLOSED = 5  # cells; what is narrower than this is no paper
FAINTEST = 0.06  # ink that is less than this share of the paper's brightness is noise
PALEST = 0.12  # contrast that the darkest lines of a drawing must reach, or it counts as blank
SPECK = 5  # pixels of 128 that a mark needs, or it is dirt
SOLID = 5  # side of a box that only filled areas fill, in pixels of 128


def find_ink(gray: torch.Tensor) -> torch.Tensor:
    """Separate lines from paper, dark on light or light on dark, evenly lit or not.

    Args:
        gray: float [1, 1, H, H] in [0, 1].

    Returns:
        Float [1, 1, H, H], the share by which a pixel is darker (or lighter) than the paper around it, in [0, 1].
    """
    if float(_border(gray).median()) < 0.5 and float(gray.median()) < 0.5:
        gray = 1 - gray
    # Paper: lines closed up, smooth; a photographed page is darker in its corners.
    step = max(1, gray.shape[-1] // PAPER_CELLS)
    brightest = F.max_pool2d(gray, step, stride=step, ceil_mode=True)
    closed = -F.max_pool2d(-F.max_pool2d(brightest, CLOSED, stride=1, padding=CLOSED // 2), CLOSED, stride=1, padding=CLOSED // 2)
    paper = F.interpolate(gaussian_blur(closed, 1.0), size=gray.shape[-2:], mode="bilinear", align_corners=False)
    return (1 - gray / paper.clamp_min(0.05)).clamp(0, 1)


def even_out(ink: torch.Tensor) -> torch.Tensor:
    """Bring the strength of lines [1, 1, H, H] to [0, 1], pencil or ink; nothing but 0 for a blank page."""
    drawn = ink[ink > FAINTEST]
    if drawn.numel() < SPECK or float(ink.amax()) < PALEST:
        return torch.zeros_like(ink)
    top = max(float(torch.quantile(drawn[:: max(1, drawn.numel() // 100_000)], 0.8)), PALEST)
    return ((ink - FAINTEST) / (0.9 * top - FAINTEST)).clamp(0, 1)


def hollow(lines: torch.Tensor) -> torch.Tensor:
    """Leave the outline of filled areas and lines as they are: [1, 1, H, H] -> the same."""
    side = max(3, round(SOLID * lines.shape[-1] / 128) // 2 * 2 + 1)
    core = -F.max_pool2d(-F.pad(lines, (side // 2,) * 4), side, stride=1)
    return (lines - core).clamp(0, 1)


def drop_specks(lines: torch.Tensor) -> torch.Tensor:
    """Remove marks [1, 1, H, H] of a few pixels: dust, grain, JPEG noise."""
    import cv2

    marks = (lines[0, 0].numpy() > 0.15).astype(np.uint8)
    _, index, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= SPECK * (lines.shape[-1] / 128)
    large[0] = True  # what belongs to no mark
    return lines * torch.from_numpy(large[index]).float()


def _border(maps: torch.Tensor) -> torch.Tensor:
    width = max(1, maps.shape[-1] // 32)
    parts = (maps[..., :width, :], maps[..., -width:, :], maps[..., :, :width], maps[..., :, -width:])
    return torch.cat([part.flatten() for part in parts])
