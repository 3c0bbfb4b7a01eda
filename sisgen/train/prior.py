"""Second stage of a warm start: the mapping learns to bring a standard normal where the latents of pictures are.

A rectified flow learns the way from a standard normal to the encoder's latents (two stages, as Dai & Wipf, ICLR 2019, do); then the
generator's mapping learns to make in one pass what flow and decoder's mapping make in many. Synthesis stays as it is, so that
samples become what decoded pictures are: no training of the generator brings as much for as little.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.errors import TrainingError
from sisgen.generators.encoder import PictureEncoder
from sisgen.generators.stylegan2 import MappingNetwork, StyleGAN2
from sisgen.hub import CONFIG_FILE, find_model
from sisgen.io.configs import read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.weights import read_shapes
from sisgen.nets.flow import VelocityField, flow_loss, transport
from sisgen.nets.layers import normalize_second_moment
from sisgen.train.checkpoints import export_parts, has_part, load_generator, load_part, load_raw, training_notes
from sisgen.train.command import finish, start
from sisgen.train.ema import update_ema
from sisgen.train.latents import encode_all
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.warmup import ENCODER_FILE, MAPPING_FILE, decoder_mapping

HELD_EVERY = 20  # one picture in so many is held out of the flow
HELD_NOISE = 4_096  # latents that the mean of w and the scores are taken over


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorConfig:
    """How the mapping is fitted to the latents of pictures."""

    lr: float = 1e-3  # of the flow
    mapping_lr: float = 0.1  # of the mapping, whose layers learn at a hundredth of it
    flow_share: float = 0.6  # of all steps; the rest are the mapping's
    half_life: float = 100_000.0  # of the averages, in latents


class PriorTask:
    """The work of one fit; see `sisgen.train.loop.Task`.

    Args:
        generator: its mapping is replaced by the fitted one in `fitted`.
        teacher: mapping that starts at the encoder's latents.
        means, deviations: latents of pictures [N, 2, D], see `encode_all`.
        layers: of the fitted mapping, which begins as a copy of the teacher where it is as deep; `None` = the teacher's.
    """

    name = "prior"

    def __init__(
        self,
        config: PriorConfig,
        generator: StyleGAN2,
        teacher: MappingNetwork,
        means: torch.Tensor,
        deviations: torch.Tensor,
        *,
        layers: int | None = None,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        if len(means) < 2 * HELD_EVERY:
            raise TrainingError(f"A mapping is fitted to {2 * HELD_EVERY} pictures or more, but the cache has {len(means)}; add some.")
        self.config, self.device = config, device or torch.device("cpu")
        self.sizes = replace(generator.config, num_mapping_layers=teacher.num_layers if layers is None else layers)
        self.generator = generator.to(self.device)
        self.teacher = teacher.to(self.device).requires_grad_(False)
        held = torch.arange(len(means), device=means.device) % HELD_EVERY == 0
        self.means, self.deviations = (x[~held].flatten(0, 1) for x in (means, deviations))
        self.held_means, self.held_deviations = (x[held].flatten(0, 1) for x in (means, deviations))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.flow = VelocityField(means.shape[-1]).to(self.device)
            mapping = MappingNetwork(self.sizes).to(self.device)
        self.flow_average = copy.deepcopy(self.flow).requires_grad_(False)
        self.mapping = mapping if mapping.num_layers != teacher.num_layers else copy.deepcopy(self.teacher).requires_grad_(True)
        self.average = copy.deepcopy(self.mapping).requires_grad_(False)
        self.flow_optimizer = torch.optim.Adam(self.flow.parameters(), lr=config.lr)
        self.optimizer = torch.optim.Adam(self.mapping.parameters(), lr=config.mapping_lr, betas=(0.9, 0.99))

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"flow": self.flow, "flow_average": self.flow_average, "mapping": self.mapping, "average": self.average}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"flow": self.flow_optimizer, "mapping": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Teach the flow first, then the mapping."""
        source = generator_for(info.seed, info.sample_ids[0])
        done = info.images_seen / info.total_images
        share = self.config.flow_share
        if done < share:
            return self._step_flow(info, source, done / share)
        return self._step_mapping(info, source, (done - share) / (1 - share))

    @torch.no_grad()
    def score(self) -> dict[str, float]:
        """Flow's loss on held-out pictures, and the share of w's variance that the mapping misses."""
        source = generator_for(0, 0, stream=13)
        end = self._latents(self.held_means, self.held_deviations, torch.arange(len(self.held_means)), source)
        noise = self._noise(len(end), source)
        t = torch.rand(len(end), 1, generator=source).to(self.device)
        missed = self._miss(self.average, self._noise(HELD_NOISE, source))
        return {"held_out": float(flow_loss(self.flow_average, noise, end, t)), "missed": float(missed)}

    @torch.no_grad()
    def fitted(self) -> MappingNetwork:
        """Give the fitted mapping, with the mean of w over its own draws."""
        mapping = copy.deepcopy(self.average)
        mapping.w_avg.copy_(mapping.embed_latent(self._noise(HELD_NOISE, generator_for(0, 1, stream=13))).mean(dim=0))
        return mapping

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw 32 pictures, truncation 0.7."""
        mapping, source = self.fitted(), generator_for(0, 2, stream=13)
        ws = mapping(self._noise(32, source), psi=0.7)
        save_grid(path, to_uint8(torch.cat([self.generator(part) for part in ws.split(8)]).clamp(-1, 1)), 8)

    def _step_flow(self, info: StepInfo, source: torch.Generator, done: float) -> dict[str, float]:
        index = torch.randint(len(self.means), (info.batch_size,), generator=source)
        end = self._latents(self.means, self.deviations, index, source)
        t = torch.rand(info.batch_size, 1, generator=source).to(self.device)
        loss = flow_loss(self.flow, self._noise(info.batch_size, source), end, t)
        _descend(self.flow_optimizer, loss, self.config.lr * _fade(done))
        self._follow(self.flow_average, self.flow, info)
        return {"flow": float(loss.detach())}

    def _step_mapping(self, info: StepInfo, source: torch.Generator, done: float) -> dict[str, float]:
        loss = self._miss(self.mapping, self._noise(info.batch_size, source))
        _descend(self.optimizer, loss, self.config.mapping_lr * _fade(done))
        self._follow(self.average, self.mapping, info)
        return {"missed": float(loss.detach())}

    def _miss(self, mapping: MappingNetwork, noise: torch.Tensor) -> torch.Tensor:
        """Squared error of the one-pass mapping, as a share of w's variance."""
        with torch.no_grad():
            wanted = self.teacher.embed_latent(transport(self.flow_average, noise))
        return (mapping.embed_latent(noise) - wanted).square().mean() / wanted.var(dim=0).mean()

    def _latents(self, means: torch.Tensor, deviations: torch.Tensor, index: torch.Tensor, source: torch.Generator) -> torch.Tensor:
        noise = torch.randn(len(index), means.shape[1], generator=source)
        return normalize_second_moment(means[index] + deviations[index] * noise.to(means))

    def _noise(self, num: int, source: torch.Generator) -> torch.Tensor:
        return normalize_second_moment(torch.randn(num, self.means.shape[1], generator=source).to(self.device))

    def _follow(self, average: nn.Module, network: nn.Module, info: StepInfo) -> None:
        update_ema(average, network, batch=info.batch_size, images_seen=info.images_seen + 1, half_life=self.config.half_life)


