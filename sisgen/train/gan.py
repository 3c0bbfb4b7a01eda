"""Trainer of the unconditional generator: StyleGAN2 losses with lazy R1, style mixing, EMA and adaptive augmentation.

Both players step at once, from one forward pass of the discriminator over the generated pictures: the generator's loss is
differentiated with respect to the pictures only, the discriminator's with respect to its weights only. Alternating steps would
need a second pass, a fifth of the work.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.generators.discriminator import Discriminator, logistic_discriminator_loss, logistic_generator_loss
from sisgen.generators.stylegan2 import THIN_128, StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.io.images import save_grid, to_uint8
from sisgen.train.augment import AdaptiveAugment
from sisgen.train.checkpoints import export_gan, generator_config, load_gan
from sisgen.train.command import finish, start
from sisgen.train.distributed import Processes
from sisgen.train.ema import update_ema
from sisgen.train.loop import StepInfo, generator_for

PRESETS = {  # channels by preset; thin trains on CPU cores
    "thin": THIN_128,
    "base": channels_by_rule(128, 8192, 256),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GANConfig:
    """How the generator is trained."""

    generator: StyleGAN2Config = field(default_factory=StyleGAN2Config)
    lr: float = 2.5e-3
    r1_gamma: float = 0.3
    r1_interval: int = 16  # steps between R1 penalties
    mixing: float = 0.9  # probability of style mixing
    unpack: int = 1  # space-to-depth in front of the discriminator; 2 on CPUs
    w_avg_decay: float = 0.998
    ada_target: float | None = None  # mean sign of real logits; None = no augmentation (endless data)
    mirror: bool = True  # flip real pictures at random
    ema_half_life: float = 10_000.0
    bf16: bool = False


class Pictures(Protocol):
    """Real pictures by index."""

    def __len__(self) -> int: ...

    def images(self, indices: Sequence[int]) -> torch.Tensor: ...


def draw_pictures(pictures: Pictures, sources: Sequence[torch.Generator], *, mirror: bool = True) -> torch.Tensor:
    """Draw one picture a source, flipped half of the time where `mirror`: float [B, 3, H, W] in [-1, 1]."""
    images = pictures.images([int(torch.randint(len(pictures), (1,), generator=g)) for g in sources])
    if not mirror:
        return images
    flip = torch.tensor([bool(torch.rand(1, generator=g) < 0.5) for g in sources], device=images.device)
    return torch.where(flip[:, None, None, None], images.flip(3), images)


class GANTask:
    """The work of one GAN training; see `sisgen.train.loop.Task`."""

    name = "gan"

    def __init__(self, config: GANConfig, pictures: Pictures, *, seed: int = 0, device: torch.device | None = None) -> None:
        self.config = config
        self.pictures = pictures
        self.processes = Processes()
        self.device = self.processes.device(device or torch.device("cpu"))
        size = config.generator.resolution
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = StyleGAN2(config.generator)
            self.discriminator = Discriminator(size, config.generator.channels, unpack=config.unpack)
        self.generator.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.augment = AdaptiveAugment(target=config.ada_target)
        self.seen_before = 0  # pictures that the generator saw in earlier runs

        # Lazy regularization scales the discriminator's Adam (Karras et al. 2020, appendix B).
        lazy = config.r1_interval / (config.r1_interval + 1)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=config.lr, betas=(0.0, 0.99), eps=1e-8)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=config.lr * lazy, betas=(0.0, 0.99**lazy), eps=1e-8)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"generator": self.generator, "discriminator": self.discriminator, "generator_ema": self.average, "augment": self.augment}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"generator": self.g_optimizer, "discriminator": self.d_optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Train both players on one batch."""
        sources = [generator_for(info.seed, i) for i in info.sample_ids]
        real = self._real(sources)

        # Forward.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            fake = self._fake(sources)
            fake_logits = self._judge(fake, sources).float()
            real_logits = self._judge(real, sources).float()
        g_loss = logistic_generator_loss(fake_logits).mean()
        d_loss = logistic_discriminator_loss(real_logits, fake_logits).mean()

        # Backward: pictures' gradients for the generator, weights' gradients for the discriminator, from one forward pass.
        self.d_optimizer.zero_grad(set_to_none=True)
        self.g_optimizer.zero_grad(set_to_none=True)
        (wanted,) = torch.autograd.grad(g_loss, fake, retain_graph=True)
        d_loss.backward(inputs=list(self.discriminator.parameters()))
        fake.backward(wanted)
        penalty = self._penalize(real, sources) if info.step % self.config.r1_interval == 0 else None

        # Step.
        self._update(info)
        sign = float(self.processes.average(real_logits.sign().mean()))
        self.augment.adapt(sign, info.batch_size)
        stats = {
            "d_loss": float(self.processes.average(d_loss)),
            "g_loss": float(self.processes.average(g_loss)),
            "real_sign": sign,
        }
        if self.config.ada_target is not None:
            stats["ada_p"] = float(self.augment.p)
        return stats if penalty is None else stats | {"r1": penalty}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw 32 pictures of the averaged generator, truncation 0.7."""
        z = torch.stack([torch.randn(self.config.generator.z_dim, generator=generator_for(0, i, stream=9)) for i in range(32)])
        images = [self.average(self.average.map(part.to(self.device), psi=0.7)) for part in z.split(8)]
        save_grid(path, to_uint8(torch.cat(images)), 8)

    def load(self, model: str | Path) -> None:
        """Go on from a model; the average keeps what it has, since it counts the pictures of earlier runs too."""
        self.seen_before = load_gan(model, generator=self.generator, average=self.average, discriminator=self.discriminator)

    def export(self, folder: str | Path, images_seen: int) -> None:
        """Write the averaged generator, and what it takes to go on, into a model folder; `images_seen` are those of this run."""
        total = self.seen_before + images_seen
        export_gan(folder, generator=self.generator, average=self.average, discriminator=self.discriminator, images_seen=total)

    def _real(self, sources: Sequence[torch.Generator]) -> torch.Tensor:
        images = draw_pictures(self.pictures, sources, mirror=self.config.mirror).to(self.device)
        return images.contiguous(memory_format=torch.channels_last)

    def _fake(self, sources: Sequence[torch.Generator]) -> torch.Tensor:
        """Generate one picture a source, with style mixing, and track the mean w."""
        generator, config = self.generator, self.config
        z = torch.stack([torch.randn(2, config.generator.z_dim, generator=g) for g in sources]).to(self.device)  # [B, 2, D]
        ws, other = generator.map(z[:, 0]), generator.map(z[:, 1])
        with torch.no_grad():
            mean = self.processes.average(ws[:, 0].float().mean(dim=0))
            generator.mapping.w_avg.lerp_(mean, 1 - config.w_avg_decay)
        cuts = [_mixing_cut(g, ws.shape[1], config.mixing) for g in sources]
        first = torch.arange(ws.shape[1], device=self.device)[None] < torch.tensor(cuts, device=self.device)[:, None]  # [B, S]
        return generator(torch.where(first[:, :, None], ws, other), noise_mode="random", generator=sources)

    def _judge(self, images: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
        return self.discriminator(self.augment(images, sources))

    def _penalize(self, real: torch.Tensor, sources: Sequence[torch.Generator]) -> float:
        """Add the gradients of the R1 penalty (Mescheder et al. 2018), taken where the discriminator sees the picture."""
        seen = self.augment(real, sources).detach().requires_grad_()
        logits = self.discriminator(seen)
        (gradient,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
        penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
        (penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)).backward()
        return float(self.processes.average(penalty))

    def _update(self, info: StepInfo) -> None:
        self.processes.average_gradients([*self.discriminator.parameters(), *self.generator.parameters()])
        self.d_optimizer.step()
        self.g_optimizer.step()
        seen = self.seen_before + info.images_seen
        update_ema(self.average, self.generator, batch=info.batch_size, images_seen=seen, half_life=self.config.ema_half_life)


def _mixing_cut(source: torch.Generator, num_ws: int, probability: float) -> int:
    """First style row that the second latent gives; `num_ws` = no mixing."""
    draw, cut = torch.rand(2, generator=source).tolist()
    return 1 + math.floor(cut * (num_ws - 1)) if draw < probability else num_ws


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, required=True, help="cache of pictures, from `python -m sisgen data`")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="thin", help="width; thin for CPUs, base for a GPU (default: thin)")
    parser.add_argument("--start", help="model to start from: its generator and discriminator (default: from scratch)")
    parser.add_argument("--ada", type=float, help="target of adaptive augmentation, 0.6 for a few thousand pictures (default: none)")
    parser.add_argument("--gamma", type=float, default=0.3, help="weight of R1 (default: 0.3)")
    parser.add_argument("--lr", type=float, default=2.5e-3, help="learning rate (default: 0.0025)")
    parser.add_argument("--export", help="model folder to write the generator to at the end (default: none)")


def start_sizes(start: str | None, resolution: int, preset: str) -> StyleGAN2Config:
    """Sizes of the generator: those of the model that a training starts from, where it has the pictures' resolution, else the preset's."""
    if start and (sizes := generator_config(start)).resolution == resolution:
        return sizes
    return StyleGAN2Config(resolution=resolution, channels=PRESETS[preset])


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train gan` asks."""
    device = pick_device(args.device)
    cache = PortraitCache(args.data)
    sizes = start_sizes(args.start, cache.size, args.preset)
    unpack = 2 if args.preset == "thin" else 1
    bf16 = device.type == "cuda"
    config = GANConfig(generator=sizes, lr=args.lr, r1_gamma=args.gamma, unpack=unpack, ada_target=args.ada, bf16=bf16)
    task = GANTask(config, cache, seed=args.seed, device=device)
    if args.start:
        task.load(args.start)
    seen = start(task, args, config, images=400_000, batch=16)
    if args.export and seen is not None:
        task.export(args.export, seen)
    return finish()
