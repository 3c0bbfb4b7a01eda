"""Hair: the mass behind the head, knots, and the cap with its opening for the face."""

from __future__ import annotations

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Canvas, fade
from sisgen.data.portraits.head import HeadField, lambert, toned
from sisgen.data.portraits.labels import HAIR
from sisgen.data.portraits.parameters import Hair, Light, Portrait


class HairField:
    """What back mass and cap share: lumps of curls, strands, and where a hat covers.

    Attributes:
        lump: outline perturbation, [B, h, w].
        strand: shade of the strands, about -1 to 1.
        kept: distance that is positive where a hat leaves no room.
    """

    def __init__(self, field: HeadField, p: Portrait) -> None:
        hair, head = p.hair, p.head
        hx, hy = field.hx, field.hy
        self.lump = _lumps(hair, hx, hy) if any(one.hair.curl for one in field.portraits) else torch.zeros_like(hx)
        wide = hx / (head.a * (1.0 + hair.side))
        across = wide.clamp(-0.999, 0.999).asin_().sub_(0.8 * head.yaw).mul_(head.a)
        across = torch.where(field.y > 0.0, torch.lerp(across, hx, field.y.clamp(0.0, 1.0)), across)
        fall = (hy + head.b * 1.15).clamp_(0.0, 1.3)
        s = (across - hair.part) / (0.30 + fall.clamp(max=0.75)) * 0.9
        s = s + 0.05 * hair.wave * torch.sin(hy * 13.0 + hair.phase + 2.0 * s)
        s.mul_(hair.frequency)
        strand = torch.sin(s * 26.0 + hair.phase).mul_(0.5)
        strand.add_(torch.sin(s * 53.0 + 2.0 * strand + 1.7 * hair.phase), alpha=0.35)
        strand.add_(torch.sin(s * 95.0 + 3.0 * strand), alpha=0.22)
        self.strand = strand.mul_(hair.fine).add_(self.lump, alpha=0.9)
        hat = p.hat
        edge = hat.edge + hat.bow * (1.0 - (hx / hat.rx).square_().clamp_(max=1.5)) + hat.lean * hx
        self.kept = torch.where(hat.present > 0.5, edge - 0.02 - hy, -9.0)


def _lumps(hair: Hair, hx: Tensor, hy: Tensor) -> Tensor:
    f = hair.curl_frequency
    first = torch.sin(hx * f + 1.3 * torch.sin(hy * (0.6 * f) + hair.phase))
    second = torch.sin(hy * f + 1.3 * torch.sin(hx * (0.6 * f) - hair.phase))
    return (first * second).mul_(hair.curl)


def _shade(p: Portrait, strand: Tensor, normal: tuple[Tensor, Tensor, Tensor], ring: Tensor, deep: Tensor) -> Tensor:
    hair, light = p.hair, p.light
    lit = lambert(light, *normal).mul_(0.75).add_(0.22)
    lit = (lit + 0.13 * strand).mul_(deep)
    color = toned(hair.color * light.tint, hair.shadow, lit)
    shine = (ring * (0.6 + 0.5 * strand).clamp_(0.0, 1.4)).mul_(hair.gloss)
    return color.addcmul_(shine[:, None], hair.color * 0.75 + 0.07)


def _fading(hair: Hair, y: Tensor) -> Tensor:
    """What the colour is multiplied by on the way to the ends, [B, 3, h, w]."""
    return torch.addcmul(torch.ones_like(hair.color), hair.tip / hair.color.clamp(min=0.05) - 1.0, y.clamp(0.0, 1.0).mul_(0.8)[:, None])


def _ring(light: Light, field: HeadField, strand: Tensor) -> Tensor:
    """The band of gloss around the crown, broken up by strands."""
    height = field.y + 0.52 + 0.22 * (-light.y) - 0.30 * (field.x - 0.7 * light.x).square() + 0.035 * strand
    band = fade(height * (1.0 / 0.13))
    return band.mul_((1.15 - 0.75 * (field.x - 0.8 * light.x).abs()).clamp_(0.0, 1.0))


def paint_back_hair(canvas: Canvas, field: HeadField, hair_field: HairField, p: Portrait) -> None:
    """Paint knots and the mass behind the head."""
    hair, head = p.hair, p.head
    if any(one.hair.present and one.hair.knot for one in field.portraits):
        _paint_knots(canvas, field, hair_field, p)
    if not any(one.hair.present and one.hair.back for one in field.portraits):
        return
    hx, hy = field.hx, field.hy
    widen = 1.0 + hair.back_side + hair.flare * field.y.clamp(0.0, 1.2) + 0.02 * hair.wave * torch.sin(hy * 15.0 + hair.phase)
    wide = (hx + 0.05 * head.yaw) / (head.a * widen)
    tall = field.y.clamp(max=0.0) / (1.0 + hair.top)
    foot = ((hy - hair.back_end + 0.18 + 0.018 * torch.sin(hx * 31.0)) / 0.18).clamp_(0.0, 2.0)
    shape = (wide * wide + tall * tall + foot * foot * 0.8 - 1.0) * 0.26 - 0.030 * hair_field.lump
    alpha = canvas.cover(torch.maximum(shape, hair_field.kept)).mul_(hair.back * hair.present)
    nz = (1.15 - wide * wide).clamp_(0.05, 1.2).sqrt_()
    deep = 0.62 + 0.38 * (field.q - 0.9).clamp(0.0, 0.6) / 0.6
    color = _shade(p, hair_field.strand, (wide * 0.8, tall * 0.6, nz * 0.8), torch.zeros_like(wide), deep)
    color.mul_(_fading(hair, field.y))
    canvas.paint(field.window, alpha, color.clamp_(0.0, 1.0), HAIR, nz * 0.2 - 0.25)


