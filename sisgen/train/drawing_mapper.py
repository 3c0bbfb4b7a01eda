"""Trainer of drawing mappers (SIS-UG, sec. 3.2, eqs. 5-6): scribbles, sketches, edges and depth, with pairs made online, without labels.

A sample's picture is drawn as a person or a tool would draw it, and its proxy mask comes from the clusters; both are warped together in
half of the pairs. The second stage goes on with eq. 5 and adds the picture: the predicted proxy mask rearranges another style, in which
the model's reader must find the sample's classes, and, for lines, the sample's edges must be there.

Scribbles and depth are completed to whole masks, which the mask mapper reads on: the sample's classes are what is to be found, and no
picture is needed. Most scribbles are drawn over masks that no sample has (`compositions.py`), since people scribble long hair over a bald
sample; where training pictures are at hand, half of the drawings are made from these, with the classes that the reader sees.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from sisgen.io.configs import read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.io.labels import color_labels
from sisgen.nets.segmenter import Segmenter
from sisgen.pipeline import Pipeline
from sisgen.proxy.drawing_mapper import COMPLETED_KINDS, DRAWING_KINDS, DrawingMapper, DrawingMapperConfig, sharpened
from sisgen.proxy.mapper import whole_mask
from sisgen.train.checkpoints import export_parts, has_part, load_part, training_notes
from sisgen.train.command import finish, start
from sisgen.train.compositions import compose_some
from sisgen.train.descent import check_rate, descend, rate_factor, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.drawings.kinds import EDGE_KINDS, DrawingSource
from sisgen.train.drawings.sketches import edge_difference
from sisgen.train.gan import Pictures, draw_pictures
from sisgen.train.label_loss import FADE, class_weights, faded, label_loss
from sisgen.train.labelled_samples import run_hypercolumn
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import WarpConfig, draw_ws, warp_grid, warp_labels, warp_maps
from sisgen.train.rearranger_losses import cross_entropy
from sisgen.train.segmenter import load_segmenter
from sisgen.types import LabelSet, ProxyMask

LEARNING_RATE = 3e-3
STAGE_TWO = 0.5
STREAM = 30  # of `generator_for`, for drawings; one more a repeat


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingMapperTrainConfig:
    """How a drawing mapper is trained."""

    kind: str
    mapper: DrawingMapperConfig
    lr: float = LEARNING_RATE
    real: float = 0.5  # share of the samples that are training pictures, where there are some; for kinds that are completed
    composed: float = 0.0  # share of the drawings that are of composed masks; for scribbles
    repeats: int = 3  # drawings of every sample, a step of the mapper each: a sample costs more than a drawing
    dice: float = 1.0  # weight of soft Dice where drawings are completed
    stage_two: float = STAGE_TWO  # share of the run after which pictures count
    reconstruction: float = 1.0  # eq. 5
    picture: float = 0.7  # labels read back from the picture
    edges: float = 4.0  # edges of the picture, for kinds of lines
    warp: WarpConfig = field(default_factory=WarpConfig)

    def __post_init__(self) -> None:
        check_rate(self.lr, LEARNING_RATE)
        if not 0 <= self.stage_two <= 1:
            raise TrainingError(f"--stage-two must be from 0 to 1, but it is {self.stage_two:g}; it is a share of the run.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What drawings are made from.

    Attributes:
        own: proxy masks [B, K, h, w]; `None` where drawings are completed, which asks for labels alone.
        images: the pictures [B, 3, H, W].
        labels: int64 [B, H, W].
    """

    own: torch.Tensor | None
    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnPairs(Samples):
    """Samples, some of them warped, and what was drawn from them.

    Attributes:
        drawings: [B, C, H, W] in [0, 1].
    """

    drawings: torch.Tensor


