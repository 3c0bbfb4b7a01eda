"""Warm start of a GAN: the generator first learns to decode pictures, as a variational autoencoder, without any label.

Adversarial training spends its first tens of thousands of pictures on finding where a face is. Decoding teaches that at half the cost a
picture: an encoder with the discriminator's trunk gives z, mapping and synthesis give the picture back. The weight of the KL
term follows a target, so that z of pictures comes near the normal latents that the generator is used with.

Layers of equalized learning rate want a rate ten times that of a GAN here, and a calm start: small to-RGB weights and styles near
one. With both, 14 thousand pictures of 32 px were decoded about as well as 150 thousand of 128 px had been without.

Critics then look at decoded pictures and at pictures from the prior (after Larsen et al., VAE/GAN, ICML 2016): decoding keeps every kind
of picture in reach, the critics make samples as sharp as pictures. The prior is the normal distribution of the latents that pictures have;
`python -m sisgen train prior` afterwards teaches the mapping to bring a standard normal there.

Layers behind the cut should colour what the layers before it arrange, no more: for a share of the pictures they take the style of a
mirrored and warped copy, and the picture has to come back unwarped all the same.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.errors import TrainingError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.encoder import PictureEncoder
from sisgen.generators.projected import DEEPEST, ProjectedDiscriminator
from sisgen.generators.stylegan2 import MappingNetwork, StyleGAN2
from sisgen.generators.widen import widen_latent
from sisgen.hub import CONFIG_FILE, find_model
from sisgen.io.configs import read_json
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.weights import read_shapes, read_weights
from sisgen.nets.pyramid import pyramid_distance
from sisgen.nets.squeezenet import PERCEPTUAL_STAGE, SqueezeNet, compare_stages, crop_alike, load_squeezenet
from sisgen.train.checkpoints import export_parts, generator_config, has_part, load_fitting, load_generator, load_part, load_raw
from sisgen.train.command import finish, start
from sisgen.train.critics import Critic, FeatureCritic, Judged, PixelCritic, pull_over_push
from sisgen.train.descent import check_rate, rate_factor, set_rates
from sisgen.train.ema import update_ema
from sisgen.train.gan import PRESETS, GANConfig, GANTask, Pictures, start_sizes
from sisgen.train.latents import RunningGaussian
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, warp_grid, warp_maps

ENCODER_FILE = "warmup_encoder"
MAPPING_FILE = "warmup_mapping"  # from the encoder's latents, where the generator's own mapping begins at a standard normal
CUT = 32  # resolution behind which layers take the style of a warped copy
LEARNING_RATE = 2e-2  # of synthesis
MAPPING_RATE = 10.0  # of the mapping's layers, relative to it: theirs are scaled to a hundredth
ENCODER_RATE = 0.5
MAPPING_LAYERS = 2  # of a new generator: deeper ones decode worse, and `train prior` makes them as deep as a sampler wants
BALANCE_INTERVAL = 16  # steps between measurements of the critics' weights


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmupConfig:
    """How the generator is warmed up."""

    gan: GANConfig = field(default_factory=GANConfig)
    lr: float = LEARNING_RATE  # of synthesis; mapping and encoder follow
    perceptual: float = 1.0  # weight of the difference of features, where there is a network for it
    adversarial: float = 0.0  # pull of the discriminator on a decoded picture, relative to that of the difference; 0 = none
    projected: float = 0.0  # the same of a critic of SqueezeNet's features
    projected_lr: float = 5e-4
    decoded: float = 1.0  # share of a batch that is decoded; the rest comes from the prior
    mixing: float = 0.0  # share of what is decoded whose layers behind the cut take the style of a warped copy
    warp: WarpConfig = field(default_factory=lambda: WarpConfig(p_flip=0.5, rotation=8.0, shift=0.08))
    resolution: int | None = None  # train on pictures of this size, as the generator has them on its way; None = its own
    ema_half_life: float = 2_000.0
    kl_target: float = 1.4  # nats a latent dimension
    kl_rate: float = 0.01  # speed of the KL weight


@torch.no_grad()
def calm(generator: StyleGAN2) -> None:
    """Let a new generator begin near grey, with little style: what decodes learns from there without unlearning noise first."""
    for name, parameter in generator.synthesis.named_parameters():
        if name.endswith("torgb.weight"):
            parameter.mul_(0.1)
        elif name.endswith(("conv0.affine.weight", "conv1.affine.weight")):
            parameter.mul_(0.2)


class LossWeights(nn.Module):
    """The weights that follow the training: of the KL term, and of every critic."""

    log_kl: torch.Tensor
    balance: torch.Tensor

    def __init__(self, num_critics: int = 0) -> None:
        super().__init__()
        self.register_buffer("log_kl", torch.tensor(math.log(1e-2)))
        self.register_buffer("balance", torch.zeros(num_critics))  # 0 = not measured yet

    @torch.no_grad()
    def follow_kl(self, kl: float, target: float, rate: float) -> None:
        """Raise the weight while the KL term is over its target, lower it below."""
        self.log_kl.add_(rate * max(-1.0, min(1.0, kl / target - 1))).clamp_(math.log(1e-4), math.log(1.0))

    @torch.no_grad()
    def follow_balance(self, critic: int, ratio: torch.Tensor, decay: float = 0.8) -> None:
        """Move a critic's weight towards the ratio of the gradients' lengths."""
        old = self.balance[critic]
        self.balance[critic] = ratio if old == 0 else old.lerp(ratio, 1 - decay)


class WarmupTask(GANTask):
    """The work of one warm start; generator, mean generator and discriminator are those of `GANTask`."""

    name = "warmup"

    def __init__(
        self,
        config: WarmupConfig,
        pictures: Pictures,
        squeezenet: SqueezeNet | None = None,  # None compares pixels only
        *,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        if config.projected > 0 and squeezenet is None:
            raise TrainingError("A projected critic takes SqueezeNet's features; give --squeezenet, or leave --projected out.")
        super().__init__(config.gan, pictures, seed=seed, device=device)
        self.warmup = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = config.gan.generator
            self.size = config.resolution or sizes.resolution
            unpack = config.gan.unpack if self.size >= 8 * config.gan.unpack else 1
            if self.size < sizes.resolution:
                self.discriminator = Discriminator(self.size, sizes.channels, unpack=unpack)
                self.discriminator.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.encoder = PictureEncoder(sizes, self.size, unpack=unpack)
            self.encoder.narrow(config.kl_target)
            projected = ProjectedDiscriminator()
        self.encoder.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        projected.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.squeezenet = None if squeezenet is None else squeezenet.to(self.device)
        for generator in (self.generator, self.average):
            calm(generator)
        parts = ((self.generator.synthesis, 1.0), (self.generator.mapping, MAPPING_RATE), (self.encoder, ENCODER_RATE))
        self.trained = [parameter for part, _ in parts for parameter in part.parameters()]
        self.rates = [config.lr * share for _, share in parts]
        groups = [{"params": list(part.parameters()), "lr": rate} for (part, _), rate in zip(parts, self.rates)]
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self.critics: dict[str, tuple[float, Critic]] = {}  # name -> weight, critic
        if config.adversarial > 0:
            gan = config.gan
            pixels = PixelCritic(self.discriminator, self.processes, lr=gan.lr, r1_gamma=gan.r1_gamma, r1_interval=gan.r1_interval)
            self.critics["pixels"] = (config.adversarial, pixels)
        if config.projected > 0:
            self.critics["features"] = (config.projected, FeatureCritic(projected, self.processes, lr=config.projected_lr))
        self.weights = LossWeights(len(self.critics)).to(self.device)
        self.prior = RunningGaussian(config.gan.generator.z_dim).to(self.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        critics = {name: critic.network for name, (_, critic) in self.critics.items()}
        return {**super().networks(), "encoder": self.encoder, "weights": self.weights, "prior": self.prior, **critics}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"autoencoder": self.optimizer, **{name: critic.optimizer for name, (_, critic) in self.critics.items()}}

    def load(self, model: str | Path) -> None:
        """Go on from a model, with its encoder and discriminator as far as they fit: another resolution begins with other blocks."""
        folder = find_model(str(model)).path
        saved, sizes = load_generator(folder), self.generator.config
        mapping = decoder_mapping(folder, saved)
        if saved.config.resolution != sizes.resolution:
            came = f"{saved.config.resolution} px, but the pictures have {sizes.resolution}"
            raise TrainingError(f"The generator of '{model}' makes pictures of {came}; give it pictures of its size.")
        if saved.config.z_dim > sizes.z_dim:
            came = f"{saved.config.z_dim} numbers, but --latent asks for {sizes.z_dim}"
            raise TrainingError(f"The latents of '{model}' have {came}; give as many or more.")
        if saved.config.z_dim < sizes.z_dim:
            mapping = widen_latent(mapping, sizes)
        self.average.synthesis.load_state_dict(saved.synthesis.state_dict())
        load_raw(folder, saved)
        self.generator.synthesis.load_state_dict(saved.synthesis.state_dict())
        for generator in (self.generator, self.average):
            generator.mapping.load_state_dict(mapping.state_dict())
        self.seen_before = int(read_json(folder / CONFIG_FILE).get("images_seen", 0))
        for stem, network in (("discriminator", self.discriminator), (ENCODER_FILE, self.encoder)):
            if has_part(folder, stem, {}):
                load_fitting(folder, stem, network)
        if saved.config.z_dim < sizes.z_dim and has_part(folder, ENCODER_FILE, {}):
            last = read_weights(folder / f"{ENCODER_FILE}.safetensors")
            self.encoder.adopt(last["out.weight"], last["out.bias"])

    def export(self, folder: str | Path, images_seen: int) -> None:
        """Write the generator, the encoder and what else it takes to go on into a model folder."""
        super().export(folder, images_seen)
        export_parts(folder, {ENCODER_FILE: self.encoder, MAPPING_FILE: self.average.mapping}, {})

    def step(self, info: StepInfo) -> dict[str, float]:
        """Decode pictures and compare; draw others from the prior; have both judged."""
        sources = [generator_for(info.seed, i) for i in info.sample_ids]
        real = self._shrink(self._real(sources))
        decoded = max(1, round(len(sources) * self.warmup.decoded))
        set_rates(self.optimizer, self.rates, rate_factor(info.progress, 0.02))

        # Forward.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            mean, log_variance = (x.float() for x in self.encoder(real[:decoded]))
        noise = torch.stack([torch.randn(mean.shape[1], generator=g) for g in sources]).to(mean)  # [B, D]
        z = torch.cat([mean + noise[:decoded] * (0.5 * log_variance).exp(), self.prior.draw(noise[decoded:])])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            ws = self._mix(self.generator.map(z).float(), real[:decoded], sources)
            image = self.generator.head(ws, self.size, noise_mode="none").rgb
        with torch.no_grad():
            self.generator.mapping.w_avg.lerp_(self.processes.average(ws[:, 0].mean(dim=0)), 0.01)
            self.prior.follow(*(self.processes.average(moment) for moment in self.prior.moments(z[:decoded])))

        # Losses.
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()  # nats a dimension
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            batch = self._see(image, real, decoded, sources[0])
            difference = self._compare(batch, decoded)
            g_loss, stats = self._criticise(batch, difference, decoded, info.step)
        stats |= {"difference": difference, "kl": kl, "kl_weight": self.weights.log_kl.exp()}
        loss = difference + float(self.weights.log_kl.exp()) * kl + g_loss

        # Step.
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.trained)
        self.processes.average_gradients(self.trained)
        self.optimizer.step()
        for _, critic in self.critics.values():
            critic.optimizer.step()
        self.weights.follow_kl(float(self.processes.average(kl)), self.warmup.kl_target, self.warmup.kl_rate)
        seen = self.seen_before + info.images_seen
        update_ema(self.average, self.generator, batch=info.batch_size, images_seen=seen, half_life=self.warmup.ema_half_life)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw 32 pictures of the averaged generator, truncation 0.7, at the resolution that is trained."""
        z = torch.stack([torch.randn(self.config.generator.z_dim, generator=generator_for(0, i, stream=9)) for i in range(32)])
        z = self.prior.draw(z.to(self.device))
        images = [self.average.head(self.average.map(part, psi=0.7), self.size).rgb for part in z.split(8)]
        save_grid(path, to_uint8(torch.cat(images).clamp(-1, 1)), 8)

    def _mix(self, ws: torch.Tensor, decoded: torch.Tensor, sources: Sequence[torch.Generator]) -> torch.Tensor:
        """Give the last rows of `ws` to the styles of warped copies, for a share of the decoded pictures."""
        mixed, row = round(len(decoded) * self.warmup.mixing), self.generator.synthesis.first_row(2 * CUT)
        if not mixed or row >= ws.shape[1]:
            return ws
        grid = warp_grid(sources[:mixed], decoded.shape[-1], self.warmup.warp).to(self.device)
        copies = warp_maps(decoded[:mixed], grid).contiguous(memory_format=torch.channels_last)
        mean, log_variance = (x.float() for x in self.encoder(copies))
        noise = torch.stack([torch.randn(mean.shape[1], generator=g) for g in sources[:mixed]]).to(mean)
        other = self.generator.map(mean + noise * (0.5 * log_variance).exp()).float()
        last = torch.arange(ws.shape[1], device=ws.device)[None, :, None] >= row  # [1, S, 1]
        return torch.cat([torch.where(last, other, ws[:mixed]), ws[mixed:]])

    def _shrink(self, images: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(images, self.size).contiguous(memory_format=torch.channels_last)

    def _see(self, image: torch.Tensor, real: torch.Tensor, decoded: int, source: torch.Generator) -> Judged:
        """Run SqueezeNet as far as it is needed: over everything where a critic reads it, else over what is compared."""
        if self.squeezenet is None:
            return Judged(image, real, {}, {})
        everything = "features" in self.critics
        last = DEEPEST if everything else PERCEPTUAL_STAGE
        shown = len(image) if everything else decoded
        seen, known = crop_alike(image[:shown], real[:shown], source)
        with torch.no_grad():
            real_stages = self.squeezenet.stages(known, last)
        return Judged(image, real, self.squeezenet.stages(seen, last), real_stages)

    def _compare(self, batch: Judged, decoded: int) -> torch.Tensor:
        """Difference between decoded pictures and what they were encoded from: of pixels, and of early features."""
        difference = pyramid_distance(batch.fake[:decoded], batch.real[:decoded])
        if self.squeezenet is None:
            return difference
        fake, real = ({name: x[:decoded] for name, x in stages.items()} for stages in (batch.fake_stages, batch.real_stages))
        return difference + self.warmup.perceptual * compare_stages(fake, real, PERCEPTUAL_STAGE)

    def _criticise(self, batch: Judged, difference: torch.Tensor, decoded: int, step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Teach the critics; the generator's loss, decoded and drawn pictures counting alike."""
        total, stats = torch.zeros([], device=self.device), {}
        for i, (name, (weight, critic)) in enumerate(self.critics.items()):
            g_losses, stats[f"d_{name}"] = critic.judge(batch, step)
            g_loss = torch.stack([part.mean() for part in (g_losses[:decoded], g_losses[decoded:]) if len(part)]).sum()
            if step % BALANCE_INTERVAL == 0:
                ratio = pull_over_push(difference, g_loss, batch.fake, decoded)
                self.weights.follow_balance(i, self.processes.average(ratio))
            total = total + float(self.weights.balance[i]) * weight * g_loss
            stats[f"g_{name}"] = g_loss
        return total, stats


def decoder_layers(folder: Path) -> int:
    """Count the layers of the mapping that begins at the encoder's latents."""
    if not has_part(folder, MAPPING_FILE, {}):
        return generator_config(folder).num_mapping_layers
    return sum(name.endswith(".weight") for name in read_shapes(folder / f"{MAPPING_FILE}.safetensors"))


def decoder_mapping(folder: Path, generator: StyleGAN2) -> MappingNetwork:
    """Load the mapping that begins at the encoder's latents; before `train prior` it is the generator's own."""
    if not has_part(folder, MAPPING_FILE, {}):
        return copy.deepcopy(generator.mapping)
    mapping = MappingNetwork(replace(generator.config, num_mapping_layers=decoder_layers(folder)))
    load_part(folder, MAPPING_FILE, mapping)
    return mapping


@torch.no_grad()
def silence(generator: StyleGAN2) -> None:
    """Take the noise out of a generator that was decoded without; adversarial training brings back what it needs."""
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.zero_()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, required=True, help="cache of pictures, from `python -m sisgen data`")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="thin", help="width; thin for CPUs, base for a GPU (default: thin)")
    parser.add_argument("--width", type=int, help="channels of a new generator's last block (default: the preset's)")
    words = "numbers in a latent; more than --start has are added, to be learned (default: --start's or the preset's)"
    parser.add_argument("--latent", type=int, help=words)
    parser.add_argument("--start", help="model to start from (default: from scratch)")
    words = "learning rate of synthesis, less for one that goes on (default: %(default)s); mapping and encoder follow"
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help=words)
    parser.add_argument("--adversarial", type=float, default=0.0, help="pull of the discriminator (default: 0, none)")
    parser.add_argument("--projected", type=float, default=0.0, help="pull of a critic of SqueezeNet's features (default: 0, none)")
    parser.add_argument("--kl", type=float, default=1.4, help="nats a latent dimension may carry; more is sharper (default: 1.4)")
    parser.add_argument("--decoded", type=float, default=1.0, help="share of a batch that is decoded and compared (default: 1)")
    parser.add_argument("--mixing", type=float, default=0.0, help="share whose finer layers take a warped copy's style (default: 0)")
    parser.add_argument("--resolution", type=int, help="learn at a lower resolution first, several times faster (default: the pictures')")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 on a CPU too; it pays where the CPU has AMX")
    parser.add_argument("--half-life", type=float, default=2_000.0, help="half-life of the average, in pictures (default: 2000)")
    parser.add_argument("--squeezenet", type=Path, help="folder of SqueezeNet for a perceptual difference (default: pixels only)")
    words = "weight of that difference; less where it paints fur as a lattice (default: 1)"
    parser.add_argument("--perceptual", type=float, default=1.0, help=words)
    parser.add_argument("--export", required=True, help="model folder to write; `train gan --start` goes on from it")


