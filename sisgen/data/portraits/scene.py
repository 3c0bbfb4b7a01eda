"""The backdrop, ears, neck and clothes."""

from __future__ import annotations

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Canvas, Window, bell, fade, smooth_step
from sisgen.data.portraits.head import HeadField, lambert, toned
from sisgen.data.portraits.labels import CLOTH, EAR, NECK
from sisgen.data.portraits.parameters import Cloth, Portrait

_BACKDROP_CELLS = 64
_GOLD = (0.95, 0.80, 0.42)


def paint_backdrop(canvas: Canvas, portraits: tuple[Portrait, ...], p: Portrait) -> None:
    """Paint a gradient or two tones with soft discs, computed small and enlarged: it is out of focus."""
    back = p.backdrop
    centres = (torch.arange(_BACKDROP_CELLS, device=canvas.image.device, dtype=torch.float32) + 0.5) * (2.0 / _BACKDROP_CELLS) - 1.0
    x, y = centres[None, None, :], centres[None, :, None]
    across = smooth_step(((x * back.dx + y * back.dy - back.offset) * back.hard).mul_(0.55).add_(0.5))
    color = torch.lerp(back.first, back.second, across[:, None])
    light = bell(x - 0.6 * p.light.x + 0.0 * y, y - p.light.y * 0.4 + 0.0 * x, 0.9, 0.9).mul_(back.glow)
    spotted = any(one.backdrop.spots for one in portraits)
    for spot in (back.spot_1, back.spot_2, back.spot_3, back.spot_4) if spotted else ():
        sx, sy, radius = spot[:, 0], spot[:, 1], spot[:, 2]
        disc = ((x - sx).square() + (y - sy).square()).sqrt_().sub_(radius).mul_(-1.0 / 0.10).add_(0.5).clamp_(0.0, 1.0)
        light = light + disc.mul_(back.spots)
    color = torch.lerp(color, back.third, light.clamp_(0.0, 0.8)[:, None])
    color.mul_((1.0 - 0.16 * (x * x + y * y))[:, None])
    canvas.image.copy_(torch.nn.functional.interpolate(color, size=(canvas.side, canvas.side), mode="bilinear", align_corners=False))


def paint_neck(canvas: Canvas, portraits: tuple[Portrait, ...], p: Portrait) -> None:
    """Paint neck and chest, shaded by the chin."""
    cloth, head, light = p.cloth, p.head, p.light
    top = min(one.head.y + 0.3 * one.head.b for one in portraits)
    window = canvas.window(((-0.62, top, 0.62, 1.0),))
    x = canvas.x[..., window.left : window.right] - cloth.neck_x
    y = canvas.y[:, window.top : window.bottom]
    spread = (y - cloth.base + 0.16).clamp(0.0, 0.5)
    half = cloth.neck_width + 1.3 * spread * spread
    side = x / half
    alpha = canvas.cover((side.abs() - 1.0) * half)
    nz = (1.05 - side * side).clamp_(0.03, 1.0).sqrt_()
    lit = lambert(light, side * (0.5 + 0.5 * side * side), 0.18 + 0.0 * side, nz)
    chin = head.y + head.b * 0.97 + 0.0 * x
    shade = 1.0 - 0.58 * fade((y - chin).clamp(min=0.0) / 0.11) * (1.0 - 0.3 * side * side)
    sinew = bell(side.abs() - 0.30 - 0.35 * (cloth.base + 0.12 - y), y - cloth.base, 0.10, 0.14).mul_(0.12)
    lit = lit.mul_(shade).mul_(1.0 - sinew)
    color = toned(p.skin.color * light.tint * 0.97, p.skin.shadow, lit)
    canvas.paint(window, alpha, color, NECK, nz * cloth.neck_width - 0.22)


def paint_cloth(canvas: Canvas, portraits: tuple[Portrait, ...], p: Portrait) -> None:
    """Paint the garment with its neckline, band, collar or hood."""
    cloth = p.cloth
    top = min(min(one.cloth.base - 0.1, one.cloth.turtle) for one in portraits) - 0.04
    window = canvas.window(((-1.0, top, 1.0, 1.0),))
    x = canvas.x[..., window.left : window.right] - cloth.neck_x
    y = canvas.y[:, window.top : window.bottom]
    side = x.abs()
    out = (side / cloth.width).clamp(max=1.3)
    shoulder = cloth.base - 0.02 + cloth.slope * out + 0.9 * (out - 0.80).clamp(min=0.0).square() * 3.0
    t = (side / cloth.hole).clamp(max=1.6)
    curve = torch.lerp(1.0 - t * t, 1.0 - t, cloth.point)
    neckline = cloth.base - 0.02 + cloth.depth * curve
    rise = torch.maximum(side - cloth.neck_width * 1.07 - 0.6 * (y - cloth.base + 0.05).clamp(min=0.0), cloth.turtle - y)
    shape = torch.minimum(torch.maximum(shoulder - y, neckline - y), rise)
    below = torch.minimum((y - neckline), 2.0 * (y - shoulder + 0.12))  # distance below the neckline
    color, lit = _fabric(canvas, p, x, y, out, y - shoulder)
    color, lit = _trim(cloth, color, lit, below, (side, y), rise)
    shade = toned(torch.ones_like(cloth.shadow), cloth.shadow, lit.clamp(0.0, 1.25))
    nz = (1.2 - out * out).clamp_(0.1, 1.2).sqrt_()
    cast = bell(0.0 * y + side, y - neckline + 0.02, cloth.hole, 0.045).mul_(0.30)
    canvas.darken(window, cast.mul_(window.view(canvas.labels) == NECK))
    canvas.paint(window, canvas.cover(shape), shade.mul_(color).clamp_(0.0, 1.0), CLOTH, nz * 0.3 - 0.25)