class DrawingMapperTask:
    """The work of one training of a drawing mapper; see `sisgen.train.loop.Task`.

    Args:
        config: how.
        engine: the model, which stays as it is.
        mapper: what is trained.
        source: makes the drawings.
        label_set: the model's classes.
        segmenter: gives the labels of samples where they are completed; `None` leaves that to the model's own reader.
        pictures: training pictures to draw from as well, as that reader reads them; `None` makes do with samples.
    """

    def __init__(
        self,
        config: DrawingMapperTrainConfig,
        engine: RearrangeEngine,
        mapper: DrawingMapper,
        source: DrawingSource,
        label_set: LabelSet,
        segmenter: Segmenter | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.name = f"{config.kind}_mapper"
        self.config, self.engine, self.source, self.label_set = config, engine, source, label_set
        self.segmenter, self.pictures = segmenter, pictures
        self.processes = Processes()
        engine.eval().requires_grad_(False)
        self.mapper = mapper.to(engine.device).requires_grad_(True).train()
        self.optimizer = torch.optim.Adam(mapper.parameters(), lr=config.lr, betas=(0.9, 0.99))
        typical = self._samples([generator_for(0, i, stream=7) for i in range(16)]).labels
        self.weights = class_weights(typical, len(label_set), 0.3).to(engine.device)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"mapper": self.mapper}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"mapper": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch."""
        set_rates(self.optimizer, [self.config.lr], rate_factor(info.progress, 0.05))
        sources = [generator_for(info.seed, i, stream=3) for i in info.sample_ids]
        samples = self._samples(sources)
        stats: dict[str, torch.Tensor] = {}
        for repeat in range(self.config.repeats):
            # Every sample is bent in half of its drawings.
            drawers = [generator_for(info.seed, i, stream=STREAM + repeat) for i in info.sample_ids]
            bent = [(i + repeat) % 2 == 0 for i in info.sample_ids]
            composed = [float(torch.rand(1, generator=g)) < self.config.composed for g in drawers]
            pairs = self._draw(samples, drawers, bent, composed)
            pictures = info.progress >= self.config.stage_two and repeat == self.config.repeats - 1
            stats |= self._learn(pairs, sources if pictures else None, info.progress)
        return {name: float(self.processes.average(value)) for name, value in stats.items()}

    def _learn(self, pairs: DrawnPairs, sources: list[torch.Generator] | None, progress: float) -> dict[str, torch.Tensor]:
        """Take one step; with `sources` of styles, the picture counts, too."""
        logits = self.mapper(pairs.drawings)
        if pairs.own is None:
            return self._complete(logits, pairs, progress)

        # Eq. 5: the proxy mask of a drawing.
        reconstruction = cross_entropy(logits.log_softmax(dim=1), pairs.own)
        loss = self.config.reconstruction * reconstruction
        stats = {"reconstruction": reconstruction}

        # Stage two: the sample's classes and edges in the picture of another style.
        if sources is not None:
            terms = self._picture_terms(logits, pairs, sources)
            loss = loss + self.config.picture * terms["picture"]
            if "edges" in terms:
                loss = loss + self.config.edges * terms["edges"]
            stats |= terms
        descend(loss, self.optimizer, self.mapper.parameters(), self.processes)
        return {name: value.detach() for name, value in stats.items()}

    def _complete(self, logits: torch.Tensor, pairs: DrawnPairs, progress: float) -> dict[str, torch.Tensor]:
        """Take one step towards the classes of the whole picture."""
        asked = pairs.labels
        if self.mapper.config.strokes_have_classes:
            asked = asked.masked_fill(pairs.drawings.amax(dim=1) > 0.5, -1)  # taken at their word, whatever the mapper says
        loss = label_loss(logits, asked, faded(self.weights, progress, FADE), self.config.dice)
        descend(loss, self.optimizer, self.mapper.parameters(), self.processes)
        right = (logits.argmax(dim=1) == asked).sum() / (asked >= 0).sum().clamp_min(1)
        return {"labels": loss.detach(), "accuracy": right}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows: shape samples, their drawings, style samples, results, labels read back."""
        sources = [generator_for(1, i, stream=5) for i in range(min(8, max(2, self.engine.generator.config.at_once)))]
        pairs = self._draw(self._samples(sources), sources, *([[False] * len(sources)] * 2))
        style = self._style(sources)
        proxy = self._read_whole(self.mapper.complete(pairs.drawings)) if self.mapper.config.completes else self.mapper.read(pairs.drawings)
        image = render(self.engine, proxy, style.memory, style.ws).clamp(-1, 1)
        size = pairs.images.shape[-1]
        drawn = show_drawings(pairs.drawings, self.label_set)
        read = color_labels(self.engine.reader.read(image).cpu().numpy(), self.label_set)
        shown = [to_uint8(F.adaptive_avg_pool2d(part.clamp(-1, 1), size).cpu()) for part in (pairs.images, style.images, image)]
        save_grid(path, np.concatenate([shown[0], drawn, shown[1], shown[2], read]), len(sources))

    @torch.no_grad()
    def _samples(self, sources: list[torch.Generator]) -> Samples:
        """Make fresh samples; with training pictures, some are these."""
        if self.pictures is None:
            return self._make(sources)
        real = [float(torch.rand(1, generator=g)) < self.config.real for g in sources]
        order = sorted(range(len(sources)), key=lambda i: real[i])  # samples first
        parts = []
        if made := [sources[i] for i in order if not real[i]]:
            parts.append(self._make(made))
        if drawn := [sources[i] for i in order if real[i]]:
            images = draw_pictures(self.pictures, drawn).to(self.engine.device)
            parts.append(Samples(own=None, images=images, labels=self.engine.reader.read(images)))
        back = torch.tensor(order, device=self.engine.device).argsort()
        images, labels = (torch.cat(both)[back] for both in ([part.images for part in parts], [part.labels for part in parts]))
        return Samples(own=None, images=images, labels=labels)

    @torch.no_grad()
    def _make(self, sources: list[torch.Generator]) -> Samples:
        generator = self.engine.generator
        images, hypercolumn = run_hypercolumn(generator, draw_ws(generator, sources), self.engine.drawing_size)
        own = None if self.mapper.config.completes else self.engine.clusters({part.shape[-1]: part for part in hypercolumn}).probs
        labels = self.engine.reader.read(images) if self.segmenter is None else self.segmenter.read(hypercolumn)
        return Samples(own=own, images=images, labels=labels)

    @torch.no_grad()
    def _draw(self, samples: Samples, sources: list[torch.Generator], bent: list[bool], composed: list[bool]) -> DrawnPairs:
        """Draw samples; those that are bent are warped first and drawn then, so that lines stay thin; others get composed masks."""
        grid = warp_grid(sources, samples.images.shape[-1], self.config.warp).to(samples.images.device)
        moved = torch.tensor(bent, device=grid.device)[:, None, None, None]
        own = None if samples.own is None else torch.where(moved, warp_maps(samples.own, grid), samples.own)
        images = torch.where(moved, warp_maps(samples.images, grid), samples.images)
        labels = torch.where(moved[:, 0], warp_labels(samples.labels, grid), samples.labels)
        labels = compose_some(labels, len(self.label_set), sources, composed)
        return DrawnPairs(own=own, images=images, labels=labels, drawings=self.source.draw(images, labels, sources))

    def _read_whole(self, labels: torch.Tensor) -> ProxyMask:
        """What the mask mapper makes of labels int64 [B, H, W]."""
        return self.engine.mapper.read(whole_mask(labels, len(self.label_set)))

    def _picture_terms(self, logits: torch.Tensor, pairs: DrawnPairs, sources: list[torch.Generator]) -> dict[str, torch.Tensor]:
        style = self._style(sources)
        image = render(self.engine, sharpened(logits), style.memory, style.ws).clamp(-1.1, 1.1)
        read = self.engine.reader(image)
        accuracy = (read.argmax(dim=1) == pairs.labels).float().mean()
        terms = {"picture": label_loss(read, pairs.labels, self.weights, 0.5), "accuracy": accuracy}
        if self.config.kind in EDGE_KINDS:
            small = F.adaptive_avg_pool2d(image, pairs.images.shape[-1])
            terms["edges"] = edge_difference(small, pairs.images)
        return terms

    @torch.no_grad()
    def _style(self, sources: list[torch.Generator]) -> Style:
        generator = self.engine.generator
        z = torch.stack([torch.randn(generator.config.z_dim, generator=g) for g in sources]).to(self.engine.device)
        return prepare_style(self.engine, self.engine.reader, z, 0.75)


