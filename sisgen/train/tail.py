"""Trainer of the blocks behind the cut: they learn to draw sharply, what the generator makes by itself and what was rearranged.

A thin generator spends its last blocks on averages: edges are soft, and where features were moved the seams show. Here everything up to
the cut stays as it is, so that latents, clusters and mappers keep their meaning, and the blocks behind it are taught by pictures alone:

- decoded pictures (the warm start's encoder reads them) should come back, to a perceptual distance and to a critic of patches;
- a picture should come back as well from a *warped copy of itself*, rearranged to the picture's own proxy mask: rearranging with a right
  answer, for attention and blocks together;
- samples that are driven by pictures have no right answer, but should look real and have the proxy mask that they were given (SIS-UG,
  eq. 2). That is the own one of half of the pictures, whose edges and classes should be there; for the other half it is what the model's
  mapper makes of a picture's classes, since so people will drive it (`guide.py`). The critic sees as many of these as of all others, or
  it would sharpen the seams of moved features with the rest.

Features at the fine resolution are held where they were, and so are the clusters that they belong to.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.engines.parts import LooseParts, complete, grow, render
from sisgen.errors import TrainingError
from sisgen.generators.discriminator import PatchDiscriminator
from sisgen.generators.encoder import PictureEncoder
from sisgen.generators.stylegan2 import MappingNetwork, StyleGAN2
from sisgen.generators.widen import widen_last
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.nets.pyramid import pyramid_distance
from sisgen.nets.squeezenet import SqueezeNet, crop_alike, load_squeezenet, perceptual_distance
from sisgen.proxy.clusters import FeatureClusters
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.train.checkpoints import export_parts, generator_sha256, has_part, load_fitting, load_generator, load_part
from sisgen.train.command import finish, start
from sisgen.train.critics import Judged, PixelCritic, pull_over_push
from sisgen.train.descent import check_rate, descend, rate_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.drawings.sketches import edge_difference
from sisgen.train.ema import update_ema
from sisgen.train.fitting import load_clusters
from sisgen.train.gan import Pictures, draw_pictures
from sisgen.train.guide import Guide, load_guide
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, draw_ws, warp_grid, warp_maps
from sisgen.train.rearranger_losses import cross_entropy, feature_distance
from sisgen.train.warmup import BALANCE_INTERVAL, ENCODER_FILE, LossWeights, decoder_mapping
from sisgen.types import Features, ProxyMask

BATCH = 8  # pictures a step, over all processes
LEARNING_RATE = 1e-3
REARRANGER_RATE = 0.3  # of the blocks' rate
CRITIC_FILE = "tail_critic"
LOOKS_AT_ALL = ("segmenter",)  # parts that read features behind the cut, and have to be trained anew


@dataclass(frozen=True, kw_only=True, slots=True)
class TailConfig:
    """How the blocks behind the cut are trained."""

    lr: float = LEARNING_RATE  # of the blocks; the rearranger learns at a fixed share of it
    perceptual: float = 1.0  # weight of SqueezeNet's part of the difference
    adversarial: float = 0.7  # pull of the critic on a picture, relative to that of the difference
    critic_lr: float = 2e-3
    r1_gamma: float = 0.003  # of a patch; overlapping ones add up
    r1_interval: int = 16  # steps between R1 penalties
    keep: float = 1.0  # hold of the fine features on what they were
    mask: float = 0.5  # eq. 2 on the features
    classes: float = 0.2  # of driven samples, read by the model's own reader
    edges: float = 1.0  # of samples that own proxy masks drive
    ema_half_life: float = 2_000.0
    bf16: bool = False
    warp: WarpConfig = field(default_factory=lambda: WarpConfig(p_flip=0.5))


class TailTask:
    """The work of one such training; see `sisgen.train.loop.Task`."""

    name = "tail"

    def __init__(
        self,
        config: TailConfig,
        generator: StyleGAN2,
        clusters: FeatureClusters,
        rearranger: Rearranger,
        *,
        encoder: PictureEncoder,
        mapping: MappingNetwork,  # of the encoder's latents
        critic: PatchDiscriminator,
        squeezenet: SqueezeNet,
        pictures: Pictures,
        guide: Guide | None = None,  # None drives all samples by the pictures' own proxy masks
    ) -> None:
        self.config, self.pictures, self.guide, self.processes = config, pictures, guide, Processes()
        self.generator, self.clusters, self.rearranger = generator, clusters, rearranger
        self.encoder, self.mapping, self.squeezenet = encoder.requires_grad_(False), mapping.requires_grad_(False), squeezenet
        self.device = clusters.tau.device
        self.cut, self.fine = rearranger.config.resolution, rearranger.config.fine_resolution
        kept = copy.deepcopy(rearranger).requires_grad_(False)
        self.before = LooseParts(generator=copy.deepcopy(generator), clusters=clusters, rearranger=kept)
        self.average = copy.deepcopy(self.before)

        behind = [generator.synthesis.block(size) for size in generator.config.resolutions if size > self.cut]
        self.tail_weights = [p for block in behind for name, p in block.named_parameters() if "noise_strength" not in name]
        # Features stay where they were, so that what predicts them from w is right already; critics would bend it.
        self.rearranger_weights = [p for name, p in rearranger.named_parameters() if not name.startswith(("tokens.", "fine_tokens."))]
        for weight in self.tail_weights:
            weight.requires_grad_()
        self.rates = (config.lr, REARRANGER_RATE * config.lr)
        groups = [{"params": part, "lr": lr} for part, lr in zip((self.tail_weights, self.rearranger_weights), self.rates)]
        self.optimizer = torch.optim.Adam(groups, betas=(0.5, 0.99))
        self.critic = PixelCritic(critic, self.processes, lr=config.critic_lr, r1_gamma=config.r1_gamma, r1_interval=config.r1_interval)
        self.weights = LossWeights(1).to(self.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        averages = {"generator_ema": self.average.generator, "rearranger_ema": self.average.rearranger}
        trained = {"generator": self.generator, "rearranger": self.rearranger, "before": self.before.generator}
        return {**trained, **averages, "critic": self.critic.network, "weights": self.weights}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"tail": self.optimizer, "critic": self.critic.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            return self._step(info)

    def _step(self, info: StepInfo) -> dict[str, float]:
        set_rates(self.optimizer, self.rates, rate_factor(info.progress, 0.1))

        # Pictures, warped copies of the second half, and a sample for every picture, all up to the fine resolution.
        sources = [generator_for(info.seed, i, stream=1) for i in info.sample_ids]
        real = self._real(sources)
        batch, half = len(real), len(real) // 2
        with torch.no_grad():
            copies = warp_maps(real[half:], warp_grid(sources[half:], real.shape[-1], self.config.warp).to(real))
            ws = torch.cat([self._encode(torch.cat([real, copies])), draw_ws(self.generator, sources)])
            cut = self.generator.head(ws, self.cut)
            fine_before = self.before.generator.advance(cut, ws, self.fine)
            own = self._cluster(cut, fine_before).probs
        fine = self.generator.advance(cut, ws, self.fine)
        keep = feature_distance(fine, fine_before) + cross_entropy(self._cluster(cut, fine).probs.clamp_min(1e-8).log(), own)

        # Decode the first half; rearrange copies to the second half's proxy masks, and let all drive samples.
        decoded = self.generator.tail(_rows(fine, slice(half)), ws[:half])
        wanted, classes = self._drive(own[:batch], decoded.detach(), real, info)
        styles, target = ws[batch:], ProxyMask(probs=torch.cat([own[half:batch], wanted]))
        at_cut, at_fine = _rows(cut, slice(batch, None)), _rows(fine, slice(batch, None), detach=True)
        memory = self.rearranger.remember(at_cut, ProxyMask(probs=own[batch:]), at_fine, styles[:, 0])
        moved, current = grow(self, self.rearranger(target, memory), styles)
        fake = torch.cat([decoded, complete(self, moved, current, target, memory, styles)])  # the first `batch` have a right answer
        driven = fake[batch:]

        # Losses.
        mask = cross_entropy(current.probs.clamp_min(1e-8).log(), target.probs)
        difference, g_loss, d_loss = self._judge(fake, real, sources[0], info.step)
        push = float(self.weights.balance[0]) * self.config.adversarial
        edges = edge_difference(driven[:half], decoded.detach())
        loss = difference + push * g_loss + self.config.keep * keep + self.config.mask * mask + self.config.edges * edges
        stats = {"difference": difference, "keep": keep, "mask": mask, "edges": edges, "g_loss": g_loss, "d_loss": d_loss}
        if self.guide is not None and classes is not None:
            stats["classes"] = self.guide.loss(driven, classes)
            loss = loss + self.config.classes * stats["classes"]

        # Step.
        descend(loss, self.optimizer, [*self.tail_weights, *self.rearranger_weights], self.processes)
        self.critic.optimizer.step()
        settled = info.images_seen + int(20 * self.config.ema_half_life)  # the averages begin at weights that are good already
        networks = ((self.average.generator, self.generator), (self.average.rearranger, self.rearranger))
        for mean, network in networks:
            update_ema(mean, network, batch=info.batch_size, images_seen=settled, half_life=self.config.ema_half_life)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows: pictures; decoded, samples, and these driven by the pictures, each before and now."""
        sources = [generator_for(1, i, stream=5) for i in range(8)]
        real = self._real(sources)
        ws, styles = self._encode(real), draw_ws(self.generator, sources)
        own = self._proxy_of(styles)
        target = self._proxy_of(ws) if self.guide is None else ProxyMask(probs=self.guide.proxy_of(self._read(real, ws)))
        rows = [real, *(parts.generator(part) for part in (ws, styles) for parts in (self.before, self.average))]
        for parts in (self.before, self.average):
            steps = {f.resolution: f for f in parts.generator.hypercolumn(styles, largest=self.fine)}
            memory = parts.rearranger.remember(steps[self.cut], own, steps[self.fine], styles[:, 0])
            rows.append(render(parts, target, memory, styles))
        save_grid(path, to_uint8(torch.cat(rows).clamp(-1, 1)), len(real))

    def _real(self, sources: Sequence[torch.Generator]) -> torch.Tensor:
        return draw_pictures(self.pictures, sources).to(self.device).contiguous(memory_format=torch.channels_last)

    def _encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Style rows of pictures [B, S, D]."""
        mean, _ = self.encoder(pictures.contiguous(memory_format=torch.channels_last))
        return self.mapping(mean)

    def _drive(
        self, own: torch.Tensor, decoded: torch.Tensor, real: torch.Tensor, info: StepInfo
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Choose what drives the samples: own proxy masks of the pictures that were decoded, and masks of the others.

        Args:
            own: of all pictures [B, K, h, w].
            decoded: the first pictures, as the generator makes them.
            real: all pictures [B, 3, H, W].
            info: of the step.

        Returns:
            Proxy masks [B, K, h, w], and the classes int64 [B, H, W] that pictures should show, which only a guide knows.
        """
        if self.guide is None:
            return own, None
        half, batch = len(decoded), len(real)
        seen = self.guide.read(decoded)
        others = self.guide.read(real[half:]) if self.guide.knows_pictures else seen[torch.arange(batch - half) % half]
        masks = self.guide.compose(others, info.seed, info.sample_ids[half:])
        return torch.cat([own[:half], self.guide.proxy_of(masks)]), torch.cat([seen, masks])

    def _read(self, real: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        """Classes int64 [B, H, W] of pictures [B, 3, H, W], or of what the generator makes of them."""
        assert self.guide is not None
        return self.guide.read(real if self.guide.knows_pictures else self.before.generator(ws))

    def _cluster(self, cut: Features, fine: Features) -> ProxyMask:
        return self.clusters({self.cut: cut.map, self.fine: fine.map})

    def _proxy_of(self, ws: torch.Tensor) -> ProxyMask:
        cut = self.before.generator.head(ws, self.cut)
        return self._cluster(cut, self.before.generator.advance(cut, ws, self.fine))

    def _judge(
        self, fake: torch.Tensor, real: torch.Tensor, source: torch.Generator, step: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compare the first generated pictures with `real`, one by one; teach the critic by all of them.

        Returns:
            The difference, the critic's pull, and its own loss.
        """
        known = fake[: len(real)]
        features = perceptual_distance(self.squeezenet, *crop_alike(known, real, source))
        difference = pyramid_distance(known, real) + self.config.perceptual * features
        g_losses, d_loss = self.critic.judge(Judged(fake, real, {}, {}), step)
        g_loss = g_losses.mean()
        if step % BALANCE_INTERVAL == 0:
            self.weights.follow_balance(0, self.processes.average(pull_over_push(difference, g_loss, fake, len(real))))
        return difference, g_loss, d_loss


def _rows(features: Features, chosen: slice, *, detach: bool = False) -> Features:
    x, rgb = features.map[chosen], features.rgb[chosen]
    return Features(map=x.detach(), rgb=rgb.detach()) if detach else Features(map=x, rgb=rgb)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", type=Path, required=True, help="model folder with a warm start's encoder; it is changed")
    parser.add_argument("--data", type=Path, required=True, help="cache of pictures, from `python -m sisgen data`")
    parser.add_argument("--squeezenet", type=Path, required=True, help="folder of SqueezeNet, for the perceptual distance")
    words = "weight of that distance; less where it paints fur as a lattice (default: 1)"
    parser.add_argument("--perceptual", type=float, default=1.0, help=words)
    parser.add_argument("--width", type=int, help="channels of the last block, where it should become wider (default: as it is)")
    parser.add_argument("--adversarial", type=float, default=0.7, help="pull of the critic (default: 0.7)")
    words = "learning rate of the blocks, a fraction of it for a tail that goes on (default: %(default)s); the rearranger's follows"
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help=words)
    words = "read classes from decoded pictures, where the model's reader knows samples alone (default: from the pictures)"
    parser.add_argument("--read-decoded", action="store_true", help=words)
    parser.add_argument("--bf16", action="store_true", help="bfloat16, on a GPU or on a CPU with AMX")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train tail` asks."""
    device = pick_device(args.device)
    for stem, words, trainer in ((ENCODER_FILE, "a warm start's encoder", "warmup"), ("rearranger", "a rearranger", "rearranger")):
        if not has_part(args.model, stem, {}):
            raise TrainingError(f"The model {args.model} must have {words}, but it has none; run `train {trainer}` first.")
    check_rate(args.lr, LEARNING_RATE)
    batch, least = args.batch or BATCH, 2 * Processes().size
    if batch < least:
        raise TrainingError(f"--batch must be at least {least}, two pictures a process, but it is {batch}; give a larger one.")
    generator = load_generator(args.model).to(device)
    encoder, mapping = PictureEncoder(generator.config), decoder_mapping(args.model, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        critic = PatchDiscriminator(generator.config.resolution, generator.config.channels, unpack=2)
    if args.width:
        generator = widen_last(generator, args.width, seed=args.seed)
    load_part(args.model, ENCODER_FILE, encoder)
    for stem in ("discriminator", CRITIC_FILE):
        if has_part(args.model, stem, {}):
            load_fitting(args.model, stem, critic)
    rearranger = Rearranger(from_dict(RearrangerConfig, read_json(args.model / "config.json")["rearranger"], where="The rearranger"))
    load_part(args.model, "rearranger", rearranger)
    for network in (generator, encoder, critic):
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    config = TailConfig(lr=args.lr, perceptual=args.perceptual, adversarial=args.adversarial, bf16=args.bf16)
    task = TailTask(
        config,
        generator,
        load_clusters(args.model).to(device),
        rearranger.to(device),
        encoder=encoder,
        mapping=mapping.to(device),
        critic=critic,
        squeezenet=load_squeezenet(args.squeezenet, device),
        pictures=PortraitCache(args.data),
        guide=load_guide(args.model, device, knows_pictures=not args.read_decoded),
    )
    seen = start(task, args, config, images=24_000, batch=BATCH)
    if seen is not None:
        export_tail(args.model, task, {"seed": args.seed, "images_seen": seen})
    return finish()


def export_tail(model: Path, task: TailTask, notes: Mapping[str, Any]) -> None:
    """Write generator and rearranger into their model folder; parts that stand on what stayed as it was go on belonging to it."""
    content, before = read_json(model / "config.json"), generator_sha256(model)
    average, critic = task.average, task.critic.network
    parts: dict[str, nn.Module] = {"generator": average.generator, "rearranger": average.rearranger, CRITIC_FILE: critic}
    if has_part(model, "generator_raw", {}):
        parts["generator_raw"] = task.generator
    training = dict(content.get("training", {}))
    tail = training.get("tail", {})
    counted = int(tail["images_seen"]) if (tail.get("seed"), tail.get("fitted_to")) == (notes["seed"], before) else 0  # the run goes on
    seen = int(content.get("images_seen", 0)) + max(0, int(notes["images_seen"]) - counted)
    export_parts(model, parts, {"generator": to_dict(average.generator.config), "images_seen": seen})
    after = generator_sha256(model)
    for part, noted in training.items():
        if isinstance(noted, dict) and noted.get("fitted_to") == before and part not in LOOKS_AT_ALL:
            training[part] = {**noted, "fitted_to": after}
    export_parts(model, {}, {"training": {**training, "tail": {**notes, "fitted_to": after}}})
