"""One step down a loss, as most trainers take it, and how its length follows the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from sisgen.errors import TrainingError
from sisgen.train.distributed import Processes

LONGEST = 5.0  # gradient of all parameters together
WARMUP = 0.02  # share of a run over which the learning rate rises


def rate_factor(progress: float, last: float) -> float:
    """Learning rate at a place of the run in [0, 1), as a share of the configured one: it rises over 2%, then falls to `last`."""
    return min(1.0, (progress + 1e-3) / WARMUP) * (1 - (1 - last) * progress)


def cosine_factor(progress: float, last: float = 0.01) -> float:
    """As `rate_factor`, but at its height from the start, and down half a cosine."""
    return last + (1 - last) * (0.5 + 0.5 * math.cos(math.pi * progress))


def risen(images_seen: int, batch_size: int, warmup: int) -> float:
    """How far a learning rate that rises over `warmup` images has risen at the end of this step, in (0, 1]."""
    return min(1.0, (images_seen + batch_size) / max(warmup, 1))


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    """Set the learning rates of an optimizer's groups: `rates`, one a group, times what this place of the run asks for."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def check_rate(lr: float, usual: float) -> None:
    """Refuse a learning rate outside (0, 1], and say which one is `usual`."""
    if not 0 < lr <= 1:
        raise TrainingError(f"--lr must lie in (0, 1], but it is {lr:g}; give a rate such as {usual:g}.")


def descend(loss: torch.Tensor, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Take the gradients of `parameters` alone, average them over processes, cut their length at `LONGEST`, and step."""
    parameters = list(parameters)
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=parameters)
    processes.average_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, LONGEST)
    optimizer.step()
