"""Draw a portrait from a seed: every number comes from that seed alone, so a picture never depends on its batch."""

from __future__ import annotations

import math
import random

from sisgen.data.portraits.haircuts import draw_hair
from sisgen.data.portraits.parameters import (
    Backdrop,
    Brows,
    Ears,
    Eyes,
    Head,
    Light,
    Mouth,
    Nose,
    Portrait,
    Skin,
)
from sisgen.data.portraits.tones import Rgb, backdrop_color, between, eye_color, skin_color, vary
from sisgen.data.portraits.wardrobe import draw_cloth, draw_glasses, draw_hat


def draw_portrait(seed: int) -> Portrait:
    """Draw all numbers of one seed."""
    rng = random.Random(seed)
    soft = rng.random()  # 0 angular to 1 soft features; ties jaw, brows, lips and hair together
    age = rng.random() ** 1.3
    tone = rng.random() ** 1.35  # 0 light to 1 dark skin
    head = _draw_head(rng, soft)
    skin = _draw_skin(rng, soft, age, tone)
    hat = draw_hat(rng, head)
    hair = draw_hair(rng, head, soft, age, tone, hat)
    eyes = _draw_eyes(rng, head, soft, age, tone)
    brow_color = between(hair.color if hair.present else (0.24, 0.16, 0.12), (0.10, 0.06, 0.05), 0.45 + 0.25 * rng.random() + 0.2 * tone)
    brow_color = between(brow_color, skin.color, -0.12 if sum(skin.color) > 1.1 else 0.0)
    nose = _draw_nose(rng, head, soft)
    return Portrait(
        head=head,
        light=_draw_light(rng, head),
        skin=skin,
        eyes=eyes,
        brows=_draw_brows(rng, head, eyes, soft, brow_color),
        nose=nose,
        mouth=_draw_mouth(rng, head, nose, soft, skin.color),
        ears=_draw_ears(rng, soft),
        hair=hair,
        cloth=draw_cloth(rng, head, soft),
        glasses=draw_glasses(rng, head, eyes),
        hat=hat,
        backdrop=_draw_backdrop(rng),
    )


def _draw_head(rng: random.Random, soft: float) -> Head:
    yaw = max(-0.52, min(0.52, rng.gauss(0.0, 0.24)))
    pitch = max(-0.20, min(0.20, rng.gauss(0.0, 0.08)))
    roll = max(-0.19, min(0.19, rng.gauss(0.0, 0.07)))
    b = rng.uniform(0.60, 0.67)
    return Head(
        x=rng.uniform(-0.06, 0.06) - 0.04 * yaw,
        y=rng.uniform(-0.05, 0.03),
        yaw=yaw,
        pitch=pitch,
        cos_roll=math.cos(roll),
        sin_roll=math.sin(roll),
        a=b * rng.uniform(0.76, 0.85),
        b=b,
        jaw=rng.uniform(0.16, 0.30) + 0.08 * soft,
        cheek=rng.uniform(0.02, 0.22),
        square=rng.uniform(0.05, 0.4) * (1.15 - 0.6 * soft),
    )


def _draw_light(rng: random.Random, head: Head) -> Light:
    azimuth, height = rng.uniform(-1.0, 1.0), rng.uniform(0.25, 0.95)
    x, y, z = math.sin(azimuth) * math.cos(height), -math.sin(height), math.cos(azimuth) * math.cos(height)
    x, y = head.cos_roll * x + head.sin_roll * y, head.cos_roll * y - head.sin_roll * x
    norm = math.sqrt(x * x + y * y + (z + 1.0) ** 2)
    warm = rng.uniform(-0.05, 0.07)
    return Light(
        x=x, y=y, z=z, half_x=x / norm, half_y=y / norm, half_z=(z + 1.0) / norm,
        side=-1.0 if x > 0 else 1.0,
        rim=rng.uniform(0.15, 0.6),
        tint=(1.01 + warm, 1.0, 1.0 - warm),
        rim_tint=vary(rng, (0.85, 0.88, 0.95), 0.14),
    )  # fmt: skip


def _draw_skin(rng: random.Random, soft: float, age: float, tone: float) -> Skin:
    return Skin(
        color=skin_color(rng, tone),
        shadow=(rng.uniform(0.56, 0.66), rng.uniform(0.42, 0.50), rng.uniform(0.40, 0.50)),
        blush=rng.uniform(0.05, 0.35),
        stubble=rng.uniform(0.2, 0.45) if soft < 0.4 and age > 0.2 and rng.random() < 0.4 else 0.0,
        age=max(0.0, (age - 0.4) / 0.6),
        gloss=rng.uniform(0.05, 0.14) + 0.16 * tone,
        bone=rng.uniform(0.7, 1.2),
    )


