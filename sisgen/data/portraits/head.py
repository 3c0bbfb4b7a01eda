"""Coordinates on the turned head, and its shaded skin.

The head is an ellipsoid with a tapered jaw. Inverting its projection at every cell gives face positions (u, v), so whatever is
drawn in them turns, nods and foreshortens with the head; the same inversion gives depth and normals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sisgen.data.portraits.canvas import Box, Canvas, Window, bell
from sisgen.data.portraits.labels import SKIN
from sisgen.data.portraits.parameters import Head, Light, Portrait, Scalar

DEPTH_SHARE = 0.9  # depth radius of the head over its half width


class HeadField:
    """Head coordinates over the window that head, hair and hat can reach.

    Attributes:
        window: that window of the canvas.
        hx, hy: position in the head's frame, roll undone, [B, h, w].
        x, y: the same over half width (tapered) and half height.
        q: implicit shape, below 1 inside.
        u, v: face position, arc length.
        inside: coverage of the head in [0, 1].
        light: how lit the skin is, in [0, 1]; set by `paint_head`.
        z: depth of the skin; set by `paint_head`.
    """

    light: Tensor
    z: Tensor

    def __init__(self, canvas: Canvas, portraits: Sequence[Portrait], p: Portrait) -> None:
        head = p.head
        self.portraits = portraits
        self.window = canvas.window(_reach(one) for one in portraits)
        dx = canvas.x[..., self.window.left : self.window.right] - head.x
        dy = canvas.y[:, self.window.top : self.window.bottom] - head.y
        self.hx = head.cos_roll * dx + head.sin_roll * dy  # [B, h, w]
        self.hy = head.cos_roll * dy - head.sin_roll * dx
        self.y = self.hy / head.b
        chin = self.y.clamp(0.0, 1.05)
        taper = 1.0 - head.jaw * chin * chin + head.cheek * (chin * (1.0 - chin))
        self.x = (self.hx - 0.12 * head.yaw * chin) / (head.a * taper)
        rows = self.y * self.y
        self.q = self.x * self.x + rows * (1.0 + head.square * (rows - 1.0))
        self.u = self.x.clamp(-0.995, 0.995).asin_().sub_(head.yaw).mul_(head.a)
        self.v = self.y.clamp(-0.995, 0.995).asin_().sub_(head.pitch).mul_(head.b)
        self.inside = canvas.cover((self.q - 1.0) * 0.26)

    def patch(self, canvas: Canvas, u0: float, u1: float, v0: float, v1: float) -> tuple[Window, Window]:
        """Where a patch of the face falls: its canvas window, and the same counted inside `self.window`."""
        return self._pair(canvas.window(_patch_box(one.head, u0, u1, v0, v1) for one in self.portraits))

    def patch_sides(self, canvas: Canvas, side: float) -> tuple[Window, Window]:
        """Where the ear of one side (-1 left, 1 right) can be, as `patch` gives it."""
        boxes = []
        for one in self.portraits:
            head = one.head
            x = head.a * math.sin(min(1.5708, 1.42 + side * head.yaw)) * side
            boxes.append((head.x + x - 0.27, head.y - 0.3, head.x + x + 0.27, head.y + 0.38))
        return self._pair(canvas.window(boxes))

    def _pair(self, window: Window) -> tuple[Window, Window]:
        inner = window.inside(self.window)
        outer = Window(
            top=inner.top + self.window.top,
            bottom=inner.bottom + self.window.top,
            left=inner.left + self.window.left,
            right=inner.right + self.window.left,
        )
        return outer, inner


def _reach(one: Portrait) -> Box:
    """A box that holds head, ears, hair and hat of a portrait."""
    head, hair, hat = one.head, one.hair, one.hat
    half, up, down = head.a + 0.17, 1.03 * head.b, 1.07 * head.b
    if hair.present:
        half = max(half, head.a * (1.03 + max(hair.side, hair.back_side * hair.back) + 1.25 * hair.flare) + 0.05 + 0.05 * hair.curl)
        up = head.b * (1.0 + hair.top) + 0.02 + 0.05 * hair.curl
        down = max(down, hair.front_end + 0.25 * hair.front_soft + 0.03, (hair.back_end + 0.06) * hair.back)
        if hair.knot:
            half = max(half, abs(hair.knot_x) + hair.knot_rx + 0.03)
            up, down = max(up, hair.knot_ry - hair.knot_y + 0.03), max(down, hair.knot_y + hair.knot_ry + 0.03)
    if hat.present:
        half = max(half, abs(hat.x) + 1.04 * hat.rx + 0.02, (abs(hat.brim_x) + hat.brim_rx) * hat.brim + 0.03)
        up = max(up, 1.04 * hat.ry - hat.y + 1.5 * hat.pompom)
    lean = abs(head.sin_roll)
    wide = half * head.cos_roll + max(up, down) * lean
    return head.x - wide, head.y - up * head.cos_roll - half * lean, head.x + wide, head.y + down * head.cos_roll + half * lean


def _patch_box(head: Head, u0: float, u1: float, v0: float, v1: float) -> Box:
    corners = [project(head, u, v) for u in (u0, 0.5 * (u0 + u1), u1) for v in (v0, 0.5 * (v0 + v1), v1)]
    xs, ys = zip(*corners)
    return min(xs) - 0.03, min(ys) - 0.03, max(xs) + 0.03, max(ys) + 0.03


def project(head: Head, u: float, v: float) -> tuple[float, float]:
    """Where a face position falls in the picture, for one portrait."""
    y = math.sin(max(-1.57, min(1.57, v / head.b + head.pitch)))
    chin = max(0.0, y)
    taper = 1.0 - head.jaw * chin * chin + head.cheek * chin * (1.0 - chin)
    hx = head.a * taper * math.sin(max(-1.57, min(1.57, u / head.a + head.yaw))) + 0.12 * head.yaw * chin
    hy = head.b * y
    return head.x + head.cos_roll * hx - head.sin_roll * hy, head.y + head.sin_roll * hx + head.cos_roll * hy


class Relief:
    """Height, its slope and darkening of the face, summed from Gaussian bumps over a coarse grid."""

    def __init__(self, u: Tensor, v: Tensor) -> None:
        self.u, self.v, self.mirror_u = u, v, u.abs()
        self.sign = u.sign()
        self.height, self.slope_u, self.slope_v = torch.zeros_like(u), torch.zeros_like(u), torch.zeros_like(u)
        self.lit = torch.ones_like(u)

    def bump(self, u: Scalar, v: Scalar, su: Scalar, sv: Scalar, height: Scalar, mirrored: bool = False, shade: float = 0.0) -> None:
        """Add a bump (or dent, height < 0) at (u, v), on both sides when `mirrored`; `shade` darkens there."""
        du = (self.mirror_u if mirrored else self.u) - u
        dv = self.v - v
        hill = bell(du, dv, su, sv)
        if shade:
            self.lit.mul_(1.0 - shade * hill)
        hill.mul_(height)
        self.height.add_(hill)
        across = du.mul_(hill).mul_(-2.0 / (su * su))
        self.slope_u.add_(across.mul_(self.sign) if mirrored else across)
        self.slope_v.add_(dv.mul_(hill).mul_(-2.0 / (sv * sv)))


def _sculpt(relief: Relief, p: Portrait) -> None:
    eyes, nose, mouth, bone = p.eyes, p.nose, p.mouth, p.skin.bone
    relief.bump(eyes.u, eyes.v - 0.01, 0.16, 0.085, -0.035 * bone, mirrored=True, shade=0.16)
    relief.bump(eyes.u, p.brows.v, 0.2, 0.06, 0.016 * bone, mirrored=True)
    relief.bump(eyes.u + 0.07, 0.19, 0.14, 0.12, 0.034 * bone, mirrored=True)
    relief.bump(0.5 * nose.tip_u, 0.5 * nose.base, 0.042, 0.16, 0.055 * nose.height)
    relief.bump(nose.tip_u, nose.base - 0.035, nose.round, 0.055, 0.045 * nose.height)
    relief.bump(0.72 * nose.tip_u, nose.base - 0.01, nose.width * 0.95, 0.04, 0.018 * nose.height)
    relief.bump(0.3 * nose.tip_u, mouth.v, 0.19, 0.15, 0.035)
    relief.bump(0.0, mouth.v + 0.14, 0.10, 0.03, -0.010, shade=0.10)
    relief.bump(0.0, mouth.v + 0.24, 0.12, 0.08, 0.030)
    relief.bump(nose.tip_u, nose.base + 0.045, 0.085, 0.03, -0.004, shade=0.22)


def lambert(light: Light, nx: Tensor, ny: Tensor, nz: Tensor) -> Tensor:
    """Wrapped diffuse light of unit normals, in [0, 1]; the normals' memory is not touched."""
    facing = nx * light.x
    return facing.addcmul_(ny, light.y).addcmul_(nz, light.z).mul_(0.62).add_(0.44).clamp_(0.0, 1.0)


