"""Refinement of style rows by optimisation: a few steps of Adam from where the encoder left off."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.pyramid import pyramid_distance
from sisgen.nets.squeezenet import PERCEPTUAL_STAGE, SqueezeNet, compare_stages

LEARNING_RATE = 0.1  # spreads of w a step, at the start
PERCEPTUAL = 5.0
APART = 0.02  # of the squared change of single rows
SHARED = 0.002  # of the squared change of all rows together

Progress = Callable[[int, int], object]
Stop = Callable[[], bool]


@torch.enable_grad()
def refine(
    generator: StyleGAN2,
    ws: torch.Tensor,
    photo: torch.Tensor,
    spread: torch.Tensor,
    steps: int,
    squeezenet: SqueezeNet | None = None,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> torch.Tensor:
    """Bring style rows nearer to a photograph.

    What is learned is one change for all rows and one a row, in spreads of w; both are held small, so that rows which carry the
    generator's own statistics stay near them and can be rearranged.

    Args:
        generator: frozen.
        ws: where to start, [B, S, D].
        photo: [B, 3, H, W] in [-1, 1].
        spread: standard deviation of w, [D].
        steps: of Adam; the length of a step falls to 0 along a cosine.
        squeezenet: frozen, for the perceptual distance; `None` compares pixels only.
        progress: told (steps done, steps in all).
        stop: asked after every step; once it says so, what was reached is given back.

    Returns:
        ws [B, S, D], those of the least loss.
    """
    start = ws.detach().clone()
    shared = torch.zeros_like(start[:, :1]).requires_grad_()
    apart = torch.zeros_like(start).requires_grad_()
    optimizer = torch.optim.Adam([shared, apart], lr=LEARNING_RATE, betas=(0.9, 0.99))
    compare = Comparison(photo.detach().clone(), squeezenet)
    best, least = start, math.inf
    for step in range(steps + 1):
        moved = start + (shared + apart) * spread
        loss = compare(generator(moved)) + APART * apart.square().mean() + SHARED * shared.square().mean()
        if float(loss.detach()) < least:
            best, least = moved.detach(), float(loss.detach())
        if step == steps or (stop is not None and stop()):
            break
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, steps)
    return best


class Comparison:
    """Distance of pictures to a photograph whose features are read once.

    Args:
        photo: [B, 3, H, W].
        squeezenet: frozen; `None` compares pixels only.
    """

    def __init__(self, photo: torch.Tensor, squeezenet: SqueezeNet | None) -> None:
        self.photo, self.squeezenet = photo, squeezenet
        with torch.no_grad():
            self.wanted = {} if squeezenet is None else squeezenet.stages(photo, PERCEPTUAL_STAGE)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Compare pixels on four scales, and early features."""
        distance = pyramid_distance(images, self.photo)
        if self.squeezenet is None:
            return distance
        return distance + PERCEPTUAL * compare_stages(self.squeezenet.stages(images, PERCEPTUAL_STAGE), self.wanted)
