"""Brows, nose, mouth and the lines of age, drawn in face positions."""

from __future__ import annotations

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Canvas, Window, bell, fade
from sisgen.data.portraits.head import HeadField
from sisgen.data.portraits.labels import BROW, MOUTH, NOSE
from sisgen.data.portraits.parameters import Portrait


def lit_color(color: Tensor, light: Tensor, floor: float = 0.5) -> Tensor:
    """A colour [B, 3, 1, 1] under the skin's light [B, h, w]."""
    return color * light.mul(1.0 - floor).add_(floor)[:, None]


def paint_lines(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint laugh lines, bags under the eyes and forehead lines, the stronger the older."""
    outer, inner = field.patch(canvas, -0.42, 0.42, -0.40, 0.52)
    step = canvas.step
    u, v = (inner.view(plane)[:, ::step, ::step] for plane in (field.u, field.v))
    mouth, eyes, age = p.mouth, p.eyes, p.skin.age
    side = u.abs()
    along = (v - p.nose.base + 0.01) / (mouth.v - p.nose.base + 0.03)
    fold = side - (p.nose.width + 0.02 + (mouth.width + 0.03 - p.nose.width) * along)
    fold = bell(fold, along - 0.5, 0.022, 0.62).mul_((0.05 + 0.33 * age) + 2.2 * mouth.smile.clamp(0.0, 0.06))
    bag = side - eyes.u
    bag = bell(v - eyes.v - eyes.lower - 0.035 + 1.2 * bag * bag, bag, 0.016, 0.11).mul_(0.06 + 0.26 * age)
    rows = torch.cos((v + 0.36 - 0.25 * u * u) * 58.0).clamp_(0.0, 1.0)
    rows = rows.mul_(rows).mul_(bell(u, v + 0.36, 0.24, 0.075)).mul_(0.30 * age)
    canvas.darken(outer, canvas.refine(fold.add_(bag).add_(rows).clamp_(0.0, 0.6)) * inner.view(field.inside))


def paint_brows(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint both brows."""
    brows = p.brows
    for side in (-1.0, 1.0):
        middle = side * max(one.brows.u for one in field.portraits)
        centre = sum(one.brows.v for one in field.portraits) / len(field.portraits)
        outer, inner = field.patch(canvas, middle - 0.22, middle + 0.22, centre - 0.17, centre + 0.14)
        if outer.empty:
            continue
        u, v = inner.view(field.u), inner.view(field.v)
        along = (u * side - brows.u) / brows.length  # -1 at the nose, 1 at the temple
        square = along * along
        spine = v - brows.v - brows.arch * (square - 0.45) + (brows.tilt * brows.length) * along
        thick = brows.thick * (1.0 - brows.taper * (0.5 + 0.5 * along.clamp(-1.0, 1.0)))
        end = (square * square * square).clamp_(max=4.0)
        shape = spine.abs() - thick * (1.0 - end)
        shade = 1.0 + 0.14 * torch.sin(u * 95.0 * side + v * 60.0)
        color = lit_color(brows.color, inner.view(field.light), 0.6) * shade[:, None]
        canvas.paint(outer, canvas.cover(shape), color, BROW, inner.view(field.z))


def paint_nose(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Mark the nose, shade its sides by the light and paint the nostrils; its form is in the head's relief."""
    nose = p.nose
    outer, inner = field.patch(canvas, -0.26, 0.26, -0.08, 0.34)
    u, v = inner.view(field.u), inner.view(field.v)
    along = ((v - nose.top) / (nose.base - nose.top)).clamp_(-0.5, 1.3)
    cross = u - nose.tip_u * along.clamp(0.0, 1.0)
    flare = (along * along * along).clamp_(0.0, 1.0)
    half = nose.bridge + (nose.width - nose.bridge) * flare
    side = cross.abs()
    bottom = v - nose.base - 0.028 + 1.6 * (side - 0.35 * nose.width).square_()
    shape = torch.maximum(torch.maximum(side - half, bottom), nose.top - v)
    _shade_nose(canvas, outer, p, cross, v)
    outer.view(canvas.labels).masked_fill_(shape < 0.0, NOSE)
    hole = bell(side - 0.50 * nose.width, v - nose.base - 0.012, 0.024, 0.0135).mul_(0.72)
    canvas.darken(outer, hole)


def _shade_nose(canvas: Canvas, outer: Window, p: Portrait, cross: Tensor, v: Tensor) -> None:
    nose = p.nose
    away = torch.where(p.light.x > 0, -1.0, 1.0) * p.light.x.abs().add(0.25).clamp(max=1.0)
    side = bell(cross - away * nose.width * 0.85, v - 0.62 * nose.base, 0.030, 0.11).mul_(0.20)
    wing = bell(cross.abs() - nose.width - 0.004, v - nose.base + 0.012, 0.014, 0.034).mul_(0.30)
    under = bell(cross, v - nose.base - 0.032, nose.width * 0.85, 0.014).mul_(0.30)
    canvas.darken(outer, side.add_(wing).add_(under).clamp_(0.0, 0.7))
    shine = bell(cross + 0.3 * away * nose.width, v - nose.base + 0.055, 0.028, 0.022).mul_(p.skin.gloss * 0.9)
    outer.view(canvas.image).add_(shine[:, None])


def paint_mouth(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint the lips, and the gap with teeth and tongue where the mouth is open."""
    mouth = p.mouth
    centre = sum(one.mouth.v for one in field.portraits) / len(field.portraits)
    outer, inner = field.patch(canvas, -0.30, 0.30, centre - 0.16, centre + 0.24)
    u, v, light = inner.view(field.u) - 0.35 * p.nose.tip_u, inner.view(field.v), inner.view(field.light)
    t = u / mouth.width
    square = t * t
    dome = (1.0 - square).clamp_(min=-0.5)
    line = v - mouth.v + mouth.smile * (2.2 * square - 0.6)  # distance below the line between the lips
    dip = torch.exp((square * -40.0).clamp_(min=-30.0))
    top = -mouth.upper * dome * (1.0 - mouth.bow * dip + 0.12 * fade((t.abs() - 0.32) * 5.0))
    gap = mouth.gap * dome
    bottom = gap + mouth.lower * dome.sqrt().nan_to_num_(0.0) - 0.004
    shape = torch.maximum(top - line, line - bottom)
    middle = torch.where(line < 0.5 * gap, (line - top) / (mouth.upper + 0.01), (bottom - line) / (mouth.lower + 0.01))
    round_ = middle.clamp_(0.0, 1.0)
    tone = torch.where(line < 0.5 * gap, 0.66 + 0.22 * (1.0 - round_), 0.84 + 0.30 * round_ * (1.0 - round_) * 2.0)
    color = lit_color(mouth.color, light, 0.45) * tone[:, None]
    gleam = bell(t + 0.25 * p.light.x * -1.0, line - gap - 0.5 * mouth.lower, 0.34, 0.012).mul_(0.22)
    alpha = canvas.cover(shape)
    canvas.paint(outer, alpha, color.add_(gleam[:, None]), MOUTH, inner.view(field.z))
    canvas.darken(outer, bell(line - gap.clamp(max=0.0), t, 0.011, 1.4).mul_(0.55 * (mouth.gap < 0.01)).mul_(alpha))
    if any(one.mouth.gap for one in field.portraits):
        _paint_gap(canvas, outer, p, (line, gap, t, alpha))


def _paint_gap(canvas: Canvas, outer: Window, p: Portrait, place: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    mouth = p.mouth
    line, gap, t, lips = place
    hole = canvas.cover(torch.maximum(-line - 0.002, line - gap + 0.006)).mul_(lips).mul_(mouth.gap > 0.01)
    dark = torch.cat([line * 0 + 0.26, line * 0 + 0.07, line * 0 + 0.08], 0).view(3, *line.shape).transpose(0, 1)
    tongue = bell(t, line - gap - 0.01, 0.55, 0.035).mul_(0.8)
    inside = dark + tongue[:, None] * (mouth.color - dark).clamp(-0.4, 0.45)
    canvas.paint(outer, hole, inside)
    teeth = canvas.cover(line - mouth.teeth * gap * 0.75).mul_(hole)
    white = (0.97 - 0.35 * (t * t) - 1.2 * (0.02 - line).clamp(0.0, 0.1))[:, None].clamp(0.5, 1.0)
    canvas.paint(outer, teeth, white * torch.ones_like(mouth.color))
