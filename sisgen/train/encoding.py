"""What trainers of encoders into W+ share: the networks, the schedule, what keeps style rows together, and the step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import nn

from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder
from sisgen.nets.squeezenet import PERCEPTUAL_STAGE, SqueezeNet, compare_stages
from sisgen.train.descent import descend, risen, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.ema import update_ema
from sisgen.train.loop import StepInfo

WARMUP = 500  # pictures over which the learning rate rises


class EncodingConfig(Protocol):
    """What the shared part reads of a trainer's config."""

    @property
    def lr(self) -> float: ...

    @property
    def ema_half_life(self) -> float: ...


class EncodingTask:
    """An encoder that learns to give style rows of a frozen generator; trainers add what it encodes and how that is compared.

    Args:
        schedule: learning rate and half-life of the average.
        generator: frozen, the one to encode for.
        encoder: where to start.
        squeezenet: for the perceptual distance; `None` goes without.
        device: where to train.
    """

    def __init__(
        self,
        schedule: EncodingConfig,
        generator: StyleGAN2,
        encoder: Encoder,
        *,
        squeezenet: SqueezeNet | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.schedule = schedule
        self.processes = Processes()
        self.device = self.processes.device(device or torch.device("cpu"))
        self.generator = generator.eval().requires_grad_(False)
        self.generator.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder = encoder.train().requires_grad_(True)
        self.encoder.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        self.squeezenet = None if squeezenet is None else squeezenet.to(self.device)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=schedule.lr, betas=(0.9, 0.99))

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"encoder": self.encoder, "encoder_ema": self.average}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"encoder": self.optimizer}

    def _set_rate(self, info: StepInfo) -> None:
        """Warm up, then fall to a tenth."""
        rise = risen(info.images_seen, info.batch_size, WARMUP)
        set_rates(self.optimizer, [self.schedule.lr], rise * (1 - 0.9 * info.progress))

    def _row_terms(self, ws: torch.Tensor, wanted: torch.Tensor, deltas: torch.Tensor) -> dict[str, torch.Tensor]:
        """What keeps style rows [B, S, D] together: the first ones' distance to known rows, lengths of deltas, distance to the mean."""
        spread = self.encoder.spread
        return {
            "known": ((ws[: len(wanted)] - wanted) / spread).square().mean() if len(wanted) else ws.new_zeros([]),
            "deltas": deltas[:, 1:].square().mean(),
            "typical": ((ws - self.generator.mapping.w_avg) / spread).square().mean(),
        }

    def _perceptual(self, found: torch.Tensor, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Distance of early features, where SqueezeNet is given."""
        if self.squeezenet is None:
            return {}
        with torch.no_grad():
            wanted = self.squeezenet.stages(images, PERCEPTUAL_STAGE)
        return {"perceptual": compare_stages(self.squeezenet.stages(found, PERCEPTUAL_STAGE), wanted)}

    def _descend(self, loss: torch.Tensor, info: StepInfo) -> None:
        """Step the encoder, and its average after it."""
        descend(loss, self.optimizer, self.encoder.parameters(), self.processes)
        seen = info.images_seen + info.batch_size
        update_ema(self.average, self.encoder, batch=info.batch_size, images_seen=seen, half_life=self.schedule.ema_half_life, ramp=0.2)
