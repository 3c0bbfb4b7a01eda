"""Trainer of the encoder that brings photographs into a generator (after e4e, Tov et al., 2021).

Half of every batch are the generator's own samples, whose style rows are known; the other half are pictures, of which only the
reconstruction can be judged: by pixels, by SqueezeNet's early features, and by the model's reader, which must find the same classes in
it. Style rows begin to differ from coarse to fine while the training goes on; the lengths of their differences, and how far they lie
from the mean style, are kept small, so that what is found can be edited and rearranged.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.errors import TrainingError
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder, EncoderConfig, encoder_config
from sisgen.io.configs import read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.weights import read_weights
from sisgen.nets.pyramid import pyramid_distance
from sisgen.nets.reader import Reader
from sisgen.nets.squeezenet import SqueezeNet, load_squeezenet
from sisgen.train.checkpoints import export_parts, has_part, load_generator, load_part, training_notes
from sisgen.train.command import finish, start
from sisgen.train.descent import check_rate
from sisgen.train.encoding import EncodingTask
from sisgen.train.gan import Pictures, draw_pictures
from sisgen.train.judges import load_reader
from sisgen.train.label_loss import class_weights, label_loss
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import draw_ws
from sisgen.train.warmup import ENCODER_FILE

LEARNING_RATE = 1.5e-3
ADOPTED = 160  # pictures through which a warm start's encoder is brought into this one


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderTrainConfig:
    """How the encoder is trained."""

    encoder: EncoderConfig
    lr: float = LEARNING_RATE
    samples: float = 0.5  # share of a batch that the generator draws
    known: float = 0.15  # weight of the distance of known style rows, in spreads of w
    perceptual: float = 1.5  # of SqueezeNet's features, where it is given
    labels: float = 0.2  # of the classes read back
    deltas: float = 0.02  # of the squared length of a row's own delta
    typical: float = 0.002  # of the squared distance to the mean style
    first_row: int = 1_000  # pictures after which the first row leaves the shared w
    last_row: int = 8_000  # pictures after which all rows do
    ema_half_life: float = 1_500.0
    mirror: bool = True  # flip pictures at random
    bf16: bool = False


class EncoderTask(EncodingTask):
    """The work of one encoder training; see `sisgen.train.loop.Task`.

    Args:
        config: how.
        generator: frozen, the one to encode for.
        encoder: where to start.
        reader: the model's own; `None` leaves the classes out.
        pictures: real ones.
        squeezenet: for the perceptual distance; `None` compares pixels only.
        device: where to train.
    """

    name = "encoder"

    def __init__(
        self,
        config: EncoderTrainConfig,
        generator: StyleGAN2,
        encoder: Encoder,
        pictures: Pictures,
        *,
        reader: Reader | None = None,
        squeezenet: SqueezeNet | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(config, generator, encoder, squeezenet=squeezenet, device=device)
        self.config, self.pictures = config, pictures
        self.reader = None if reader is None else reader.eval().requires_grad_(False).to(self.device)
        if self.reader is not None:
            typical = self.reader.read(self._real([generator_for(0, i, stream=7) for i in range(16)]))
            self.weights = class_weights(typical, self.reader.config.num_labels, 0.3).to(self.device)

    def step(self, info: StepInfo) -> dict[str, float]:
        """Encode samples and pictures, decode them and compare."""
        self._set_rate(info)
        sources = [generator_for(info.seed, i, stream=11) for i in info.sample_ids]
        wanted, images = self._batch(sources)

        # Forward.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            z, deltas = self.encoder(self.encoder.shrink(images))
            deltas = deltas * self._enabled(info.images_seen + info.batch_size)
            ws = self.encoder.rows(self.generator, z, deltas).float()
            found = self.generator(ws)
            loss, stats = self._compare(found, images)

        terms = self._row_terms(ws, wanted, deltas)
        for name, term in terms.items():
            loss = loss + getattr(self.config, name) * term
        stats |= terms

        # Step.
        self._descend(loss, info)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows of eight: samples and what the averaged encoder makes of them, pictures and what it makes of these."""
        _, drawn = self._batch([generator_for(1, i, stream=5) for i in range(8)], samples=8)
        real = self._real([generator_for(2, i, stream=5) for i in range(8)])
        rows = [drawn, self.reconstruct(drawn), real, self.reconstruct(real)]
        save_grid(path, np.concatenate([to_uint8(row.clamp(-1, 1).cpu()) for row in rows]), 8)

    @torch.no_grad()
    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """Give pictures back through the averaged encoder."""
        return self.generator(self.average.encode(self.generator, images))

    @torch.no_grad()
    def _batch(self, sources: list[torch.Generator], samples: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Style rows [n, S, D] of n samples, and these samples followed by pictures [B, 3, H, W]."""
        count = round(len(sources) * self.config.samples) if samples is None else samples
        images, wanted = [], torch.zeros(0, self.generator.config.num_ws, self.generator.config.w_dim, device=self.device)
        if count:
            wanted = draw_ws(self.generator, sources[:count])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
                images.append(self.generator(wanted).clamp(-1, 1))
        if count < len(sources):
            images.append(self._real(sources[count:]))
        return wanted, torch.cat(images).contiguous(memory_format=torch.channels_last)

    def _real(self, sources: list[torch.Generator]) -> torch.Tensor:
        return draw_pictures(self.pictures, sources, mirror=self.config.mirror).to(self.device)

    def _enabled(self, images_seen: int) -> torch.Tensor:
        """How far every row may leave the shared w by now, [S, 1] in [0, 1]: coarse ones first."""
        rows = self.generator.config.num_ws
        first, last = self.config.first_row, self.config.last_row
        begins = first + (last - first) * (torch.arange(rows, device=self.device) - 1) / max(rows - 1, 1)
        begun = ((images_seen - begins) / max((last - first) / rows, 1.0)).clamp(0, 1)
        begun[0] = 1  # what all rows share
        return begun[:, None]

    def _compare(self, found: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Differences of reconstructions from what was encoded."""
        stats = {"pixels": pyramid_distance(found, images), **self._perceptual(found, images)}
        loss = stats["pixels"]
        if "perceptual" in stats:
            loss = loss + self.config.perceptual * stats["perceptual"]
        if self.reader is not None:
            labels = self.reader.read(images)
            stats["labels"] = label_loss(self.reader(found.clamp(-1.1, 1.1)), labels, self.weights, 0.5)
            loss = loss + self.config.labels * stats["labels"]
        return loss, stats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", type=Path, required=True, help="model folder with a generator; the encoder is written there")
    parser.add_argument("--data", type=Path, required=True, help="cache of pictures, from `python -m sisgen data`")
    parser.add_argument("--squeezenet", type=Path, help="folder of SqueezeNet for a perceptual difference (default: pixels only)")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="learning rate (default: %(default)s)")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 on a CPU too; it pays where the CPU has AMX")
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever the model folder holds")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train encoder` asks."""
    device = pick_device(args.device)
    check_rate(args.lr, LEARNING_RATE)
    squeezenet = None if args.squeezenet is None else load_squeezenet(args.squeezenet, device)
    cache = PortraitCache(args.data)
    bf16 = device.type == "cuda" or args.bf16
    task = open_encoder(args.model, cache, device, squeezenet=squeezenet, lr=args.lr, bf16=bf16, fresh=args.fresh, seed=args.seed)
    seen = start(task, args, task.config, images=20_000, batch=16)
    if seen is not None:
        export_encoder(args.model, task, {"seed": args.seed, "images_seen": seen})
    return finish()