def show_drawings(drawings: torch.Tensor, label_set: LabelSet) -> np.ndarray:
    """Show drawings [B, C, H, W] as uint8 [B, H, W, 3]: scribbles in their colours, lines dark on white."""
    drawings = drawings.cpu()
    if drawings.shape[1] == 1:
        return to_uint8(1 - 2 * drawings.expand(-1, 3, -1, -1))
    labels = torch.where(drawings.amax(dim=1) > 0.5, drawings.argmax(dim=1), -1)
    return color_labels(labels.numpy(), label_set)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--kind", choices=DRAWING_KINDS, required=True, help="what it reads")
    parser.add_argument("--model", type=Path, required=True, help="whole model folder; the mapper is written there")
    parser.add_argument("--width", type=int, help="channels of the mapper (default: as in the model's own, or 48)")
    words = "residual blocks of each of the mapper's coarser levels (default: as in the model's own, or 2)"
    parser.add_argument("--blocks", type=int, help=words)
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever the model folder holds")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="learning rate; lower for one that goes on (default: %(default)s)")
    words = "share of the run before pictures count; 0 for a mapper that goes on (default: %(default)s)"
    parser.add_argument("--stage-two", type=float, default=STAGE_TWO, help=words)
    parser.add_argument("--edges", type=Path, help="folder of an edge network, for --kind hed (default: gradients of several scales)")
    words = "cache of training pictures to draw from, as the model's reader reads them, for scribbles and depth (default: samples alone)"
    parser.add_argument("--data", type=Path, help=words)
    parser.add_argument("--depth", type=Path, default=Path("checkpoints/depth"), help="folder of a depth network (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train drawing-mapper` asks."""
    device = pick_device(args.device)
    if args.data is not None and args.kind not in COMPLETED_KINDS:
        raise TrainingError(f"--data is for --kind {' and '.join(COMPLETED_KINDS)} alone, but --kind is {args.kind}; leave it out.")
    network = {"hed": args.edges, "depth": args.depth}.get(args.kind)
    task = open_drawing_mapper(
        args.model,
        args.kind,
        device,
        network=network,
        width=args.width,
        blocks=args.blocks,
        fresh=args.fresh,
        seed=args.seed,
        lr=args.lr,
        stage_two=args.stage_two,
        pictures=None if args.data is None else PortraitCache(args.data),
    )
    seen = start(task, args, task.config, images=16_000, batch=8)
    if seen is not None:
        notes = {"seed": args.seed, "images_seen": seen} | ({"network": network.name} if network else {})
        export_drawing_mapper(args.model, task, notes)
    return finish()


def open_drawing_mapper(
    model: Path,
    kind: str,
    device: torch.device,
    *,
    network: Path | None = None,
    width: int | None = None,
    blocks: int | None = None,
    fresh: bool = False,
    seed: int = 0,
    lr: float = LEARNING_RATE,
    stage_two: float = STAGE_TWO,
    pictures: Pictures | None = None,
) -> DrawingMapperTask:
    """Prepare the training of a model's mapper of one kind, which goes on from the one that is there where that has the same sizes.

    Args:
        model: folder of a whole model.
        kind: one of `DRAWING_KINDS`.
        device: where to train.
        network: folder of the edge network for "hed", of the depth network for "depth"; `None` goes without.
        width: channels of the mapper; `None` takes the model's own, or else the usual.
        blocks: residual blocks of each of its coarser levels; `None` as for `width`.
        fresh: start anew, whatever the folder holds.
        seed: of the weights.
        lr: learning rate at its highest.
        stage_two: share of the run before pictures count.
        pictures: training pictures to draw from as well, for `COMPLETED_KINDS`.

    Raises:
        SisgenError: a part of the model or the network is missing.
    """
    pipe = Pipeline.from_pretrained(model, device=str(device))
    source = DrawingSource(kind=kind, num_labels=len(pipe.labels), network=_load_network(kind, network, device))
    own = pipe.config.drawing_mappers.get(kind, DrawingMapperConfig())
    sizes = DrawingMapperConfig(
        channels=source.channels,
        num_clusters=pipe.config.proxy.num_clusters,
        resolution=pipe.drawing_size,
        proxy_resolution=pipe.config.proxy.resolution,
        width=own.width if width is None else width,
        blocks=own.blocks if blocks is None else blocks,
        completes=kind in COMPLETED_KINDS,
        num_labels=len(pipe.labels) if kind == "depth" else 0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mapper = DrawingMapper(sizes)
    stem = f"mapper_{kind}"
    if not fresh and has_part(model, stem, {f"drawing_mappers.{kind}": sizes}):
        load_part(model, stem, mapper)
    segmenter = load_segmenter(model)[0].to(device) if sizes.completes else None
    config = DrawingMapperTrainConfig(kind=kind, mapper=sizes, lr=lr, stage_two=stage_two)
    if kind == "scribble":
        config = replace(config, composed=0.5, repeats=6)
    elif kind == "depth":
        config = replace(config, dice=0.6)  # more bets on rims of glasses that may not be there, less leaves mouths away
    return DrawingMapperTask(config, pipe.engine, mapper, source, pipe.labels, segmenter, pictures)


def export_drawing_mapper(model: Path, task: DrawingMapperTask, notes: Mapping[str, Any]) -> None:
    """Write a trained mapper into its model folder."""
    kind = task.config.kind
    mappers = {**read_json(model / "config.json").get("drawing_mappers", {}), kind: to_dict(task.mapper.config)}
    content = {"drawing_mappers": mappers, "training": training_notes(model, f"mapper_{kind}", notes, model=model)}
    export_parts(model, {f"mapper_{kind}": task.mapper}, content)


def _load_network(kind: str, folder: Path | None, device: torch.device) -> Any:
    if folder is None:
        return None
    if kind == "depth":
        from sisgen.nets.depth import load_depth

        return load_depth(folder).to(device)
    from sisgen.nets.edges import load_edges

    return load_edges(folder).to(device)
