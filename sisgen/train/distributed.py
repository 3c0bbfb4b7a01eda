"""One process or many: the few collective steps that a trainer needs, through Hugging Face accelerate where several run.

Ranks take every n-th sample of the global batch and average gradients, so that N processes compute what one would
with the same global batch. Start them with `accelerate launch --num_processes N -m sisgen train ...`.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable

import torch

from sisgen.errors import TrainingError


class Processes:
    """The group of training processes; a single process needs no accelerate and communicates nothing."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self._accelerator = None
        if self.size > 1:
            try:
                from accelerate import Accelerator
            except ImportError:
                raise TrainingError("Training in several processes needs accelerate; install it or start a single process.") from None
            self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
            atexit.register(_leave_group)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def device(self, wanted: torch.device) -> torch.device:
        """The device of this rank; `wanted` where there is one process."""
        return wanted if self._accelerator is None else self._accelerator.device

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one flat message."""
        if self._accelerator is None:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self._accelerator.reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        offset = 0
        for gradient in gradients:
            gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
            offset += gradient.numel()

    def average(self, tensor: torch.Tensor) -> torch.Tensor:
        """Mean of a tensor over the processes."""
        return tensor.detach() if self._accelerator is None else self._accelerator.reduce(tensor.detach(), "mean")

    def any(self, flag: bool) -> bool:
        """Whether any process says so; every process gets the same answer."""
        if self._accelerator is None:
            return flag
        said = torch.tensor(float(flag), device=self._accelerator.device)
        return bool(self._accelerator.reduce(said, "sum") > 0)

    def wait(self) -> None:
        """Let every process arrive here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()


def _leave_group() -> None:
    """End the group's threads while the interpreter still runs: gloo's abort the process where they outlive it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
