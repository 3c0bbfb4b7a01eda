"""Hair-cuts: named recipes that fill the numbers of `Hair`."""

from __future__ import annotations

import random
from typing import Any

from sisgen.data.portraits.parameters import Hair, Hat, Head
from sisgen.data.portraits.tones import between, hair_color, vary

_CUTS = ("bald", "buzz", "short", "parted", "bob", "long", "curly", "bun", "tail")
_ANGULAR = (1.5, 2.2, 4.5, 3.5, 1.0, 1.4, 1.8, 0.6, 0.5)  # weights where features are angular
_SOFT = (0.3, 0.4, 1.8, 1.6, 3.2, 3.6, 2.0, 2.2, 2.0)  # weights where features are soft


def draw_hair(rng: random.Random, head: Head, soft: float, age: float, tone: float, hat: Hat) -> Hair:
    """Draw a hair-cut and its colour; under a hat it lies flat and has no knots."""
    weights = [angular + (gentle - angular) * soft for angular, gentle in zip(_ANGULAR, _SOFT)]
    cut = rng.choices(_CUTS, weights)[0]
    color = hair_color(rng, age, tone)
    numbers = _shape(rng, head, cut)
    if hat.present:
        numbers |= {"top": min(numbers["top"], 0.05), "side": min(numbers["side"], 0.18), "knot": 0.0}
    return Hair(
        **numbers,
        frequency=rng.uniform(0.85, 1.2),
        phase=rng.uniform(0.0, 6.28),
        gloss=rng.uniform(0.35, 0.9),
        color=color,
        tip=between(vary(rng, color, 0.04), (0.95, 0.85, 0.65), rng.uniform(0.0, 0.22)),
        shadow=(0.42, 0.38, 0.42),
    )


def _base(rng: random.Random) -> dict[str, Any]:
    return dict(
        present=1.0, top=rng.uniform(0.06, 0.14), side=rng.uniform(0.05, 0.10), flare=0.0,
        line=rng.uniform(-0.44, -0.37), part=0.0, fall_left=0.0, fall_right=0.0, round=rng.uniform(0.3, 0.9),
        zigzag=0.0, zigzag_frequency=rng.uniform(20.0, 34.0), opening=rng.uniform(0.42, 0.48),
        front_end=rng.uniform(-0.02, 0.10), front_soft=0.12, back=0.0, back_end=0.3, back_side=0.1,
        knot=0.0, knot_x=0.0, knot_y=0.0, knot_rx=0.1, knot_ry=0.1, twin=0.0,
        curl=0.0, curl_frequency=rng.uniform(17.0, 24.0), wave=rng.uniform(0.0, 0.35), fine=rng.uniform(0.7, 1.1),
    )  # fmt: skip


def _shape(rng: random.Random, head: Head, cut: str) -> dict[str, Any]:
    numbers = _base(rng)
    if cut == "bald":
        numbers |= {"present": 0.0}
    elif cut == "buzz":
        numbers |= {"top": rng.uniform(0.02, 0.05), "side": rng.uniform(0.015, 0.03), "fine": 0.25, "round": rng.uniform(0.6, 1.2)}
    elif cut == "short":
        numbers |= _fringe(rng, rng.choice(("back", "jagged", "swept"))) | {"top": rng.uniform(0.09, 0.20)}
    elif cut == "parted":
        numbers |= _fringe(rng, "swept") | {"top": rng.uniform(0.09, 0.17)}
    elif cut in ("bob", "long"):
        numbers |= _hanging(rng, head, cut)
    elif cut == "curly":
        numbers |= _curly(rng, head)
    else:
        numbers |= _knotted(rng, head, cut)
    return numbers


def _fringe(rng: random.Random, kind: str) -> dict[str, Any]:
    side = rng.choice((-1.0, 1.0))
    if kind == "straight":
        return {"line": rng.uniform(-0.27, -0.235), "round": rng.uniform(-0.1, 0.3), "zigzag": rng.uniform(0.004, 0.014)}
    if kind == "jagged":
        return {"line": rng.uniform(-0.34, -0.28), "round": 0.2, "zigzag": rng.uniform(0.02, 0.04)}
    if kind == "swept":
        long, short = rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.9)
        return {
            "line": rng.uniform(-0.46, -0.42), "part": side * rng.uniform(0.14, 0.26), "round": 0.1,
            "fall_left": long if side > 0 else short, "fall_right": short if side > 0 else long,
        }  # fmt: skip
    if kind == "curtain":
        fall = rng.uniform(0.45, 0.8)
        return {"line": rng.uniform(-0.47, -0.42), "part": rng.uniform(-0.05, 0.05), "fall_left": fall, "fall_right": fall, "round": 0.0}
    return {"line": rng.uniform(-0.44, -0.37), "round": rng.uniform(0.3, 0.9)}


def _hanging(rng: random.Random, head: Head, cut: str) -> dict[str, Any]:
    end = head.b * rng.uniform(0.55, 1.0) if cut == "bob" else rng.uniform(0.75, 1.35)
    numbers = _fringe(rng, rng.choice(("straight", "swept", "curtain", "back")))
    return numbers | {
        "top": rng.uniform(0.09, 0.16), "side": rng.uniform(0.12, 0.22), "flare": rng.uniform(0.0, 0.16),
        "opening": rng.uniform(0.37, 0.43), "front_end": end, "front_soft": rng.uniform(0.1, 0.25), "wave": rng.uniform(0.0, 1.0),
        "back": 1.0, "back_end": end, "back_side": rng.uniform(0.14, 0.26),
    }  # fmt: skip


def _curly(rng: random.Random, head: Head) -> dict[str, Any]:
    volume = rng.uniform(0.16, 0.34)
    tall = rng.random() < 0.5
    end = head.b * rng.uniform(0.35, 0.95) if tall else rng.uniform(-0.02, 0.08)
    return {
        "top": volume * 0.8, "side": volume if tall else 0.5 * volume, "line": rng.uniform(-0.40, -0.31), "round": rng.uniform(0.2, 0.6),
        "opening": rng.uniform(0.40, 0.46), "front_end": end, "front_soft": 0.2, "back": float(tall), "back_end": end,
        "back_side": volume, "curl": rng.uniform(0.6, 1.0), "fine": 0.35, "zigzag": 0.02,
    }  # fmt: skip


def _knotted(rng: random.Random, head: Head, cut: str) -> dict[str, Any]:
    kind = rng.choice(("back", "swept", "curtain", "straight"))
    numbers = _fringe(rng, kind) | {"side": rng.uniform(0.03, 0.07), "top": rng.uniform(0.05, 0.10), "opening": 0.47, "knot": 1.0}
    if cut == "bun":
        twin = float(rng.random() < 0.25)
        radius = rng.uniform(0.15, 0.20) if twin else rng.uniform(0.17, 0.24)
        x = head.a * rng.uniform(0.55, 0.7) if twin else -0.12 * head.yaw
        y = -head.b * (0.98 if twin else 1.12)
        return numbers | {"knot_x": x, "knot_y": y, "knot_rx": radius, "knot_ry": radius * 0.9, "twin": twin}
    twin = float(rng.random() < 0.6)
    side = 1.0 if head.yaw < 0 else -1.0
    x = head.a * rng.uniform(1.12, 1.25) * (1.0 if twin else side)
    return numbers | {
        "knot_x": x, "knot_y": rng.uniform(0.12, 0.3), "knot_rx": rng.uniform(0.13, 0.18), "knot_ry": rng.uniform(0.36, 0.5), "twin": twin,
    }  # fmt: skip
