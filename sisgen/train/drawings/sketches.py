"""Lines made from samples: sketches as a person draws them, Canny maps and soft edges as tools give them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from sisgen.data.degrade import draw
from sisgen.nets.lines import canny, edge_strength, gaussian_blur, luminance, soft_edges
from sisgen.train.drawings.fields import kept, smooth_field, thicken, wobble

STRONG = 0.8  # Sobel magnitude of the strongest edges of a crisp picture
ROUNDS = 24  # of edge tracking: a drawing needs no more


def draw_canny(images: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Find Canny edges at random thresholds; some maps have gaps or doubled lines, as uploads have.

    Args:
        images: float [B, 3, H, W] in [-1, 1].
        sources: one random generator a sample, on the CPU.

    Returns:
        Float [B, 1, H, W], 0 or 1.
    """
    u = draw(sources, 5, device=images.device)
    gray = luminance(images)
    low = (0.05 + 0.22 * u[:, 0])[:, None, None, None] * _softness(gray)
    lines = canny(gray, low, low * (1.5 + 1.5 * u[:, 1])[:, None, None, None], rounds=ROUNDS)
    lines = thicken(lines, torch.where(u[:, 2] < 0.2, 2, 1))
    share = torch.where(u[:, 3] < 0.3, 0.6 + 0.4 * u[:, 4], torch.ones_like(u[:, 3]))
    return lines * kept(sources, images.shape[-1], share).to(lines)


def draw_soft_edges(images: torch.Tensor, sources: Sequence[torch.Generator], found: torch.Tensor | None = None) -> torch.Tensor:
    """Find soft edges, and vary them as detectors differ: strength, contrast, sharpness.

    Args:
        images: float [B, 3, H, W] in [-1, 1].
        sources: one random generator a sample, on the CPU.
        found: float [B, 1, H, W] in [0, 1], what an edge network found; `None` takes gradients of several scales.

    Returns:
        Float [B, 1, H, W] in [0, 1].
    """
    u = draw(sources, 4, device=images.device)[:, :, None, None, None]
    if found is None:
        found = soft_edges(images)
        sharp = found * (F.max_pool2d(found, 3, 1, 1) <= found * 1.05)  # ridges alone, as thinned maps
        found = torch.lerp(found, gaussian_blur(sharp, 0.8) * 2, u[:, 0] * 0.7)
    found = (found * (0.7 + 0.6 * u[:, 1])).clamp(0, 1)
    return found.clamp_min(1e-4) ** (0.7 + 0.8 * u[:, 2])


def draw_sketches(images: torch.Tensor, labels: torch.Tensor, num_labels: int, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Draw lines as a person does: of the picture, of its regions or of both, simplified, unsure, incomplete, in pencil or ink.

    Args:
        images: float [B, 3, H, W] in [-1, 1].
        labels: int64 [B, H, W], the regions.
        num_labels: L.
        sources: one random generator a sample, on the CPU.

    Returns:
        Float [B, 1, H, W] in [0, 1], 1 = line.
    """
    size = images.shape[-1]
    unit = size / 128
    u = draw(sources, 10, device=images.device)

    # Which lines: a third of the picture, a third of the regions, a third of both.
    of_picture = _strong_lines(images, u[:, 0], u[:, 1])
    of_regions = _borders(labels, draw(sources, num_labels, device=images.device) < 1.2 - 0.7 * u[:, 2:3])
    choice = (u[:, 3] * 3).long()[:, None, None, None]
    lines = torch.where(choice == 0, of_picture, torch.where(choice == 1, of_regions, torch.maximum(of_picture, of_regions)))

    # Missing parts, and gaps.
    share = torch.where(u[:, 4] < 0.3, 0.6 + 0.4 * u[:, 5], torch.ones_like(u[:, 4]))
    lines = lines * kept(sources, size, share, cells=5).to(lines) * kept(sources, size, 0.8 + 0.2 * u[:, 6]).to(lines)

    # Width, wobble, and the pen: ink is even, pencil is grey and grainy.
    lines = thicken(lines, (1 + u[:, 7] * 3.99 * unit).long().clamp_min(1))
    lines = wobble(lines, sources, 3.0 * unit * u[:, 8].square()).clamp(0, 1)
    pressure = 1 - u[:, 9][:, None, None, None] * (0.25 + 0.35 * smooth_field(sources, 10, size).to(lines).abs())
    return (lines * pressure).clamp(0, 1)


def _strong_lines(images: torch.Tensor, simple: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Canny lines of the picture, without its fine detail where `simple` [B] is large."""
    gray = luminance(images)
    gray = torch.lerp(gray, gaussian_blur(gray, 1.5 * images.shape[-1] / 128), simple[:, None, None, None])
    level = (0.08 + 0.3 * low)[:, None, None, None] * _softness(gray)
    return canny(gray, level, 2 * level, sigma=1.4, rounds=ROUNDS)


def _softness(gray: torch.Tensor) -> torch.Tensor:
    """How far thresholds must come down for a soft picture to have lines at all: [B, 1, 1, 1] in [0.15, 1]."""
    top = edge_strength(gaussian_blur(gray, 1.4)).flatten(1).quantile(0.97, dim=1)
    return (top / STRONG).clamp(0.15, 1.0)[:, None, None, None]


def _borders(labels: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """One-pixel borders of the regions of chosen classes [B, L]: float [B, 1, H, W]."""
    inside = chosen.gather(1, labels.flatten(1)).reshape(labels.shape)
    result = torch.zeros_like(inside)
    for axis in (1, 2):
        here, there = labels.narrow(axis, 0, labels.shape[axis] - 1), labels.narrow(axis, 1, labels.shape[axis] - 1)
        either = inside.narrow(axis, 0, labels.shape[axis] - 1) | inside.narrow(axis, 1, labels.shape[axis] - 1)
        result.narrow(axis, 0, labels.shape[axis] - 1).logical_or_((here != there) & either)
    return result[:, None].float()


def edge_difference(images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Tell how far the edges of pictures [B, 3, H, W] are from those of others, whatever the colours: a scalar in [0, 1)."""
    return (edge_view(images) - edge_view(wanted)).abs().mean()


def edge_view(images: torch.Tensor) -> torch.Tensor:
    """Show where edges are, whatever the colours, with a gradient everywhere: [B, 3, H, W] -> [B, 1, H, W] in [0, 1)."""
    strength = edge_strength(gaussian_blur(luminance(images), 1.0))
    strength = gaussian_blur(strength, images.shape[-1] / 128)
    return strength / (strength + 0.15)
