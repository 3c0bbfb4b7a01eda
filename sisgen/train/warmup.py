"""Warm start of a GAN: the generator first learns to decode pictures, as a variational autoencoder, without any label.

Adversarial training spends its first tens of thousands of pictures on finding where a face is. Decoding teaches that at half the cost a
picture: an encoder with the discriminator's trunk gives z, mapping and synthesis give the picture back. The weight of the KL
term follows a target, so that z of pictures comes near the normal latents that the generator is used with. `train gan` then goes on
from the result and makes it sharp.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.generators.discriminator import DiscriminatorBlock, logistic_discriminator_loss, logistic_generator_loss
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.hub import find_model
from sisgen.nets.layers import EqualLinear
from sisgen.nets.squeezenet import SqueezeNet, load_squeezenet, perceptual_distance
from sisgen.train.checkpoints import export_parts, has_part, load_part
from sisgen.train.command import finish, start
from sisgen.train.ema import update_ema
from sisgen.train.gan import PRESETS, GANConfig, GANTask, Pictures
from sisgen.train.loop import StepInfo, generator_for

ENCODER_FILE = "warmup_encoder"


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmupConfig:
    """How the generator is warmed up."""

    gan: GANConfig = field(default_factory=GANConfig)
    lr: float = 2e-3
    perceptual: float = 1.0  # weight of the features' difference beside the pixels'; needs SqueezeNet
    adversarial: float = 0.0  # pull of the discriminator on a decoded picture, relative to that of the difference; 0 = none
    kl_target: float = 1.4  # nats a latent dimension
    kl_rate: float = 0.01  # speed of the KL weight


class PictureEncoder(nn.Module):
    """Picture [B, 3, H, W] -> mean and log-variance of z, [B, D] each; space-to-depth stem, the discriminator's blocks."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.size = config.resolution // 2
        size = self.size
        while size > 4:
            seen = 12 if size == self.size else 0
            block = DiscriminatorBlock(config.channels[str(size)], config.channels[str(size // 2)], image_channels=seen)
            self.add_module(f"b{size}", block)
            size //= 2
        self.hidden = EqualLinear(config.channels["4"] * 16, 256, activation=True)
        self.out = EqualLinear(256, 2 * config.z_dim)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.pixel_unshuffle(image, 2)
        size = self.size
        while size > 4:
            x = getattr(self, f"b{size}")(x)
            size //= 2
        mean, log_variance = self.out(self.hidden(x.flatten(1))).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)


class KLWeight(nn.Module):
    """The weight of the KL term, which follows a target."""

    log_value: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("log_value", torch.tensor(math.log(1e-2)))

    @torch.no_grad()
    def follow(self, kl: float, target: float, rate: float) -> None:
        """Raise the weight while the KL term is over its target, lower it below."""
        self.log_value.add_(rate * max(-1.0, min(1.0, kl / target - 1))).clamp_(math.log(1e-4), math.log(1.0))


class WarmupTask(GANTask):
    """The work of one warm start; generator, mean generator and discriminator are those of `GANTask`."""

    name = "warmup"

    def __init__(
        self,
        config: WarmupConfig,
        pictures: Pictures,
        perceptual: SqueezeNet | None = None,  # None compares pixels only
        *,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(config.gan, pictures, seed=seed, device=device)
        self.warmup = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = PictureEncoder(config.gan.generator)
        self.encoder.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kl_weight = KLWeight().to(self.device)
        self.perceptual = perceptual.to(self.device) if perceptual is not None and config.perceptual > 0 else None
        self.trained = [*self.encoder.parameters(), *self.generator.parameters()]
        self.optimizer = torch.optim.Adam(self.trained, lr=config.lr, betas=(0.5, 0.99))

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {**super().networks(), "encoder": self.encoder, "kl_weight": self.kl_weight}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"autoencoder": self.optimizer, "discriminator": self.d_optimizer}

    def load(self, model: str | Path) -> None:
        """Go on from a model, with its encoder where it has one."""
        super().load(model)
        folder = find_model(str(model)).path
        if has_part(folder, ENCODER_FILE, {}):
            load_part(folder, ENCODER_FILE, self.encoder)

    def export(self, folder: str | Path, images_seen: int) -> None:
        """Write the generator, the encoder and what else it takes to go on into a model folder."""
        super().export(folder, images_seen)
        export_parts(folder, {ENCODER_FILE: self.encoder}, {})

    def step(self, info: StepInfo) -> dict[str, float]:
        """Encode, decode, compare."""
        sources = [generator_for(info.seed, i) for i in info.sample_ids]
        real = self._real(sources)
        mean, log_variance = self.encoder(real)
        noise = torch.stack([torch.randn(mean.shape[1], generator=g) for g in sources]).to(mean)
        z = mean + noise * (0.5 * log_variance).exp()
        ws = self.generator.map(z)
        with torch.no_grad():
            self.generator.mapping.w_avg.lerp_(self.processes.average(ws[:, 0].mean(dim=0)), 0.01)
        image = self.generator(ws, noise_mode="none")

        difference = pyramid_distance(image, real)
        if self.perceptual is not None:
            difference = difference + self.warmup.perceptual * perceptual_distance(self.perceptual, image, real)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()  # nats a dimension
        loss = difference + float(self.kl_weight.log_value.exp()) * kl
        stats = {"difference": difference, "kl": kl, "kl_weight": self.kl_weight.log_value.exp()}
        if self.warmup.adversarial > 0:
            wanted, d_loss = self._sharpen(image, real, difference, info)
            loss = loss + (image * wanted).sum()
            stats["d_loss"] = d_loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.trained)
        self.processes.average_gradients(self.trained)
        self.optimizer.step()
        self.kl_weight.follow(float(self.processes.average(kl)), self.warmup.kl_target, self.warmup.kl_rate)
        seen = self.seen_before + info.images_seen
        update_ema(self.average, self.generator, batch=info.batch_size, images_seen=seen, half_life=2_000.0)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    def _sharpen(
        self, image: torch.Tensor, real: torch.Tensor, difference: torch.Tensor, info: StepInfo
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Train the discriminator on decoded against real pictures; the gradient that it sends to the decoded ones.

        That gradient is scaled to `adversarial` times the length of the difference's (after Esser et al., VQGAN, eq. 7).
        """
        seen = image.detach().requires_grad_()
        fake_logits, real_logits = self.discriminator(seen), self.discriminator(real)
        (wanted,) = torch.autograd.grad(logistic_generator_loss(fake_logits).mean(), seen, retain_graph=True)
        weights = list(self.discriminator.parameters())
        self.d_optimizer.zero_grad(set_to_none=True)
        d_loss = logistic_discriminator_loss(real_logits, fake_logits).mean()
        d_loss.backward(inputs=weights)
        if info.step % self.config.r1_interval == 0:
            self._penalize(real, [])
        self.processes.average_gradients(weights)
        self.d_optimizer.step()
        (pull,) = torch.autograd.grad(difference, image, retain_graph=True)
        scale = self.processes.average(pull.norm() / wanted.norm().clamp_min(1e-12))
        return wanted * (scale * self.warmup.adversarial), d_loss


@torch.no_grad()
def silence(generator: StyleGAN2) -> None:
    """Take the noise out of a generator that was decoded without; adversarial training brings back what it needs."""
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.zero_()


def pyramid_distance(a: torch.Tensor, b: torch.Tensor, levels: int = 4) -> torch.Tensor:
    """Mean absolute difference at full, half, quarter, ... resolution, added up."""
    total = (a - b).abs().mean()
    for _ in range(levels - 1):
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total = total + (a - b).abs().mean()
    return total


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, required=True, help="cache of pictures, from `python -m sisgen data`")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="thin", help="width; thin for CPUs, base for a GPU (default: thin)")
    parser.add_argument("--start", help="model to start from (default: from scratch)")
    parser.add_argument("--adversarial", type=float, default=0.0, help="pull of the discriminator, 0.5 sharpens (default: 0, none)")
    parser.add_argument("--kl", type=float, default=1.4, help="nats a latent dimension may carry; more is sharper (default: 1.4)")
    parser.add_argument("--squeezenet", type=Path, help="folder of SqueezeNet for a perceptual difference (default: pixels only)")
    parser.add_argument("--export", required=True, help="model folder to write; `train gan --start` goes on from it")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train warmup` asks."""
    device = pick_device(args.device)
    cache = PortraitCache(args.data)
    sizes = StyleGAN2Config(resolution=cache.size, channels=PRESETS[args.preset])
    gan = GANConfig(generator=sizes, unpack=2 if args.preset == "thin" else 1)
    config = WarmupConfig(gan=gan, adversarial=args.adversarial, kl_target=args.kl)
    perceptual = None if args.squeezenet is None else load_squeezenet(args.squeezenet, device)
    task = WarmupTask(config, cache, perceptual, seed=args.seed, device=device)
    if args.start:
        task.load(args.start)
        silence(task.generator)
        silence(task.average)
    seen = start(task, args, config, images=20_000, batch=16)
    if seen is not None:
        task.export(args.export, seen)
    return finish()
