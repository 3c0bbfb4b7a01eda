"""Clothes, glasses and hats: recipes that fill their numbers."""

from __future__ import annotations

import math
import random

from sisgen.data.portraits.parameters import Cloth, Eyes, Glasses, Hat, Head
from sisgen.data.portraits.tones import Rgb, ambient_shadow, between, fabric_color

HAT_SHARE, GLASSES_SHARE = 0.30, 0.32  # of the pictures

_FRAMES: tuple[Rgb, ...] = (
    (0.08, 0.07, 0.08), (0.30, 0.17, 0.10), (0.62, 0.48, 0.22), (0.55, 0.12, 0.14),
    (0.13, 0.20, 0.38), (0.70, 0.70, 0.72), (0.10, 0.32, 0.26),
)  # fmt: skip
_BANDS = {"crew": 0.055, "vee": 0.04, "scoop": 0.03, "collar": 0.0, "hood": 0.15, "turtle": 0.0}


def draw_cloth(rng: random.Random, head: Head, soft: float) -> Cloth:
    """Draw neck, shoulders and a garment."""
    kind = rng.choice(("crew", "crew", "vee", "vee", "scoop", "collar", "collar", "hood", "turtle"))
    color, base = fabric_color(rng), head.y + head.b * rng.uniform(1.12, 1.20)
    neck = rng.uniform(0.20, 0.235) - 0.025 * soft
    striped = rng.random() < 0.22 and kind != "collar"
    depths = {"crew": 0.06, "vee": rng.uniform(0.16, 0.30), "scoop": 0.16, "collar": 0.15, "hood": 0.10, "turtle": 0.0}
    return Cloth(
        neck_x=head.x - 0.03 * head.sin_roll, neck_width=neck, base=base, slope=rng.uniform(0.16, 0.28), width=rng.uniform(0.78, 0.92),
        hole=neck + (0.10 if kind == "scoop" else 0.03), depth=depths[kind], point=1.0 if kind in ("vee", "collar") else 0.0,
        band=_BANDS[kind], puff=1.0 if kind == "hood" else 0.0, turtle=base - 0.13 if kind == "turtle" else 9.0,
        flap=rng.uniform(0.15, 0.2) if kind == "collar" else 0.0, stripes=1.0 if striped else 0.0,
        stripe_frequency=rng.uniform(26.0, 44.0), stripe_skew=rng.choice((0.0, 0.0, 1.0)), color=color,
        second=_second_color(rng, color, striped), shadow=ambient_shadow(rng), fold=rng.uniform(0.4, 1.0),
    )  # fmt: skip


def _second_color(rng: random.Random, color: Rgb, striped: bool) -> Rgb:
    """The colour of stripes, or of the trim."""
    if striped:
        return between(fabric_color(rng), (0.95, 0.94, 0.92), 0.4 * rng.random())
    return between(color, (1.0, 1.0, 1.0), rng.uniform(-0.2, 0.3))


def draw_glasses(rng: random.Random, head: Head, eyes: Eyes) -> Glasses:
    """Draw a pair of glasses, present in about a third of the pictures."""
    present = rng.random() < GLASSES_SHARE
    rx = eyes.width * rng.uniform(1.20, 1.34)
    ry = rx * rng.choice((0.98, 0.9, 0.78))
    color = rng.choice(_FRAMES)
    return Glasses(
        present=float(present), shift=0.05 * math.sin(head.yaw), v=eyes.v + 0.012, u=eyes.u, rx=rx, ry=ry,
        corner=min(rx, ry) * rng.choice((1.0, 0.55, 0.35)), rim=rng.uniform(0.0245, 0.031), tint=fabric_color(rng),
        dark=rng.uniform(0.25, 0.45) if rng.random() < 0.25 else 0.07, color=color,
    )  # fmt: skip


def draw_hat(rng: random.Random, head: Head) -> Hat:
    """Draw a hat, present in a little under a third of the pictures."""
    present, kind = rng.random() < HAT_SHARE, rng.choice(("beanie", "beanie", "cap", "cap", "brim", "beret"))
    color, front = fabric_color(rng), -0.56 * head.b + 0.6 * head.b * head.pitch  # just above the brows
    plain = {
        "x": -0.05 * head.yaw, "y": -0.42 * head.b, "rx": head.a * 1.12, "ry": head.b * 0.74, "edge": front, "bow": 0.05, "lean": 0.0,
        "band": 0.0, "rib": 0.0, "brim": 0.0, "brim_x": 0.0, "brim_y": 0.0, "brim_rx": 1.0, "brim_ry": 0.1, "pompom": 0.0, "panel": 0.0,
    }  # fmt: skip
    shape = plain | _hat_shape(rng, head, kind, front)
    second = between(fabric_color(rng), color, 0.4)
    return Hat(present=float(present), **shape, color=color, second=second, shadow=ambient_shadow(rng))


def _hat_shape(rng: random.Random, head: Head, kind: str, front: float) -> dict[str, float]:
    a, b = head.a, head.b
    if kind == "beanie":
        tall, band = b * rng.uniform(0.72, 0.90), rng.uniform(0.13, 0.18)
        return {"ry": tall, "band": band, "rib": 1.0, "bow": -0.02, "pompom": rng.choice((0.0, 0.13, 0.15)), "rx": a * 1.10}
    if kind == "cap":
        return {
            "rx": a * 1.09, "ry": b * 0.70, "brim": 1.0, "brim_x": a * 0.75 * math.sin(head.yaw), "brim_y": front + 0.01,
            "brim_rx": a * 0.92, "brim_ry": rng.uniform(0.13, 0.16), "panel": 1.0, "bow": 0.03,
        }  # fmt: skip
    if kind == "brim":
        tall, wide = b * rng.uniform(0.66, 0.76), min(0.95, a * rng.uniform(1.55, 1.85))
        return {
            "rx": a * 1.07, "ry": tall, "brim": 1.0, "brim_y": front - 0.02, "brim_rx": wide,
            "brim_ry": rng.uniform(0.11, 0.15), "band": rng.uniform(0.09, 0.13), "edge": front - 0.02, "bow": 0.06,
        }  # fmt: skip
    side, wide, lean = rng.choice((-1.0, 1.0)), a * rng.uniform(1.2, 1.32), rng.uniform(-0.12, 0.12)
    return {"x": side * 0.10, "y": -0.80 * b, "rx": wide, "ry": b * 0.46, "lean": lean, "band": 0.05, "edge": front - 0.03}
