"""Trainer of the depth network, on a cache of rendered portraits with their exact depth, degraded as photographs are."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.data.degrade import DegradeConfig, degrade
from sisgen.devices import describe_device, pick_device
from sisgen.errors import TrainingError
from sisgen.io.configs import to_dict
from sisgen.io.files import write_text
from sisgen.io.images import save_grid, to_uint8
from sisgen.nets.depth import DepthConfig, DepthNet, normalise_depth
from sisgen.nets.lines import gradients
from sisgen.train.checkpoints import export_parts
from sisgen.train.command import finish, start
from sisgen.train.descent import rate_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.loop import StepInfo, generator_for

HELD_OUT = 256  # pictures at the end of the cache that training never sees
FARTHEST, NEAREST = -1.0, 0.7  # of the renderer, in half picture sides
LEVELS = 4095  # of depth while it is warped as labels are
SHOWN = 8  # pictures in a sample grid


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthTrainConfig:
    """How the depth network is trained."""

    depth: DepthConfig = field(default_factory=DepthConfig)
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    seed: int = 0
    lr: float = 3e-3
    weight_decay: float = 1e-3
    ramp: float = 0.3  # share of the run over which degradations come in
    slopes: float = 0.5  # weight of the gradients' difference: borders of things must be sharp


class DepthTask:
    """The work of one training of a depth network; see `sisgen.train.loop.Task`."""

    name = "depth"

    def __init__(self, config: DepthTrainConfig, cache: PortraitCache, device: torch.device | str = "cpu") -> None:
        if len(cache) < 8:
            raise TrainingError(f"Training a depth network needs a cache of at least 8 pictures, but it has {len(cache)}; render more.")
        cache.depth([0])  # a cache of photographs has none, and says so
        self.config, self.cache = config, cache
        self.processes = Processes()
        self.device = self.processes.device(torch.device(device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = DepthNet(config.depth)
        self.net = net.to(self.device)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self.num_train = len(cache) - min(HELD_OUT, len(cache) // 2)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"depth": self.net}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"depth": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        set_rates(self.optimizer, [self.config.lr], rate_factor(info.progress, 0.02))

        # Data: depth moves with the picture, as labels do.
        sources = [generator_for(self.config.seed, i) for i in info.sample_ids]
        indices = [int(torch.randint(self.num_train, (1,), generator=g)) for g in sources]
        levels = (self._depth(indices)[:, 0] * LEVELS).round().long()
        strength = min(1.0, info.progress / self.config.ramp)
        images, levels = degrade(self.cache.images(indices).to(self.device), levels, sources, self.config.degrade, strength)
        depth = levels[:, None].float() / LEVELS

        # Depth and its slopes.
        self.net.train()
        read = self.net(images)
        slopes = sum((a - b).abs().mean() for a, b in zip(gradients(read), gradients(depth)))
        error = (read - depth).abs().mean()
        loss = error + self.config.slopes * slopes
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.net.parameters())
        self.optimizer.step()
        return {"error": float(self.processes.average(error.detach())), "loss": float(self.processes.average(loss.detach()))}

    @torch.no_grad()
    def validate(self, num: int = HELD_OUT, batch: int = 32) -> dict[str, float]:
        """Score held-out renders as they are: mean absolute error of depth in [0, 1], and correlation, both a picture's mean."""
        self.net.eval()
        errors, correlations = [], []
        indices = list(range(self.num_train, min(self.num_train + num, len(self.cache))))
        for first in range(0, len(indices), batch):
            part = indices[first : first + batch]
            read = self.net.read(self.cache.images(part).to(self.device)).flatten(1)
            truth = normalise_depth(self._depth(part)).flatten(1)
            errors += (read - truth).abs().mean(dim=1).tolist()
            correlations += nn.functional.cosine_similarity(read - read.mean(1, True), truth - truth.mean(1, True), dim=1).tolist()
        return {"error": round(float(np.mean(errors)), 4), "correlation": round(float(np.mean(correlations)), 4)}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows of held-out pictures, their depth, and what was read."""
        self.net.eval()
        indices = list(range(self.num_train, min(self.num_train + SHOWN, len(self.cache))))
        images = self.cache.images(indices)
        maps = [normalise_depth(self._depth(indices)), self.net.read(images.to(self.device))]
        shown = [to_uint8(2 * part.cpu().expand(-1, 3, -1, -1) - 1) for part in maps]
        save_grid(path, np.concatenate([to_uint8(images), *shown]), len(indices))

    def _depth(self, indices: Sequence[int]) -> torch.Tensor:
        """Exact depth [B, 1, H, W], 0 at the backdrop, 1 at the nearest that a portrait reaches."""
        depth = self.cache.depth(indices)[:, None].to(self.device)
        return ((depth - FARTHEST) / (NEAREST - FARTHEST)).clamp(0, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, required=True, help="cache of rendered portraits")
    parser.add_argument("--width", type=int, default=16, help="channels at half of the resolution (default: 16)")
    parser.add_argument("--export", type=Path, help="folder to write the network to at the end (default: none)")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train depth` asks."""
    device = pick_device(args.device)
    config = DepthTrainConfig(depth=DepthConfig(width=args.width), seed=args.seed)
    task = DepthTask(config, PortraitCache(args.data), device)
    seen = start(task, args, config, images=20_000, batch=16)
    if args.export and seen is not None:
        export_depth(args.export, task, {"seed": args.seed, "images_seen": seen}, describe_device(device))
    return finish()


def export_depth(folder: Path, task: DepthTask, notes: Mapping[str, Any], hardware: str) -> None:
    """Write a trained depth network, its recipe, its scores and its card."""
    notes = {**notes, "held_out": task.validate()}
    export_parts(folder, {"depth": task.net}, {"depth": to_dict(task.net.config), "training": {"depth": notes}})
    rows = {
        "What it is for": "depth of samples and of uploaded photographs, for the depth condition; without it, only depth pictures are read",
        "Training data": "portraits rendered by this project, with their exact depth; no photographs",
        "Images seen": f"{notes['images_seen']:,}",
        "Command": f"`python -m sisgen train depth --data CACHE --images {notes['images_seen']} --out RUN --export FOLDER`",
        "Hardware": hardware,
        "Licence": "Apache-2.0",
    }
    held = notes["held_out"]
    lines = [
        "# Depth of portraits from one picture",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in rows.items()),
        "",
    ]
    lines += [f"Held-out renders, depth brought to 0..1: mean absolute error {held['error']}, correlation {held['correlation']}.", ""]
    write_text(folder / "CARD.md", "\n".join(lines))
