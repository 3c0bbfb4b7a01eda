"""Class-coloured scribbles made from label maps: skeletons, contours, hatching, cores and free strokes inside the regions.

What a hand does comes on top: strokes wobble across borders, have gaps, and whole classes are missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from sisgen.data.degrade import draw
from sisgen.train.drawings.fields import kept, smooth_field, wobble_grid

DEEPEST = 24  # steps that distances to a region's border are counted, in pixels of 128
STROKES = 3  # free strokes a class
POINTS = 160  # places on a free stroke, close enough to leave no holes
NUM_FORMS = 5  # skeleton, contour, hatching, core, free strokes


def draw_scribbles(labels: torch.Tensor, num_labels: int, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Scribble over label maps.

    Args:
        labels: int64 [B, H, W], H = W.
        num_labels: L.
        sources: one random generator a sample, on the CPU.

    Returns:
        Float [B, L, H, W], one-hot where a stroke is, 0 elsewhere.
    """
    size = labels.shape[-1]
    unit = size / 128
    u = draw(sources, 8, device=labels.device)
    by_class = draw(sources, 5 * num_labels, device=labels.device).reshape(len(sources), 5, num_labels)

    # Centre lines of every class, in a form of its own.
    inner = inner_distance(labels, max(2, round(DEEPEST * unit)))
    deepest = _deepest(labels, inner, num_labels)
    form = _at(by_class[:, 0] * NUM_FORMS, labels).long()
    forms = [
        _skeleton(inner),
        inner == _at((by_class[:, 1] * deepest).ceil().clamp_min(1), labels),
        _hatching(sources, size, u[:, 0:2]).to(labels.device),
        inner >= _at((0.35 + 0.6 * by_class[:, 1]) * deepest, labels),
        free_strokes(labels, num_labels, sources),
    ]
    lines = torch.stack(forms).gather(0, form[None])[0]

    # Gaps, and classes that are missing altogether.
    missing = (2 * u[:, 2] - 1).clamp_min(0)[:, None] * 0.75 > by_class[:, 2]
    stays = kept(sources, size, 0.35 + 0.65 * u[:, 3])[:, 0].to(labels.device) | _at((deepest < 4 * unit).float(), labels).bool()
    code = torch.where(lines & stays & ~_at(missing.float(), labels).bool(), labels + 1, 0)[:, None].float()

    # Wobble, and width: at most what a region's size suggests.
    grid = wobble_grid(sources, size, 3.5 * unit * u[:, 4].square()).to(labels.device)
    code = F.grid_sample(code, grid, mode="nearest", padding_mode="zeros", align_corners=False).round()
    reach = torch.minimum((u[:, 5:6] * 4.99 * unit).floor(), (deepest * (0.4 + 0.6 * by_class[:, 3])).floor())  # [B, L]
    code = _grow(code, reach)
    return F.one_hot(code[:, 0].long(), num_labels + 1)[..., 1:].permute(0, 3, 1, 2).float()


def inner_distance(labels: torch.Tensor, deepest: int) -> torch.Tensor:
    """Count the steps from every pixel of [B, H, W] to its region's border: int64 [B, H, W], 1 at the border, at most `deepest`."""
    coded = labels[:, None].float()
    alive = (F.max_pool2d(coded, 3, 1, 1) == coded) & (-F.max_pool2d(-coded, 3, 1, 1) == coded)
    distance = torch.ones_like(labels)
    inside = alive.float()
    for _ in range(deepest - 1):
        distance += inside[:, 0].long()
        inside = 1 - F.max_pool2d(1 - inside, 3, 1, 1)
    return distance