def _fabric(canvas: Canvas, p: Portrait, x: Tensor, y: Tensor, out: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    cloth = p.cloth
    nx = x / cloth.width * 0.9
    ny = -0.75 + 1.6 * depth.clamp(0.0, 0.4)
    nz = (1.1 - nx * nx).clamp(min=0.1).sqrt()
    norm = (nx * nx + ny * ny + nz * nz).rsqrt_()
    lit = lambert(p.light, nx * norm, ny * norm, nz * norm)
    fold = torch.sin(x * 9.0 + 5.0 * y * x.sign() + 1.5 * torch.sin(y * 7.0 + 3.0 * x)) * (depth * 4.0).clamp(0.0, 1.0)
    lit = lit + 0.055 * cloth.fold * fold
    band = (torch.sin((y - 0.10 * out * out + cloth.stripe_skew * 0.8 * x) * cloth.stripe_frequency) * 3.0).clamp(-1.0, 1.0)
    mix = (0.5 + 0.5 * band) * cloth.stripes
    return torch.lerp(cloth.color, cloth.second, mix[:, None]), lit


def _trim(cloth: Cloth, color: Tensor, lit: Tensor, below: Tensor, place: tuple[Tensor, Tensor], rise: Tensor) -> tuple[Tensor, Tensor]:
    side, y = place
    band, flap = cloth.band, cloth.flap
    t = below / band.clamp(min=0.01)
    on = ((1.0 - t) * 6.0).clamp(0.0, 1.0) * (band > 0.0)
    round_ = 0.16 * cloth.puff * (0.5 - t) * 2.0 + 0.10 * (t < 0.8)
    lit = lit + on * round_ - 0.22 * fade((t - 1.08) * 5.0) * (band > 0.0)
    color = torch.lerp(color, cloth.second, 0.55 * on[:, None])
    knit = (rise < 0.0).float() * (0.05 * torch.sin(side * 75.0))
    lit = lit + knit
    tip = cloth.base + cloth.depth
    edge = below - flap * (0.35 + 2.2 * (1.0 - (side / (cloth.hole + 0.10)).clamp(max=1.0)) * (side / (cloth.hole + 0.1)))
    on_leaf = ((-edge) * 40.0).clamp(0.0, 1.0) * (flap > 0.0)
    line = fade(edge * 38.0) * (flap > 0.0)
    color = torch.lerp(color, cloth.second, 0.6 * on_leaf[:, None])
    placket = fade((side - 0.03) * 70.0) * (flap > 0.0) * (y > tip)
    return color, lit + 0.12 * on_leaf - 0.30 * line - 0.18 * placket


def paint_ears(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint both ears; each sits at the side of the head, half hidden by it and turning with it."""
    ears, head = p.ears, p.head
    for side in (-1.0, 1.0):
        window, inner = field.patch_sides(canvas, side)
        if window.empty:
            continue
        hx, hy = inner.view(field.hx) * side, inner.view(field.hy)
        angle = 1.42 + side * head.yaw  # from the view axis to this ear
        near = torch.cos(angle).clamp(min=0.0)
        centre = head.a * torch.sin(angle.clamp(max=1.5708)) * 0.99 + ears.stick * (1.0 - near) - 0.12 * (-torch.cos(angle)).clamp(min=0.0)
        width = ears.width * (1.0 + 0.35 * near)
        dx, dy = (hx - centre - 0.10 * (ears.y - hy)) / width, (hy - ears.y) / ears.height
        lobe = 1.0 + 0.30 * dy.clamp(min=0.0)
        far = (dx * lobe).square() + dy * dy
        front = head.a * torch.sin((angle - 0.20).clamp(max=1.5708))
        attach = torch.minimum((front - hx), 0.985 - inner.view(field.x) * side) + 0.02 * dy
        shape = torch.maximum((far.sqrt() - 1.0) * 0.09, attach)
        _shade_ear(canvas, window, p, (dx, dy, far, shape), side)
        if any(one.ears.ring for one in field.portraits):
            _paint_ring(canvas, window, p, dx, dy)


def _shade_ear(canvas: Canvas, window: Window, p: Portrait, place: tuple[Tensor, Tensor, Tensor, Tensor], side: float) -> None:
    dx, dy, far, shape = place
    skin, light = p.skin, p.light
    nz = (1.3 - far).clamp(0.1, 1.3).sqrt()
    lit = lambert(light, dx * (0.5 * side), dy * 0.4, nz * 0.85)
    bowl = bell(dx + 0.18, dy - 0.02, 0.42, 0.52).mul_(0.50)
    rim = bell(far.sqrt() - 0.86, dy + 0.3, 0.13, 0.9).mul_(0.16)
    fold = bell(far.sqrt() - 0.64, dy + 0.2, 0.09, 0.8).mul_(0.28)
    lit = (lit * (1.0 - bowl) * (1.0 - fold) + rim).clamp(0.0, 1.1)
    color = toned(skin.color * light.tint, skin.shadow, lit)
    color[:, 1:].mul_(0.93)
    canvas.paint(window, canvas.cover(shape), color, EAR, nz * 0.08 - 0.02)


def _paint_ring(canvas: Canvas, window: Window, p: Portrait, dx: Tensor, dy: Tensor) -> None:
    ring = ((dx - 0.05).square() * 0.5 + (dy - 1.08).square() * 1.8).sqrt() * 0.09 - p.ears.ring
    sheen = 0.75 + 0.35 * bell(dx - 0.1, dy - 1.02, 0.25, 0.1)
    gold = torch.tensor(_GOLD, device=dx.device)[None, :, None, None] * sheen[:, None]
    canvas.paint(window, canvas.cover(ring).mul_(p.ears.ring > 0.0), gold.clamp(0.0, 1.0), EAR)
