"""Glasses and hats."""

from __future__ import annotations

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Canvas, fade
from sisgen.data.portraits.head import HeadField, lambert, toned
from sisgen.data.portraits.labels import GLASSES, HAT
from sisgen.data.portraits.parameters import Hat, Portrait


def paint_glasses(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint lenses, rims, bridge and temples."""
    if not any(one.glasses.present for one in field.portraits):
        return
    glasses = p.glasses
    outer, inner = field.patch(canvas, -0.62, 0.62, -0.28, 0.30)
    u, v = inner.view(field.u) - glasses.shift, inner.view(field.v) - glasses.v
    inside = inner.view(field.inside) * glasses.present
    du, dv = u.abs() - glasses.u, v
    ax, ay = du.abs() - (glasses.rx - glasses.corner), dv.abs() - (glasses.ry - glasses.corner)
    lens = (ax.clamp(min=0.0).square() + ay.clamp(min=0.0).square()).sqrt_() + torch.maximum(ax, ay).clamp(max=0.0) - glasses.corner
    rim = lens.abs() - glasses.rim
    bridge = torch.maximum((v + 0.25 * glasses.ry - 0.8 * u * u).abs() - glasses.rim * 0.85, u.abs() - glasses.u + glasses.rx)
    temple = torch.maximum((v + 0.30 * glasses.ry).abs() - glasses.rim * 0.8, glasses.u + glasses.rx * 0.97 - u.abs())
    frame = torch.minimum(torch.minimum(rim, bridge), temple)
    canvas.darken(outer, ((1.0 - (frame - 0.012).clamp(min=0.0) / 0.03).clamp_(0.0, 1.0) * 0.16).mul_(inside))
    canvas.paint(outer, canvas.cover(lens.clone()).mul_(inside).mul_(glasses.dark), glasses.tint)
    glare = (1.0 - ((du + 0.55 * dv) / glasses.rx + 0.35).abs() * 4.0).clamp_(0.0, 1.0).mul_(0.13)
    canvas.paint(outer, glare.mul_(canvas.cover(lens + glasses.rim)).mul_(inside), torch.ones_like(glasses.color))
    relief = 1.0 - rim.clamp(-0.03, 0.0) / glasses.rim  # 1 at the edge, 2 in the middle
    tone = 0.72 + 0.30 * (relief - 1.0) * (1.0 - 2.0 * dv).clamp(0.2, 1.6)
    color = glasses.color * tone[:, None] + (relief - 1.2).clamp(0.0, 0.5)[:, None] * 0.16
    canvas.paint(outer, canvas.cover(frame).mul_(inside), color.clamp_(0.0, 1.0), GLASSES, inner.view(field.z) + 0.05)


def paint_hat(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint brim, crown, band and pompom, and the shadow on what is below."""
    if not any(one.hat.present for one in field.portraits):
        return
    hat = p.hat
    hx, hy = field.hx, field.hy
    bend = 1.0 - ((hx - hat.x) / hat.rx).square().clamp_(max=1.5)
    edge = hat.edge + hat.bow * bend + hat.lean * hx
    arc = (1.0 - ((hx - hat.brim_x) / hat.brim_rx).square().clamp_(max=1.0)).sqrt_()
    low = torch.maximum(edge, hat.brim * (hat.brim_y + hat.brim_ry * arc - 0.02))
    cast = (1.0 - (hy - low).clamp(min=0.0) / 0.15).clamp_(0.0, 1.0).square_().mul_(0.45 * hat.present)
    canvas.darken(field.window, cast.mul_(canvas.cover((field.q - 1.12) * 0.26)))
    if any(one.hat.brim for one in field.portraits):
        _paint_brim(canvas, field, p)
    _paint_crown(canvas, field, p, edge)


def _shaded(hat: Hat, color: Tensor, lit: Tensor) -> Tensor:
    return toned(torch.ones_like(hat.shadow), hat.shadow, lit).mul_(color).clamp_(0.0, 1.0)


def _paint_brim(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    hat = p.hat
    dx, dy = (field.hx - hat.brim_x) / hat.brim_rx, (field.hy - hat.brim_y) / hat.brim_ry
    far = (dx * dx + dy * dy).sqrt_()
    lit = lambert(p.light, dx * 0.35, -0.75 + 0.45 * dy, 0.55 + 0.2 * dy) + 0.10 * fade((far - 0.93) * 18.0)
    lit = lit * (0.72 + 0.28 * dy.clamp(-1.0, 1.0))
    alpha = canvas.cover((far - 1.0) * (hat.brim_ry * 0.9)).mul_(hat.brim * hat.present)
    canvas.paint(field.window, alpha, _shaded(hat, hat.color * 0.92, lit), HAT, 0.45 + 0.25 * dy.clamp(-1.0, 1.0))


def _paint_crown(canvas: Canvas, field: HeadField, p: Portrait, edge: Tensor) -> None:
    hat, light = p.hat, p.light
    dx, dy = (field.hx - hat.x) / hat.rx, (field.hy - hat.y) / hat.ry
    far = dx * dx + dy.clamp(max=0.0).square()
    above = edge - field.hy  # distance over the edge
    fold = ((hat.band - above) * 60.0).clamp_(0.0, 1.0) * (hat.band > 0.0)
    shape = torch.maximum((far - 1.0) * 0.26 - 0.018 * fold, -above)
    nz = (1.05 - far).clamp_(0.04, 1.0).sqrt_()
    lit = lambert(light, dx * (0.5 + 0.5 * dx * dx), dy.clamp(-1.0, 0.4) * 0.9, nz)
    turned = dx.clamp(-0.99, 0.99).asin() - 0.8 * p.head.yaw
    lit = lit + 0.07 * hat.rib * torch.sin(turned * 34.0) - 0.20 * hat.panel * fade(torch.sin(turned * 2.0) * 22.0)
    lit = lit - 0.25 * fade((above - hat.band - 0.012) * 55.0) * (hat.band > 0.0) + 0.06 * fold
    lit = lit * (0.80 + 0.20 * (above * 9.0).clamp(0.0, 1.0))
    rim = ((dx * light.side).clamp(0.0, 1.0) * (1.0 - nz)).square_().mul_(light.rim * 0.35)
    color = torch.lerp(hat.color, hat.second, 0.85 * fold[:, None])
    color = _shaded(hat, color * light.tint, lit).add_(rim[:, None])
    if any(one.hat.present and one.hat.pompom for one in field.portraits):
        _paint_pompom(canvas, field, p)
    canvas.paint(field.window, canvas.cover(shape).mul_(hat.present), color.clamp_(0.0, 1.0), HAT, nz * (1.05 * p.head.a) + 0.05)


def _paint_pompom(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    hat = p.hat
    dx, dy = field.hx - hat.x, field.hy - hat.y + hat.ry + 0.35 * hat.pompom
    far = (dx * dx + dy * dy).sqrt_() / hat.pompom.clamp(min=0.01)
    fluff = torch.sin(dx * 60.0 + torch.sin(dy * 45.0)) * torch.sin(dy * 60.0)
    radius = hat.pompom.clamp(min=0.01)
    lit = lambert(p.light, dx / radius, dy / radius, (1.1 - far * far).clamp_(0.05, 1.0).sqrt_()) + 0.10 * fluff
    alpha = canvas.cover((far - 1.0) * 0.13 + 0.008 * fluff).mul_(hat.present * (hat.pompom > 0.0))
    canvas.paint(field.window, alpha, _shaded(hat, hat.second, lit), HAT, lit * 0.0)
