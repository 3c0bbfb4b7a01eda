"""Directions of texts: where pictures change, to CLIP's eye, as one text differs from another.

The global directions of StyleCLIP (Patashnik et al., ICCV 2021), found in W by the directional loss of StyleGAN-NADA (Gal et al.,
SIGGRAPH 2022). In place of a weighted L2 penalty, which would have to be balanced for every text, the direction keeps its length in
whitened w: a step of it stays as likely a style as a step along any other direction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sisgen.editing.clip import Clip
from sisgen.editing.directions import Direction
from sisgen.editing.supervised import whitening
from sisgen.editing.unsupervised import draw_w
from sisgen.errors import InputError
from sisgen.generators.stylegan2 import StyleGAN2

NEUTRAL = "a face"
STEPS = 60
BATCH = 4  # samples a step
HELD_OUT = 16  # samples that only measure
REACH = 3.0  # standard deviations at which the change is compared
LEARNING_RATE = 0.1  # of numbers whose root mean square is 1; falls to 0 along a cosine
CROP = 0.15  # of a side, at most, that a random crop leaves away


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextDirection:
    """A direction and how well pictures follow its text.

    Attributes:
        direction: towards the text; its opposite leads away from it.
        alignment: cosine between CLIP's change of pictures and of texts, mean of samples that were not learned from; 0 = unrelated.
        start: that of the first guess, before any step.
    """

    direction: Direction
    alignment: float
    start: float


@torch.enable_grad()
def text_direction(
    generator: StyleGAN2,
    clip: Clip,
    text: str,
    *,
    neutral: str = NEUTRAL,
    psi: float = 0.7,
    steps: int = STEPS,
    seed: int = 0,
    report: Callable[[int, int], object] | None = None,
) -> TextDirection:
    """Find the direction along which pictures come to show a text.

    Args:
        generator: frozen.
        clip: that judges.
        text: what edited pictures show, "a face with a big smile".
        neutral: what pictures show anyway, "a face".
        psi: truncation of the samples.
        steps: of Adam.
        seed: of samples and crops; the same seed gives the same direction.
        report: told (steps done, steps in all).

    Raises:
        InputError: a text is empty or too long, or CLIP sees no difference between the two.
    """
    wanted = clip.embed_text(text) - clip.embed_text(neutral)  # [E]
    if float(wanted.norm()) < 1e-4:
        raise InputError(f"The text and the neutral one must differ, but CLIP reads both alike ({text[:60]!r}); change one.")
    w = draw_w(generator, seed=seed)
    root = whitening(w)[1]  # [D, d]
    w = generator.mapping.w_avg + psi * (w - generator.mapping.w_avg)
    held, batches = w[:HELD_OUT], w[HELD_OUT:].split(min(BATCH, generator.config.at_once))
    crops = torch.Generator().manual_seed(seed)

    guess = first_guess(generator, clip, batches[0], root, wanted)  # [d]
    start = measure(generator, clip, held, root @ guess, wanted)
    numbers = (guess * math.sqrt(len(guess))).requires_grad_()
    optimizer = torch.optim.Adam([numbers], lr=LEARNING_RATE)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        vector = root @ F.normalize(numbers, dim=0)  # [D]
        batch, crop = batches[step % len(batches)], torch.rand(3, generator=crops).tolist()
        loss = 1 - compare(generator, clip, batch, vector, wanted, crop).mean()
        (numbers.grad,) = torch.autograd.grad(loss, numbers)
        optimizer.step()
        if report is not None:
            report(step + 1, steps)

    vector = root @ F.normalize(numbers.detach(), dim=0)
    alignment = measure(generator, clip, held, vector, wanted)
    return TextDirection(direction=Direction(name=name_of(text), vector=vector.cpu()), alignment=alignment, start=start)


def compare(
    generator: StyleGAN2, clip: Clip, w: torch.Tensor, vector: torch.Tensor, wanted: torch.Tensor, crop: list[float] | None = None
) -> torch.Tensor:
    """Compare how pictures change along a vector with how they should (the directional loss of StyleGAN-NADA is 1 - this).

    Args:
        generator, clip: frozen.
        w: samples [B, D].
        vector: one standard deviation, [D].
        wanted: difference of the texts, [E].
        crop: three numbers in 0..1 that choose a square of the pictures, the same for all; `None` takes all of them.

    Returns:
        Cosines [B].
    """
    with torch.no_grad():
        plain = _embed(generator, clip, w, crop)
    return F.cosine_similarity(_embed(generator, clip, w + REACH * vector, crop) - plain, wanted[None], dim=-1)


def first_guess(generator: StyleGAN2, clip: Clip, w: torch.Tensor, root: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The whitened direction in which samples w [B, D] go nearest to the text at once: a unit vector [d]."""
    numbers = torch.zeros(root.shape[1], device=root.device, requires_grad=True)
    (slope,) = torch.autograd.grad((_embed(generator, clip, w + root @ numbers, None) @ wanted).sum(), numbers)
    return F.normalize(slope, dim=0)


@torch.no_grad()
def measure(generator: StyleGAN2, clip: Clip, w: torch.Tensor, vector: torch.Tensor, wanted: torch.Tensor) -> float:
    """The mean cosine of `compare` on whole pictures, a few samples at a time."""
    parts = w.split(min(BATCH, generator.config.at_once))
    return float(torch.cat([compare(generator, clip, part, vector, wanted) for part in parts]).mean())


def name_of(text: str) -> str:
    """Make a direction's name of a text: "a big smile!" -> "a-big-smile"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48].rstrip("-") or "text"


def _embed(generator: StyleGAN2, clip: Clip, w: torch.Tensor, crop: list[float] | None) -> torch.Tensor:
    images = generator(w[:, None].expand(-1, generator.config.num_ws, -1))
    if crop is not None:
        side = images.shape[-1]
        left_away = round(crop[0] * CROP * side)
        top, left = (round(share * left_away) for share in crop[1:])
        images = images[..., top : top + side - left_away, left : left + side - left_away]
    return clip.embed_images(images)