def free_strokes(labels: torch.Tensor, num_labels: int, sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Draw curves through random places of every region, cut where they leave it: bool [B, H, W]."""
    batch, height, width = labels.shape
    scores = draw(sources, height * width, device=labels.device)  # [B, HW]
    of_class = F.one_hot(labels.flatten(1), num_labels).transpose(1, 2).bool()  # [B, L, HW]
    ranked = torch.where(of_class, scores[:, None], torch.full_like(scores[:, None], -1.0)).topk(3 * STROKES, dim=2)
    y, x = ranked.indices // width, ranked.indices % width
    ends = torch.stack([y, x], dim=-1).float().reshape(batch, num_labels, STROKES, 3, 1, 2)  # three places a curve
    t = torch.linspace(0, 1, POINTS, device=labels.device)[:, None]
    curve = (1 - t) ** 2 * ends[:, :, :, 0] + 2 * t * (1 - t) * ends[:, :, :, 1] + t**2 * ends[:, :, :, 2]  # [B, L, S, POINTS, 2]
    places = (curve[..., 0].round() * width + curve[..., 1].round()).long()
    valid = (ranked.values.reshape(batch, num_labels, STROKES, 3).amin(dim=3) >= 0)[..., None].expand(places.shape)
    own = labels.flatten(1).gather(1, places.flatten(1)) == _ids(places)  # a stroke stays inside its region
    drawn = torch.zeros(batch, height * width, device=labels.device)
    drawn.scatter_reduce_(1, places.flatten(1), (own & valid.flatten(1)).float(), reduce="amax")
    return drawn.reshape(batch, height, width) > 0


def _ids(places: torch.Tensor) -> torch.Tensor:
    """The class of every place [B, L, S, P], flattened as [1, L * S * P]."""
    classes = torch.arange(places.shape[1], device=places.device)
    return classes[None, :, None, None].expand(1, *places.shape[1:]).flatten(1)


def _deepest(labels: torch.Tensor, inner: torch.Tensor, num_labels: int) -> torch.Tensor:
    """The greatest distance within every class: float [B, L]."""
    found = torch.zeros(len(labels), num_labels, device=labels.device)
    return found.scatter_reduce_(1, labels.flatten(1), inner.flatten(1).float(), reduce="amax")


def _at(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Spread a value a class [B, L] over the label map: [B, H, W]."""
    return values.gather(1, labels.flatten(1)).reshape(labels.shape)


def _skeleton(inner: torch.Tensor) -> torch.Tensor:
    """Ridges of the distance to the border."""
    depth = inner[:, None].float()
    return (F.max_pool2d(depth, 3, 1, 1) == depth)[:, 0] & (F.avg_pool2d(depth, 3, 1, 1, count_include_pad=False) < depth)[:, 0]


def _hatching(sources: Sequence[torch.Generator], size: int, u: torch.Tensor) -> torch.Tensor:
    """Wavy parallel lines of one pixel, [B, size, size], on the CPU; u is uniform [B, 2]."""
    unit = size / 128
    angle, spacing = (u[:, 0] * torch.pi).cpu(), ((9 + 22 * u[:, 1]) * unit).cpu()
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]
    phase = (along + 6 * unit * smooth_field(sources, 6, size)[:, 0]) / spacing[:, None, None]
    return phase - phase.floor() < (1 / spacing)[:, None, None]


def _grow(code: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """Widen the strokes of class-coded maps [B, 1, H, W] (0 = nothing, else class + 1) by `reach` [B, L] pixels on every side."""
    limits = F.pad(reach, (1, 0))  # nothing grows nowhere
    for step in range(1, int(reach.max()) + 1):
        active = torch.where(limits.gather(1, code.flatten(1).long()).reshape(code.shape) >= step, code, 0)
        around = F.max_pool2d(active, 3, 1, 1) if step % 2 else _cross(active)
        code = torch.where(code == 0, around, code)
    return code


def _cross(maps: torch.Tensor) -> torch.Tensor:
    """Greatest value of a pixel and its four neighbours, so that strokes come out round."""
    return torch.maximum(F.max_pool2d(maps, (3, 1), 1, (1, 0)), F.max_pool2d(maps, (1, 3), 1, (0, 1)))
