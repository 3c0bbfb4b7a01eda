"""Eyes: ball, iris, pupil, highlights, lids."""

from __future__ import annotations

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Canvas, Window, bell
from sisgen.data.portraits.head import HeadField
from sisgen.data.portraits.labels import EYE
from sisgen.data.portraits.parameters import Portrait


def paint_eyes(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint both eyes."""
    for side in (-1.0, 1.0):
        middle = side * sum(one.eyes.u for one in field.portraits) / len(field.portraits)
        outer, inner = field.patch(canvas, middle - 0.21, middle + 0.21, -0.20, 0.16)
        if not outer.empty:
            _paint_eye(canvas, field, p, side, (outer, inner))


def _paint_eye(canvas: Canvas, field: HeadField, p: Portrait, side: float, windows: tuple[Window, Window]) -> None:
    eyes = p.eyes
    outer, inner = windows
    u, v = inner.view(field.u) * side - eyes.u, inner.view(field.v) - eyes.v  # u grows towards the temple
    v = v + eyes.tilt * u
    t = u / eyes.width
    square = t * t
    dome = 1.0 - square
    upper = -eyes.upper * dome * (1.0 - 0.12 * t)
    lower = eyes.lower * dome * (1.0 + 0.10 * t)
    _paint_lid(canvas, outer, inner, field, p, (t, v - upper))
    alpha = canvas.cover(torch.maximum(upper - eyes.lash - v, v - lower - 0.004))
    alpha.mul_((square < 1.35).float())
    line_color = torch.full_like(eyes.color, 0.07)
    line_color[:, :1] += 0.05
    canvas.paint(outer, alpha, line_color, EYE, inner.view(field.z))
    ball = canvas.cover(torch.maximum(upper - v, v - lower + 0.002))
    shade = 0.97 - 0.22 * square - 0.48 * torch.exp(((upper - v) * (1.0 / 0.022)).clamp_(-30.0, 0.0))
    shade = shade * inner.view(field.light).mul(0.35).add_(0.68)
    white = torch.stack([shade, shade * 0.975, shade * 0.965], 1)
    canvas.paint(outer, ball, white.clamp_(0.0, 1.0))
    _paint_iris(canvas, outer, p, ball, (u - side * eyes.gaze_u, v - eyes.gaze_v + 0.25 * eyes.upper - 0.004, v - upper), side)


def _paint_lid(canvas: Canvas, outer: Window, inner: Window, field: HeadField, p: Portrait, place: tuple[Tensor, Tensor]) -> None:
    t, over = place
    eyes = p.eyes
    if any(one.eyes.make_up for one in field.portraits):
        lid = bell(over + 0.03, t, 0.03, 1.0).mul_(eyes.make_up)
        outer.view(canvas.image).lerp_(eyes.shadow * 0.9, lid[:, None] * 0.8)
    crease = bell(over + 0.046 - 0.012 * t * t, t, 0.009, 0.95).mul_(eyes.crease)
    canvas.darken(outer, crease * inner.view(field.inside))


def _paint_iris(canvas: Canvas, outer: Window, p: Portrait, ball: Tensor, place: tuple[Tensor, Tensor, Tensor], side: float) -> None:
    eyes = p.eyes
    u, v, below = place
    distance = (u * u + v * v).sqrt_()
    radius = distance / eyes.iris
    disc = canvas.cover(distance - eyes.iris).mul_(ball)
    glow = 0.62 + 0.75 * (v / eyes.iris).clamp(-0.4, 0.9) * radius.clamp(max=1.0)
    ring = ((radius - 0.78) * 4.0).clamp_(0.0, 1.0)
    glow = glow.mul_(1.0 - 0.6 * ring).mul_(1.0 - 0.45 * torch.exp((below * (-1.0 / 0.03)).clamp_(-30.0, 0.0)))
    canvas.paint(outer, disc, (eyes.color * 1.35 * glow[:, None]).clamp_(0.0, 1.0))
    pupil = canvas.cover(distance - eyes.iris * eyes.pupil).mul_(ball)
    canvas.paint(outer, pupil, torch.full_like(eyes.color, 0.03))
    toward = p.light.x.clamp(-0.6, 0.6) * side
    spark_u, spark_v = u - toward * eyes.iris * 0.6, v + eyes.iris * 0.38
    spark = canvas.cover((spark_u * spark_u + spark_v * spark_v).sqrt_() - eyes.iris * 0.27).mul_(ball)
    canvas.paint(outer, spark.mul_(0.95), torch.ones_like(eyes.color))
    back_u, back_v = u + toward * eyes.iris * 0.6, v - eyes.iris * 0.42
    canvas.paint(outer, bell(back_u, back_v, eyes.iris * 0.22, eyes.iris * 0.18).mul_(ball).mul_(0.5), torch.ones_like(eyes.color))
