"""Colours that portraits are drawn in: skin, hair, eyes, fabrics and backdrops, as RGB triples in [0, 1]."""

from __future__ import annotations

import colorsys
import random

Rgb = tuple[float, float, float]

_SKINS: tuple[Rgb, ...] = (
    (1.00, 0.86, 0.77), (0.98, 0.80, 0.68), (0.93, 0.72, 0.57), (0.85, 0.62, 0.46),
    (0.71, 0.48, 0.34), (0.56, 0.36, 0.25), (0.42, 0.27, 0.19), (0.33, 0.21, 0.16),
)  # fmt: skip
_HAIRS: tuple[Rgb, ...] = (
    (0.10, 0.08, 0.09), (0.20, 0.13, 0.10), (0.36, 0.22, 0.14), (0.50, 0.32, 0.19),
    (0.52, 0.22, 0.12), (0.78, 0.40, 0.17), (0.72, 0.54, 0.30), (0.90, 0.76, 0.48),
)  # fmt: skip
_DYES: tuple[Rgb, ...] = ((0.80, 0.35, 0.52), (0.30, 0.38, 0.72), (0.24, 0.58, 0.56), (0.48, 0.30, 0.62), (0.75, 0.18, 0.22))
_EYES: tuple[Rgb, ...] = (
    (0.34, 0.20, 0.11), (0.24, 0.14, 0.09), (0.50, 0.34, 0.16),
    (0.30, 0.46, 0.30), (0.28, 0.48, 0.70), (0.42, 0.50, 0.55),
)  # fmt: skip


def between(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Mix two colours; `share` is the second's."""
    r, g, b = (min(1.0, max(0.0, x + (y - x) * share)) for x, y in zip(first, second))
    return r, g, b


def vary(rng: random.Random, color: Rgb, amount: float) -> Rgb:
    """Jitter each channel by up to `amount`."""
    r, g, b = (min(1.0, max(0.02, x + rng.uniform(-amount, amount))) for x in color)
    return r, g, b


def skin_color(rng: random.Random, tone: float) -> Rgb:
    """A skin tone, `tone` 0 light to 1 dark."""
    place = tone * (len(_SKINS) - 1)
    index = min(int(place), len(_SKINS) - 2)
    return vary(rng, between(_SKINS[index], _SKINS[index + 1], place - index), 0.025)


def hair_color(rng: random.Random, age: float, tone: float) -> Rgb:
    """A hair colour: natural ones, darker on darker skin, grey with age, now and then dyed."""
    if rng.random() < 0.07:
        return vary(rng, rng.choice(_DYES), 0.06)
    weights = (4, 4, 4, 3, 2, 2, 2, 2) if tone < 0.55 else (8, 6, 3, 1, 0.6, 0.2, 0.2, 0.3)
    color = vary(rng, rng.choices(_HAIRS, weights)[0], 0.03)
    grey = min(1.0, max(0.0, (age - 0.55) * 4.0)) * rng.random() ** 0.4
    silver = rng.uniform(0.62, 0.88)
    return between(color, (silver, silver * 0.98, silver * 0.97), grey)


def eye_color(rng: random.Random, tone: float) -> Rgb:
    """An iris colour."""
    weights = (3, 3, 2, 2, 3, 2) if tone < 0.5 else (4, 5, 2, 0.5, 0.3, 0.3)
    return vary(rng, rng.choices(_EYES, weights)[0], 0.04)


def fabric_color(rng: random.Random) -> Rgb:
    """A cloth or hat colour, rarely garish."""
    hue, saturation, value = rng.random(), rng.uniform(0.08, 0.72), rng.uniform(0.25, 0.92)
    return colorsys.hsv_to_rgb(hue, saturation, value)


def backdrop_color(rng: random.Random) -> Rgb:
    """A calm backdrop colour."""
    hue, saturation, value = rng.random(), rng.uniform(0.06, 0.38), rng.uniform(0.42, 0.92)
    return colorsys.hsv_to_rgb(hue, saturation, value)


def ambient_shadow(rng: random.Random) -> Rgb:
    """What a full shadow multiplies a fabric by: dark and a little cool."""
    level = rng.uniform(0.36, 0.48)
    return level * 0.94, level * 0.96, level * 1.1
