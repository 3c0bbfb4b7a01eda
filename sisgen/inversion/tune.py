"""Pivotal tuning: a copy of the generator learns one photograph around its style rows (Roich et al., PTI, 2022).

Only the blocks behind the cut are tuned: keys, clusters and everything else that rearranging reads stays the model's, so that a tuned
photograph can be edited like any other. The model itself never changes.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.refine import Comparison, Progress, Stop
from sisgen.nets.squeezenet import SqueezeNet

LEARNING_RATE = 3e-3
HOLD = 10.0  # of the mean squared change of the weights


@torch.enable_grad()
def tune_tail(
    generator: StyleGAN2,
    ws: torch.Tensor,
    photo: torch.Tensor,
    cut: int,
    steps: int,
    squeezenet: SqueezeNet | None = None,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> StyleGAN2:
    """Tune a copy of the blocks behind the cut until they show the photograph.

    Args:
        generator: stays as it is.
        ws: the pivot, [1, S, D].
        photo: [1, 3, H, W] in [-1, 1].
        cut: resolution of the last block that is not tuned.
        steps: of Adam.
        squeezenet: frozen, for the perceptual distance; `None` compares pixels only.
        progress: told (steps done, steps in all).
        stop: asked after every step; once it says so, what was reached is given back.

    Returns:
        A generator that shares everything up to the cut with the given one.
    """
    tuned = copy_tail(generator, cut)
    weights = [p for block in tail_blocks(tuned, cut) for name, p in block.named_parameters() if "noise" not in name]
    start = [p.detach().clone() for p in weights]
    with torch.no_grad():
        features = generator.head(ws, cut)
    compare = Comparison(photo.detach().clone(), squeezenet)
    optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE, betas=(0.9, 0.99))
    rows = ws.detach().clone()
    for parameter in weights:
        parameter.requires_grad_(True)
    for step in range(steps):
        held = torch.stack([(p - s).square().mean() for p, s in zip(weights, start)]).mean()
        loss = compare(tuned.tail(features, rows)) + HOLD * held
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, steps)
        if stop is not None and stop():
            break
    return tuned.requires_grad_(False)


def tail_blocks(generator: StyleGAN2, cut: int) -> list[nn.Module]:
    """The blocks behind the cut, coarse to fine."""
    return [generator.synthesis.block(size) for size in generator.config.resolutions if size > cut]


def copy_tail(generator: StyleGAN2, cut: int) -> StyleGAN2:
    """Copy a generator: the blocks behind the cut in memory of their own, the others shared."""
    own = {id(t) for block in tail_blocks(generator, cut) for t in block.state_dict(keep_vars=True).values()}
    shared = [t for t in generator.state_dict(keep_vars=True).values() if id(t) not in own]
    with torch.inference_mode(False), torch.no_grad():
        return copy.deepcopy(generator, {id(t): t for t in shared})
