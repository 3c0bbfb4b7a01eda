"""One step down a loss, as the trainers of rearranger, mappers and encoders take it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from sisgen.train.distributed import Processes

LONGEST = 5.0  # gradient of all parameters together


def descend(loss: torch.Tensor, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Take the gradients of `parameters` alone, average them over processes, cut their length at `LONGEST`, and step."""
    parameters = list(parameters)
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=parameters)
    processes.average_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, LONGEST)
    optimizer.step()