def _fade(done: float) -> float:
    """Cosine decay of a learning rate: 1 at the start, 0 at the end."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", required=True, help="model from `train warmup`")
    parser.add_argument("--data", type=Path, required=True, help="cache of the pictures that it learned to decode")
    parser.add_argument("--layers", type=int, default=4, help="layers of the fitted mapping (default: %(default)s)")
    parser.add_argument("--export", help="model folder to write the generator to (default: the model's own)")


def main(args: argparse.Namespace) -> int:
    """Fit as `python -m sisgen train prior` asks."""
    device = pick_device(args.device)
    folder = find_model(args.model).path
    if not has_part(folder, ENCODER_FILE, {}):
        raise TrainingError(f"The model '{args.model}' lacks {ENCODER_FILE}.safetensors; run `sisgen train warmup` first.")
    cache = PortraitCache(args.data)
    generator = load_generator(folder)
    teacher = decoder_mapping(folder, generator)
    encoder = _load_encoder(folder, generator, cache.size).to(device)
    if args.dry_run:  # which tells sizes only: a whole cache takes minutes
        means = deviations = torch.zeros(len(cache), 2, generator.config.z_dim, device=device)
    else:
        means, deviations = encode_all(encoder, cache, device=device)
    config = PriorConfig()
    task = PriorTask(config, generator, teacher, means, deviations, layers=args.layers, seed=args.seed, device=device)
    seen = start(task, args, config, images=256 * 12_000, batch=256)
    if seen is not None:
        _export(Path(args.export or folder), folder, task, encoder, seen)
    return finish()


def _load_encoder(folder: Path, generator: StyleGAN2, size: int) -> PictureEncoder:
    """Load a model's encoder of pictures of this size."""
    unpack = 1 if f"b{size}.fromrgb.weight" in read_shapes(folder / f"{ENCODER_FILE}.safetensors") else 2
    encoder = PictureEncoder(generator.config, size, unpack=unpack)
    load_part(folder, ENCODER_FILE, encoder)
    return encoder


def _export(target: Path, folder: Path, task: PriorTask, encoder: PictureEncoder, seen: int) -> None:
    raw = copy.deepcopy(task.generator)
    load_raw(folder, raw)
    raw.mapping = task.generator.mapping = task.fitted()
    parts = {"generator": task.generator, "generator_raw": raw, MAPPING_FILE: task.teacher, ENCODER_FILE: encoder}
    notes = {"latents_seen": seen, **{name: round(value, 4) for name, value in task.score().items()}}
    images_seen = read_json(folder / CONFIG_FILE).get("images_seen", 0)
    export_parts(
        target, parts, {"generator": to_dict(task.sizes), "images_seen": images_seen, "training": training_notes(target, "prior", notes)}
    )