def open_encoder(
    model: Path,
    cache: PortraitCache,
    device: torch.device,
    *,
    squeezenet: SqueezeNet | None = None,
    lr: float = LEARNING_RATE,
    bf16: bool = False,
    fresh: bool = False,
    seed: int = 0,
) -> EncoderTask:
    """Prepare the training of a model's encoder.

    It goes on from the model's encoder, else from that of the generator's warm start, else from random weights.

    Args:
        model: folder with a generator and, for the classes, a reader.
        cache: pictures of the generator's resolution.
        device: where to train.
        squeezenet: for the perceptual distance; `None` compares pixels only.
        lr: learning rate.
        bf16: train in bfloat16.
        fresh: start from random weights.
        seed: of the weights.

    Raises:
        TrainingError: the pictures have another size than the generator's.
    """
    generator = load_generator(model)
    if cache.size != generator.config.resolution:
        sizes = f"{generator.config.resolution} pixels, as the generator's are, but they have {cache.size}"
        raise TrainingError(f"The pictures in '{cache.path}' must have {sizes}; write a cache of that size.")
    config = EncoderTrainConfig(encoder=encoder_config(generator.config), lr=lr, bf16=bf16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config.encoder)
    encoder.measure_spread(generator, latents(range(1024), generator.config.z_dim))
    if not fresh and has_part(model, "encoder", {"encoder": config.encoder}):
        load_part(model, "encoder", encoder)
        config = dataclasses.replace(config, first_row=0, last_row=0)  # its rows differ already
    elif not fresh and has_part(model, ENCODER_FILE, {}):
        some = cache.images(np.linspace(0, len(cache) - 1, min(ADOPTED, len(cache))).astype(int))
        encoder.adopt(read_weights(model / f"{ENCODER_FILE}.safetensors"), encoder.shrink(some))
    reader = load_reader(model)[0] if "reader" in read_json(model / "config.json") else None
    return EncoderTask(config, generator, encoder, cache, reader=reader, squeezenet=squeezenet, device=device)


def export_encoder(model: Path, task: EncoderTask, notes: Mapping[str, Any]) -> None:
    """Write a trained encoder into its model folder."""
    content = {"encoder": to_dict(task.config.encoder), "training": training_notes(model, "encoder", notes, model=model)}
    export_parts(model, {"encoder": task.average}, content)