def _paint_knots(canvas: Canvas, field: HeadField, hair_field: HairField, p: Portrait) -> None:
    hair = p.hair
    hx = torch.where(hair.twin > 0.5, field.hx.abs(), field.hx)
    dx, dy = (hx - hair.knot_x) / hair.knot_rx, (field.hy - hair.knot_y) / hair.knot_ry
    far = dx * dx + dy * dy
    shape = (far.sqrt() - 1.0) * 0.15 - 0.02 * hair_field.lump
    alpha = canvas.cover(torch.maximum(shape, hair_field.kept)).mul_(hair.knot * hair.present)
    nz = (1.1 - far).clamp_(0.05, 1.1).sqrt_()
    turn = torch.sin(dx * 7.0 + dy * 2.0 + 2.5 * far + hair.phase) * 0.7 + torch.sin(dx * 15.0 + 5.0 * far) * 0.3
    ring = fade((dy + 0.35 + 0.25 * dx * dx) * 3.2)
    color = _shade(p, turn * hair.fine, (dx * 0.9, dy * 0.9, nz), ring * 0.6, torch.ones_like(far))
    canvas.paint(field.window, alpha, color.clamp_(0.0, 1.0), HAIR, nz * 0.15 - 0.1)


def paint_front_hair(canvas: Canvas, field: HeadField, hair_field: HairField, p: Portrait) -> None:
    """Paint the cap of hair and the shadow that it casts on the face."""
    if not any(one.hair.present for one in field.portraits):
        return
    hair, head = p.hair, p.head
    hx, hy = field.hx, field.hy
    widen = 1.0 + hair.side + hair.flare * field.y.clamp(0.0, 1.2) + 0.02 * hair.wave * torch.sin(hy * 15.0 + hair.phase)
    wide = hx / (head.a * widen)
    tall = field.y.clamp(max=0.0) / (1.0 + hair.top)
    far = wide * wide + tall * tall
    outer = (far - 1.0) * 0.26 - 0.030 * hair_field.lump
    end = hair.front_end + 0.014 * torch.sin(hx * 37.0 + hair.phase) - 0.35 * hair.front_soft * (wide.abs() - 0.85)
    outer = torch.maximum(outer, hy - end).maximum(hair_field.kept)
    opening = _opening(field, hair_field, p)
    shape = torch.maximum(outer, -opening)
    cast = (1.0 - opening.abs() / 0.085).clamp_(0.0, 1.0) * (opening < 0.0)
    below = (hy < end + 0.05).float().mul_(0.42 * hair.present)
    canvas.darken(field.window, cast.square_().mul_(below).mul_(field.inside))
    alpha = canvas.cover(shape).mul_(hair.present)
    nz = (1.06 - far).clamp_(0.04, 1.0).sqrt_()
    normal_y = torch.where(field.y < 0.0, tall, field.y * 0.15)
    deep = 0.72 + 0.28 * (opening / 0.10).clamp(0.0, 1.0)
    normal = (wide * (0.5 + 0.5 * wide * wide), normal_y * 0.9, nz)
    color = _shade(p, hair_field.strand, normal, _ring(p.light, field, hair_field.strand), deep)
    edge = ((wide * p.light.side).clamp(0.0, 1.0) * (1.0 - nz)).square_().mul_(p.light.rim)
    color.addcmul_(edge[:, None], p.light.rim_tint * 0.35)
    color.mul_(_fading(hair, field.y))
    canvas.paint(field.window, alpha, color.clamp_(0.0, 1.0), HAIR, nz * (0.95 * head.a) + 0.05)


def _opening(field: HeadField, hair_field: HairField, p: Portrait) -> Tensor:
    """Signed distance to the face opening: negative inside it."""
    hair, u = p.hair, field.u
    line = hair.line + hair.fall_left * (hair.part - u).clamp(0.0, 0.7) + hair.fall_right * (u - hair.part).clamp(0.0, 0.7)
    line = line + hair.round * u * u + hair.zigzag * torch.sin(u * hair.zigzag_frequency + hair.phase) - 0.012 * hair_field.lump
    above = line - field.v
    beside = u.abs() - hair.opening + 0.10 * (field.v + 0.1).clamp(0.0, 0.6) - 0.012 * hair_field.lump
    corner = (above + 0.06).clamp_(min=0.0).square_().add_((beside + 0.06).clamp_(min=0.0).square_()).sqrt_().sub_(0.06)
    return torch.where((above > -0.06) & (beside > -0.06), corner, torch.maximum(above, beside))
