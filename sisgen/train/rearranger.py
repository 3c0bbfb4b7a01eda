"""Trainer of the rearranger (SIS-UG, sec. 3.1, eqs. 1-4), from a generator's own samples and nothing else.

Each batch holds a style sample j and a target a picture: another sample's proxy mask, warped or not, or j's own proxy mask warped, for
which the right answer is known: j's features, warped. Beside the cross-entropy of eq. 2 on the features there is the same on the
*picture*, read by a small network that learns online what proxy mask a plain sample has: features can hide codes that the rest of the
generator ignores, pictures cannot. The discriminator compares rearranged with plain samples.

Where a model has classes, its own reader can be asked, too: pictures must show the classes that the few-shot segmenter sees in the samples
whose shapes they take. Eq. 2 weighs clusters alike; this tells the rearranger which of their borders people look at.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.devices import pick_device
from sisgen.engines.parts import complete, grow, render
from sisgen.generators.discriminator import Discriminator, logistic_discriminator_loss, logistic_generator_loss
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.nets.layers import EqualLinear
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.proxy.clusters import FeatureClusters
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig, StyleMemory
from sisgen.shapes import drawing_size
from sisgen.train.checkpoints import (
    drop_drawing_mappers,
    export_parts,
    generator_sha256,
    has_part,
    load_discriminator,
    load_generator,
    training_notes,
)
from sisgen.train.command import finish, start
from sisgen.train.descent import descend, rate_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.fitting import carry_clusters, fit_generator, proxy_config, rearranger_config, start_rearranger
from sisgen.train.judges import load_reader
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, draw_ws, warp_maps
from sisgen.train.rearranger_batches import Batch, BatchSource, ClassReaders, maps_of
from sisgen.train.rearranger_losses import cross_entropy, feature_distance, token_loss
from sisgen.train.segmenter import load_segmenter
from sisgen.types import Features, ProxyMask

log = logging.getLogger(__name__)
SHOWN = 8  # pictures in a sample grid
TOKEN_RATE = 10.0  # of the layers that predict prototypes, relative to all others: equalized ones learn that much more slowly


@dataclass(frozen=True, kw_only=True, slots=True)
class RearrangerTrainConfig:
    """How the rearranger is trained; the weights are those of eq. 4 and of what this project adds."""

    rearranger: RearrangerConfig
    lr: float = 2e-3
    token_rate: float = TOKEN_RATE
    mask: float = 0.5  # eq. 2 on the features
    picture: float = 1.0  # eq. 2 on the picture
    labels: float = 1.0  # classes read back from the picture
    itself: float = 1.0  # eq. 3, and its warped form
    tokens: float = 0.5  # prototypes predicted from w against the sample's own
    adversarial: float = 0.1
    adversarial_interval: int = 4  # steps between adversarial steps
    adversarial_ramp: float = 0.0  # share of the run over which its weight rises from 0, for a discriminator that starts anew
    r1_gamma: float = 1.0
    r1_interval: int = 16  # adversarial steps between R1 penalties
    reader_width: int = 16  # of the network that reads proxy masks from pictures
    bf16: bool = False
    warp: WarpConfig = field(default_factory=WarpConfig)


class RearrangerTask:
    """The work of one rearranger training; see `sisgen.train.loop.Task`.

    Args:
        config: how.
        generator: whose features are rearranged; it stays as it is.
        clusters: of these features.
        rearranger: what is trained.
        discriminator: compares rearranged with plain samples; `None` trains without.
        classes: tell what the pictures must show beside their proxy masks; `None` asks for no classes.
        seed: of the network that reads proxy masks.
    """

    name = "rearranger"

    def __init__(
        self,
        config: RearrangerTrainConfig,
        generator: StyleGAN2,
        clusters: FeatureClusters,
        rearranger: Rearranger,
        discriminator: Discriminator | None = None,
        *,
        classes: ClassReaders | None = None,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.generator, self.clusters, self.rearranger, self.discriminator = generator, clusters, rearranger, discriminator
        self.batches = BatchSource(generator, clusters, config.rearranger.fine_resolution, config.warp, classes)
        self.processes = Processes()
        device = clusters.tau.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            largest = drawing_size(generator.config.resolution)
            reader = Reader(ReaderConfig(num_labels=config.rearranger.num_clusters, width=config.reader_width, most=largest))
        self.proxy_reader = reader.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        equalized = [module.weight for module in rearranger.modules() if isinstance(module, EqualLinear)]
        others = [parameter for parameter in rearranger.parameters() if all(parameter is not weight for weight in equalized)]
        self.rates = [config.lr, config.token_rate * config.lr]
        groups = [{"params": part, "lr": rate} for part, rate in zip((others, equalized), self.rates)]
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self.reader_optimizer = torch.optim.Adam(self.proxy_reader.parameters(), lr=2e-3, betas=(0.9, 0.99))
        self.d_optimizer = None
        if discriminator is not None:
            self.d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-4, betas=(0.0, 0.99))

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        parts = {"rearranger": self.rearranger, "proxy_reader": self.proxy_reader, "proxy": self.clusters}
        return parts if self.discriminator is None else parts | {"discriminator": self.discriminator}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        parts = {"rearranger": self.optimizer, "proxy_reader": self.reader_optimizer}
        return parts if self.d_optimizer is None else parts | {"discriminator": self.d_optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        with torch.autocast(self.clusters.tau.device.type, torch.bfloat16, enabled=self.config.bf16):
            return self._step(info)

    def _step(self, info: StepInfo) -> dict[str, float]:
        set_rates(self.optimizer, self.rates, rate_factor(info.progress, 0.1))
        batch = self.batches.draw(info)
        reader_loss = self._teach_reader(batch)

        # Rearrange, refine, finish the picture.
        memory = self._remember(batch.ws, batch.steps, batch.own)
        moved = self.rearranger.attend(batch.target, memory)
        cut = self.rearranger.keep_agreeing(moved, batch.target, memory)
        fine, current = grow(self, cut, batch.ws)
        image = complete(self, fine, current, batch.target, memory, batch.ws)

        # Losses.
        mask = cross_entropy(current.probs.clamp_min(1e-8).log(), batch.target.probs)
        self.proxy_reader.eval()
        picture = cross_entropy(self._read(image), batch.target.probs)
        itself = self._self_loss(batch, memory, moved)
        tokens = token_loss(self.rearranger, batch.steps, batch.own, batch.ws[:, 0])
        weights = self.config
        loss = weights.mask * mask + weights.picture * picture + weights.itself * itself + weights.tokens * tokens
        stats = {"mask": mask, "picture": picture, "self": itself, "tokens": tokens, "reader": reader_loss}
        labels = self.batches.label_loss(image, batch)
        if labels is not None:
            loss = loss + weights.labels * labels
            stats["labels"] = labels
        if self.discriminator is not None and info.step % self.config.adversarial_interval == 0:
            extra, adversarial = self._play(image, batch, info)
            loss = loss + weights.adversarial * ramp(info.progress, weights.adversarial_ramp) * adversarial
            stats |= extra

        # Step.
        descend(loss, self.optimizer, self.rearranger.parameters(), self.processes)
        stats["spread"] = (moved.map.std(dim=(2, 3)) / batch.steps[cut.resolution].map.std(dim=(2, 3))).median()
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw columns: shape sample, its proxy mask, style sample, result."""
        size = drawing_size(self.generator.config.resolution)
        columns = []
        for i in range(SHOWN):  # one at a time, for the sake of large pictures
            sources = [generator_for(1, i, stream=5)]
            shape_ws, style_ws = draw_ws(self.generator, sources), draw_ws(self.generator, sources)
            (shape_steps, shape), (style_steps, style) = self.batches.run(shape_ws), self.batches.run(style_ws)
            target = self.clusters(maps_of(shape_steps))
            own = self.clusters(maps_of(style_steps)).probs
            image = render(self, target, self._remember(style_ws, style_steps, own), style_ws)
            rows = [shape, paint_proxy(target.probs, size), style, image]
            columns.append(torch.cat([F.adaptive_avg_pool2d(row, size) for row in rows]).cpu())
        save_grid(path, to_uint8(torch.stack(columns, dim=1).flatten(0, 1).clamp(-1, 1)), SHOWN)

    def _remember(self, ws: torch.Tensor, steps: Mapping[int, Features], own: torch.Tensor) -> StyleMemory:
        sizes = self.config.rearranger
        return self.rearranger.remember(steps[sizes.resolution], ProxyMask(probs=own), steps[sizes.fine_resolution], ws[:, 0])

    def _teach_reader(self, batch: Batch) -> torch.Tensor:
        """Teach the proxy reader on plain samples, flipped half of the time."""
        self.proxy_reader.train()
        image = batch.image
        flip = batch.known[:, None, None, None]
        image, own = torch.where(flip, image.flip(3), image), torch.where(flip, batch.own.flip(3), batch.own)
        loss = cross_entropy(self._read(image), own)
        self.reader_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.proxy_reader.parameters())
        self.reader_optimizer.step()
        return loss

    def _read(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.proxy_reader(image.clamp(-1.1, 1.1)).float()
        return F.adaptive_avg_pool2d(logits, self.clusters.config.resolution).log_softmax(dim=1)

    def _self_loss(self, batch: Batch, memory: StyleMemory, moved: Features) -> torch.Tensor:
        """Eq. 3 on the bare attention, and the same where the right answer is the sample's own features, warped."""
        known = batch.known
        if not bool(known.any()):
            return torch.zeros([], device=known.device)
        chosen, grid = memory.select(known), batch.grid[known]
        own = self.rearranger.attend(ProxyMask(probs=chosen.own), chosen)
        truth = Features(map=warp_maps(chosen.features.map, grid), rgb=warp_maps(chosen.features.rgb, grid))
        warped = Features(map=moved.map[known], rgb=moved.rgb[known])
        return feature_distance(own, chosen.features) + feature_distance(warped, truth)

    def _play(self, image: torch.Tensor, batch: Batch, info: StepInfo) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """One step of the discriminator (plain against rearranged); the rearranger's loss."""
        assert self.discriminator is not None and self.d_optimizer is not None
        plain = batch.image
        fake_logits, plain_logits = self.discriminator(image), self.discriminator(plain)
        adversarial = logistic_generator_loss(fake_logits).mean()
        loss = logistic_discriminator_loss(plain_logits, fake_logits).mean()
        weights = list(self.discriminator.parameters())
        self.d_optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=weights, retain_graph=True)
        turn = info.step // self.config.adversarial_interval
        if turn % self.config.r1_interval == 0:
            with torch.autocast(plain.device.type, enabled=False):  # second derivatives want fp32
                seen = plain.detach().float().requires_grad_()
                (gradient,) = torch.autograd.grad(self.discriminator(seen).sum(), seen, create_graph=True)
                penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
                (penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)).backward(inputs=weights)
        (wanted,) = torch.autograd.grad(adversarial, image, retain_graph=True)
        self.processes.average_gradients(weights)
        self.d_optimizer.step()
        accuracy = ((plain_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2
        stats = {"d_accuracy": accuracy, "adversarial": adversarial}
        # The weights have moved since the forward pass: carry the gradient over as a linear term.
        return stats, (image * wanted.detach()).sum()


def ramp(progress: float, share: float) -> float:
    """Rise from 0 to 1 over the first `share` of a run; 1 throughout where that is 0."""
    return min(1.0, progress / share) if share > 0 else 1.0


def paint_proxy(probs: torch.Tensor, size: int) -> torch.Tensor:
    """Show proxy masks in arbitrary but fixed colours: [B, K, h, w] -> [B, 3, size, size] in [-1, 1]."""
    source = torch.Generator().manual_seed(3)
    colors = torch.rand(probs.shape[1], 3, generator=source).to(probs.device) * 2 - 1
    return F.interpolate(torch.einsum("bkhw,kc->bchw", probs, colors), size=(size, size), mode="nearest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", type=Path, required=True, help="model folder with a generator; the results are written there")
    parser.add_argument("--sources", type=int, nargs="+", default=[32, 64], help="feature resolutions that are clustered (default: 32 64)")
    parser.add_argument("--clusters", type=int, default=32, help="number of clusters K (default: 32)")
    words = "prototype tokens a cluster, for parts that a sample lacks; 0 where every sample has all parts (default: 2)"
    parser.add_argument("--tokens", type=int, default=2, help=words)
    words = "let clusters keep to the classes that the model's segmenter reads: thin parts get clusters of their own"
    parser.add_argument("--by-class", action="store_true", help=words)
    words = "ask that pictures show the classes of their shapes, too, as the model's reader sees them; needs its segmenter and reader"
    parser.add_argument("--label-loss", action="store_true", help=words)
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever the model folder holds")
    parser.add_argument("--bf16", action="store_true", help="bfloat16, on a GPU or on a CPU with AMX")
    parser.add_argument("--no-adversarial", action="store_true", help="leave the discriminator out")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train rearranger` asks."""
    device = pick_device(args.device)
    generator = load_generator(args.model).to(device)
    proxy = proxy_config(generator, args.sources, args.clusters)
    sizes = replace(rearranger_config(generator, proxy, min(args.sources)), tokens_per_cluster=args.tokens)
    content = read_json(args.model / "config.json")
    if not args.fresh:  # an older model goes on as it was
        sizes = replace(sizes, relative_tokens=content.get("rearranger", {}).get("relative_tokens", sizes.relative_tokens))
        proxy = replace(proxy, shares=content.get("proxy", {}).get("shares", False))

    # Warm from the model folder, or fit anew.
    warm = not args.fresh and has_part(args.model, "proxy", {"proxy": proxy}) and has_part(args.model, "rearranger", {"rearranger": sizes})
    segmenter = load_segmenter(args.model)[0].to(device) if args.by_class or args.label_loss else None
    by = segmenter if args.by_class else None
    if warm:
        clusters = carry_clusters(args.model, generator, seed=args.seed, segmenter=by)
    else:
        clusters = fit_generator(generator, proxy, seed=args.seed, segmenter=by)
    rearranger = start_rearranger(sizes, generator, clusters.to(device), warm_from=args.model if warm else None, seed=args.seed)
    discriminator = None
    if not args.no_adversarial and has_part(args.model, "discriminator", {}):
        discriminator = load_discriminator(args.model, generator.config)
        discriminator.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    classes = ClassReaders(segmenter, load_reader(args.model, device)[0]) if segmenter is not None and args.label_loss else None
    config = RearrangerTrainConfig(rearranger=sizes, bf16=args.bf16)
    task = RearrangerTask(config, generator, clusters, rearranger, discriminator, classes=classes, seed=args.seed)
    seen = start(task, args, config, images=16_000, batch=8)
    if seen is not None:
        export_rearranger(args.model, task, {"seed": args.seed, "images_seen": seen})
    return finish()


def export_rearranger(model: Path, task: RearrangerTask, notes: Mapping[str, Any]) -> None:
    """Write a trained rearranger and its clusters into their model folder; drawing mappers of another number of clusters go."""
    content = {"proxy": to_dict(task.clusters.config), "rearranger": to_dict(task.config.rearranger)}
    training = training_notes(model, "rearranger", notes, model=model)
    training["proxy"] = training.get("proxy", {}) | {"fitted_to": generator_sha256(model)}  # clusters follow a generator that changed
    content["training"] = training
    export_parts(model, {"proxy": task.clusters, "rearranger": task.rearranger}, content)
    if gone := drop_drawing_mappers(model, task.clusters.config.num_clusters):
        log.info("Drawing mappers of other clusters are gone: %s; `sisgen train drawing-mapper` makes new ones.", ", ".join(gone))
