"""Trainer of the mask mapper (SIS-UG, sec. 3.2, eqs. 5-6), with pairs made online.

A sample's labels come from the few-shot segmenter, its proxy mask from the clusters; both are warped together in half of the pairs.
The second stage goes on with eq. 5 and adds the picture: the predicted proxy mask rearranges another style, and the model's reader
must find the drawn classes in the result. Half of its masks are such as no sample has (`compositions.py`), or, where training pictures are
at hand, what the reader sees in these; of such masks the proxy mask is not known, and the picture alone counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sisgen.data.cache import PortraitCache
from sisgen.devices import pick_device
from sisgen.engines.parts import render
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.engines.styles import Style, prepare_style
from sisgen.errors import TrainingError
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.labels import color_labels
from sisgen.nets.segmenter import Segmenter
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig, whole_mask
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.train.checkpoints import export_parts, has_part, load_generator, load_part, training_notes
from sisgen.train.command import finish, start
from sisgen.train.compositions import compose_masks, compose_some
from sisgen.train.descent import descend, rate_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.gan import Pictures, draw_pictures
from sisgen.train.judges import load_reader
from sisgen.train.label_loss import class_weights, label_loss
from sisgen.train.labelled_samples import run_hypercolumn
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, draw_ws, warp_grid, warp_maps
from sisgen.train.rearranger_losses import cross_entropy
from sisgen.train.segmenter import load_segmenter
from sisgen.types import LabelSet, ProxyMask

PICTURE_STREAM = 41  # of `generator_for`
SHOWN = 8  # pictures in a sample grid


@dataclass(frozen=True, kw_only=True, slots=True)
class MapperTrainConfig:
    """How the mapper is trained."""

    mapper: MaskMapperConfig
    lr: float = 3e-3
    stage_two: float = 0.4  # share of the run after which pictures count
    reconstruction: float = 1.0  # eq. 5
    picture: float = 1.0  # labels read back from the picture
    warp: WarpConfig = field(default_factory=WarpConfig)


class MapperTask:
    """The work of one mapper training; see `sisgen.train.loop.Task`."""

    name = "mapper"

    def __init__(
        self,
        config: MapperTrainConfig,
        engine: RearrangeEngine,
        segmenter: Segmenter,
        label_set: LabelSet,
        pictures: Pictures | None = None,
    ) -> None:
        self.config, self.engine, self.segmenter, self.label_set, self.pictures = config, engine, segmenter, label_set, pictures
        self.processes = Processes()
        engine.eval().requires_grad_(False)
        engine.mapper.requires_grad_(True).train()
        self.optimizer = torch.optim.Adam(engine.mapper.parameters(), lr=config.lr, betas=(0.9, 0.99))
        typical = torch.cat([self._pairs([generator_for(0, i, stream=7)])[1].argmax(dim=1) for i in range(16)])
        self.weights = class_weights(typical, len(label_set), 0.3).to(engine.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"mapper": self.engine.mapper}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"mapper": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        set_rates(self.optimizer, [self.config.lr], rate_factor(info.progress, 0.05))
        sources = [generator_for(info.seed, i, stream=3) for i in info.sample_ids]
        own, mask = self._warped(*self._pairs(sources), sources, info)

        # Stage two: half of the masks, bent ones and others, are such as no sample has.
        pictures = info.progress >= self.config.stage_two
        foreign = info.second_half if pictures else []
        if foreign:
            ids, theirs = [info.sample_ids[k] for k in foreign], [sources[k] for k in foreign]
            mask[foreign] = self._one_hot(self._foreign(mask[foreign].argmax(dim=1), theirs, info.seed, ids))

        # Eq. 5: the proxy mask of a mask.
        logits = self.engine.mapper(mask)
        known = [k for k in range(len(mask)) if k not in foreign]
        reconstruction = cross_entropy(logits[known].log_softmax(dim=1), own[known]) if known else logits.sum() * 0
        loss = self.config.reconstruction * reconstruction
        stats = {"reconstruction": reconstruction}

        # Stage two: the mask, read back from the picture of another style.
        if pictures:
            picture, accuracy = self._picture_loss(logits, mask, sources)
            loss = loss + self.config.picture * picture
            stats |= {"picture": picture, "accuracy": accuracy}
        descend(loss, self.optimizer, self.engine.mapper.parameters(), self.processes)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw columns: shape sample, its mask, style sample, result, labels read back."""
        size = self.segmenter.resolution
        columns = []
        for i in range(SHOWN):  # one at a time, for the sake of large pictures
            sources = [generator_for(1, i, stream=5)]
            plain, hypercolumn = run_hypercolumn(self.engine.generator, draw_ws(self.engine.generator, sources), size)
            labels = self.segmenter.read(hypercolumn)
            style = self._style(sources)
            image = render(self.engine, self.engine.mapper.read(self._one_hot(labels)), style.memory, style.ws).clamp(-1, 1)
            read = self.engine.reader.read(image)
            shown = [to_uint8(F.adaptive_avg_pool2d(part.clamp(-1, 1), size).cpu()) for part in (plain, style.images, image)]
            masks = [color_labels(part.cpu().numpy(), self.label_set) for part in (labels, read)]
            columns.append(np.concatenate([shown[0], masks[0], shown[1], shown[2], masks[1]]))
        save_grid(path, np.stack(columns, axis=1).reshape(-1, size, size, 3), SHOWN)

    @torch.no_grad()
    def _pairs(self, sources: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        """Proxy masks [B, K, h, w] and one-hot masks [B, L, H, W] of fresh samples; no picture is made."""
        generator = self.engine.generator
        steps = generator.hypercolumn(draw_ws(generator, sources), largest=self.segmenter.resolution)
        own = self.engine.clusters({step.resolution: step.map for step in steps}).probs
        return own, self._one_hot(self.segmenter.read([step.map for step in steps]))

    @torch.no_grad()
    def _foreign(self, labels: torch.Tensor, sources: list[torch.Generator], seed: int, ids: Sequence[int]) -> torch.Tensor:
        """Make masks that no sample has: composed from those of samples [B, H, W], and, with pictures, half as these are read."""
        if self.pictures is None:
            return compose_masks(labels, len(self.label_set), sources)
        drawn = draw_pictures(self.pictures, [generator_for(seed, i, stream=PICTURE_STREAM) for i in ids])
        read = self.engine.reader.read(drawn.to(self.engine.device))
        return compose_some(read, len(self.label_set), sources, [i % 2 == 1 for i in ids])

    def _one_hot(self, labels: torch.Tensor) -> torch.Tensor:
        return whole_mask(labels, len(self.label_set))

    @torch.no_grad()
    def _warped(
        self, own: torch.Tensor, mask: torch.Tensor, sources: list[torch.Generator], info: StepInfo
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Warp proxy mask and mask together in every other pair."""
        grid = warp_grid(sources, mask.shape[-1], self.config.warp).to(mask.device)
        bent = torch.tensor([i % 2 == 0 for i in info.sample_ids], device=mask.device)[:, None, None, None]
        return torch.where(bent, warp_maps(own, grid), own), torch.where(bent, warp_maps(mask, grid), mask)

    def _picture_loss(self, logits: torch.Tensor, mask: torch.Tensor, sources: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        style = self._style(sources)
        image = render(self.engine, ProxyMask(probs=logits.softmax(dim=1)), style.memory, style.ws)
        read = self.engine.reader(image.clamp(-1.1, 1.1))
        wanted = mask.argmax(dim=1)
        return label_loss(read, wanted, self.weights, 0.5), (read.argmax(dim=1) == wanted).float().mean()

    @torch.no_grad()
    def _style(self, sources: list[torch.Generator]) -> Style:
        generator = self.engine.generator
        z = torch.stack([torch.randn(generator.config.z_dim, generator=g) for g in sources]).to(self.engine.device)
        return prepare_style(self.engine, self.engine.reader, z, 0.75)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--model", type=Path, required=True, help="model folder with all other parts; the mapper is written there")
    parser.add_argument("--width", type=int, default=48, help="channels of the mapper (default: 48)")
    words = "cache of training pictures, whose classes the model's reader reads for masks to follow (default: masks of samples alone)"
    parser.add_argument("--data", type=Path, help=words)
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever the model folder holds")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train mapper` asks."""
    pictures = None if args.data is None else PortraitCache(args.data)
    task = open_mapper(args.model, pick_device(args.device), width=args.width, fresh=args.fresh, seed=args.seed, pictures=pictures)
    seen = start(task, args, task.config, images=12_000, batch=8)
    if seen is not None:
        export_mapper(args.model, task, {"seed": args.seed, "images_seen": seen})
    return finish()


def open_mapper(
    model: Path, device: torch.device, *, width: int = 48, fresh: bool = False, seed: int = 0, pictures: Pictures | None = None
) -> MapperTask:
    """Prepare the training of a model's mapper, which goes on from the one that is there where that one has the same sizes.

    Args:
        model: folder with all other parts.
        device: where to train.
        width: channels of the mapper.
        fresh: start anew, whatever the folder holds.
        seed: of the weights.
        pictures: real ones, whose masks are followed, too.

    Raises:
        TrainingError: a part is missing.
    """
    content = read_json(model / "config.json")
    for part in ("proxy", "rearranger", "reader"):
        if part not in content:
            raise TrainingError(f"The model '{model}' needs a {part} before its mapper, but it has none; train the {part} first.")
    segmenter, label_set = load_segmenter(model)
    reader, _ = load_reader(model)
    generator = load_generator(model)
    clusters = FeatureClusters(from_dict(ProxyConfig, content["proxy"]))
    load_part(model, "proxy", clusters)
    rearranger = Rearranger(from_dict(RearrangerConfig, content["rearranger"]))
    load_part(model, "rearranger", rearranger)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mapper = MaskMapper(_mapper_config(segmenter, clusters, label_set, width))
    if not fresh and has_part(model, "mapper_mask", {"mappers.mask": mapper.config}):
        load_part(model, "mapper_mask", mapper)
    engine = RearrangeEngine(generator, clusters, rearranger, mapper, reader).to(device)
    return MapperTask(MapperTrainConfig(mapper=mapper.config), engine, segmenter.to(device), label_set, pictures)


def export_mapper(model: Path, task: MapperTask, notes: Mapping[str, Any]) -> None:
    """Write a trained mapper into its model folder."""
    mapper = task.engine.mapper
    mappers = {**read_json(model / "config.json").get("mappers", {}), "mask": to_dict(mapper.config)}
    content = {"mappers": mappers, "training": training_notes(model, "mapper", notes, model=model)}
    export_parts(model, {"mapper_mask": mapper}, content)


def _mapper_config(segmenter: Segmenter, clusters: FeatureClusters, label_set: LabelSet, width: int) -> MaskMapperConfig:
    return MaskMapperConfig(
        num_labels=len(label_set),
        num_clusters=clusters.config.num_clusters,
        resolution=segmenter.resolution,
        proxy_resolution=clusters.config.resolution,
        width=width,
    )