def _draw_eyes(rng: random.Random, head: Head, soft: float, age: float, tone: float) -> Eyes:
    width = head.a * rng.uniform(0.265, 0.305)
    openness = rng.uniform(0.50, 0.66) + 0.06 * soft - 0.06 * age
    return Eyes(
        u=head.a * rng.uniform(0.44, 0.475),
        v=rng.uniform(-0.01, 0.02),
        width=width,
        upper=width * openness,
        lower=width * rng.uniform(0.30, 0.42),
        tilt=rng.uniform(-0.08, 0.2),
        gaze_u=max(-0.03, min(0.03, rng.gauss(-0.03 * head.yaw, 0.014))),
        gaze_v=rng.uniform(-0.010, 0.008),
        iris=width * rng.uniform(0.50, 0.58),
        pupil=rng.uniform(0.42, 0.54),
        color=eye_color(rng, tone),
        lash=rng.uniform(0.011, 0.016) + 0.011 * soft * rng.random(),
        crease=rng.uniform(0.1, 0.5),
        shadow=vary(rng, (0.45, 0.30, 0.38), 0.22),
        make_up=rng.uniform(0.2, 0.6) if soft > 0.55 and rng.random() < 0.5 else 0.0,
    )


def _draw_brows(rng: random.Random, head: Head, eyes: Eyes, soft: float, color: Rgb) -> Brows:
    return Brows(
        u=eyes.u + 0.005,
        v=eyes.v - eyes.upper - rng.uniform(0.085, 0.115),
        length=head.a * rng.uniform(0.30, 0.345),
        thick=rng.uniform(0.031, 0.036) + 0.010 * (1.0 - soft) * rng.random(),
        arch=rng.uniform(0.01, 0.055),
        tilt=rng.gauss(0.0, 0.12),
        taper=rng.uniform(0.25, 0.5),
        color=color,
    )


def _draw_nose(rng: random.Random, head: Head, soft: float) -> Nose:
    return Nose(
        tip_u=0.15 * math.sin(head.yaw),
        top=rng.uniform(-0.03, 0.02),
        base=rng.uniform(0.215, 0.26),
        width=rng.uniform(0.090, 0.118) - 0.010 * soft,
        bridge=rng.uniform(0.034, 0.045),
        height=rng.uniform(0.8, 1.25),
        round=rng.uniform(0.055, 0.072),
    )


def _draw_mouth(rng: random.Random, head: Head, nose: Nose, soft: float, skin: Rgb) -> Mouth:
    kind = rng.random()
    gap = 0.0 if kind < 0.55 else rng.uniform(0.045, 0.10)
    smile = rng.gauss(0.022, 0.022) if kind < 0.55 else rng.uniform(0.01, 0.06)
    bare = (skin[0] * 0.86, skin[1] * 0.58, skin[2] * 0.60)
    lips = between(bare, vary(rng, (0.72, 0.20, 0.26), 0.08), 0.25 + 0.45 * soft * rng.random())
    return Mouth(
        v=nose.base + rng.uniform(0.170, 0.200) - 0.35 * gap,
        width=head.a * rng.uniform(0.36, 0.44) + 0.5 * max(smile, 0.0),
        smile=max(-0.03, min(0.075, smile)),
        upper=rng.uniform(0.030, 0.042) + 0.006 * soft,
        lower=rng.uniform(0.042, 0.058) + 0.006 * soft,
        gap=gap,
        teeth=rng.uniform(0.35, 0.75) if rng.random() < 0.85 else 0.0,
        bow=rng.uniform(0.1, 0.4),
        color=lips,
    )


def _draw_ears(rng: random.Random, soft: float) -> Ears:
    return Ears(
        width=rng.uniform(0.082, 0.100),
        height=rng.uniform(0.125, 0.155),
        y=rng.uniform(0.02, 0.07),
        stick=rng.uniform(0.025, 0.05),
        ring=rng.uniform(0.020, 0.028) if soft > 0.5 and rng.random() < 0.4 else 0.0,
    )


def _draw_backdrop(rng: random.Random) -> Backdrop:
    first = backdrop_color(rng)
    angle = rng.uniform(-math.pi, math.pi)
    spots = [(rng.uniform(-1, 1), rng.uniform(-1, 0.7), rng.uniform(0.14, 0.45)) for _ in range(4)]
    second = between(backdrop_color(rng), first, rng.uniform(0.0, 0.6))
    return Backdrop(
        first=first, second=second,
        third=between(vary(rng, second, 0.2), (1.0, 0.97, 0.9), rng.uniform(0.1, 0.5)),
        dx=math.cos(angle), dy=math.sin(angle),
        hard=rng.choice((0.6, 0.6, 0.9, 4.0)), offset=rng.uniform(-0.3, 0.3),
        glow=rng.uniform(0.0, 0.3), spots=rng.uniform(0.12, 0.35) if rng.random() < 0.5 else 0.0,
        spot_1=spots[0], spot_2=spots[1], spot_3=spots[2], spot_4=spots[3],
    )  # fmt: skip