def toned(color: Tensor, shadow: Tensor, lit: Tensor) -> Tensor:
    """A colour [B, 3, 1, 1] that full shadow multiplies by `shadow`, under light [B, h, w] in [0, 1]."""
    return torch.addcmul(color * shadow, color * (1.0 - shadow), lit[:, None])


def paint_head(canvas: Canvas, field: HeadField, p: Portrait) -> None:
    """Paint the bare head and leave light and depth in the field for the parts that follow."""
    step, light = canvas.step, p.light
    x, y, q = (plane[:, ::step, ::step] for plane in (field.x, field.y, field.q))
    relief = Relief(field.u[:, ::step, ::step].contiguous(), field.v[:, ::step, ::step].contiguous())
    _sculpt(relief, p)
    up = (1.0 - q).clamp_(0.02, 1.0).sqrt_()
    nx = x.clamp(-1.1, 1.1)
    nx = nx * (0.55 + 0.45 * nx * nx) - relief.slope_u
    ny = y.clamp(-1.1, 1.1)
    ny = ny * (0.50 + 0.45 * ny * ny) - relief.slope_v
    norm = (nx * nx + ny * ny + up * up).rsqrt_()
    nx, ny, nz = nx.mul_(norm), ny.mul_(norm), up * norm
    lit = lambert(light, nx, ny, nz).mul_(relief.lit)
    color = _skin_tone(p, relief, lit)
    gloss = (nx * light.half_x + ny * light.half_y + nz * light.half_z).clamp_(0.0, 1.0)
    for _ in range(4):
        gloss.mul_(gloss)
    edge = (1.0 - nz).clamp_(0.0, 1.0)
    edge = edge.mul_(edge).mul_((nx * light.side).clamp_(0.0, 1.0)).mul_(light.rim)
    color.add_(gloss.mul_(p.skin.gloss)[:, None]).add_(edge[:, None] * light.rim_tint * 0.5)
    field.light = canvas.refine(lit)
    field.z = canvas.refine(up * (DEPTH_SHARE * p.head.a) + relief.height)
    canvas.paint(field.window, field.inside, canvas.refine(color), SKIN, field.z)


def _skin_tone(p: Portrait, relief: Relief, lit: Tensor) -> Tensor:
    skin = p.skin
    blush = bell(relief.mirror_u - (p.eyes.u + 0.07), relief.v - 0.17, 0.13, 0.10)
    blush.add_(bell(relief.u - p.nose.tip_u, relief.v - p.nose.base + 0.03, 0.08, 0.06)).mul_(skin.blush)
    color = toned(skin.color * p.light.tint, skin.shadow, lit)
    color[:, 1:].mul_((1.0 - 0.45 * blush)[:, None])
    beard = bell(relief.u, relief.v - p.mouth.v - 0.08, 0.36, 0.17).mul_(skin.stubble)
    return color.mul_((1.0 - 0.6 * beard)[:, None])