def _check_resolution(resolution: int | None, largest: int) -> None:
    if resolution is not None and (not 8 <= resolution <= largest or resolution & (resolution - 1)):
        raise TrainingError(f"--resolution must be a power of two in 8..{largest}, but it is {resolution}; take one of these.")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train warmup` asks."""
    device = pick_device(args.device)
    cache = PortraitCache(args.data)
    sizes = start_sizes(args.start, cache.size, args.preset)
    layers = decoder_layers(find_model(args.start).path) if args.start else MAPPING_LAYERS
    sizes = replace(sizes, num_mapping_layers=layers)
    if args.latent is not None:
        sizes = replace(sizes, z_dim=args.latent)
    if args.width is not None:
        if args.start:
            raise TrainingError(f"--width sets up a new generator, but --start {args.start} gives one; leave one of them out.")
        sizes = replace(sizes, channels={**sizes.channels, str(sizes.resolution): args.width})
    gan = GANConfig(generator=sizes, unpack=2 if args.preset == "thin" else 1, bf16=device.type == "cuda" or args.bf16)
    _check_resolution(args.resolution, cache.size)
    check_rate(args.lr, LEARNING_RATE)
    weights = {"resolution": args.resolution, "adversarial": args.adversarial, "projected": args.projected, "decoded": args.decoded}
    weights |= {"mixing": args.mixing, "perceptual": args.perceptual}
    config = WarmupConfig(gan=gan, lr=args.lr, kl_target=args.kl, ema_half_life=args.half_life, **weights)
    squeezenet = None if args.squeezenet is None else load_squeezenet(args.squeezenet, device)
    task = WarmupTask(config, cache, squeezenet, seed=args.seed, device=device)
    if args.start:
        task.load(args.start)
        silence(task.generator)
        silence(task.average)
    seen = start(task, args, config, images=20_000, batch=16)
    if seen is not None:
        task.export(args.export, seen)
    return finish()
