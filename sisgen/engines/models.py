"""What a model folder is: `config.json`, and one safetensors file a part, which together make an engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sisgen.conditions.exemplar import EXEMPLAR
from sisgen.editing.directions import FILE as DIRECTIONS_FILE
from sisgen.editing.directions import Direction, load_directions
from sisgen.editing.unsupervised import ganspace_directions, sefa_directions
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.errors import CheckpointError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.hub import shipped_folder
from sisgen.inversion.encoder import Encoder, EncoderConfig
from sisgen.io.configs import from_dict, read_json
from sisgen.io.labels import check_label_set
from sisgen.io.models import CONFIG, fitted_elsewhere
from sisgen.io.weights import load_module
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.nets.squeezenet import SqueezeNet, load_squeezenet
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig
from sisgen.proxy.drawing_mapper import DRAWING_KINDS, DrawingMapper, DrawingMapperConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.types import LabelSet

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """What a model is shown with."""

    truncation: float = 0.7
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The content of a model folder's `config.json`."""

    format: int
    name: str
    labels: LabelSet
    generator: StyleGAN2Config
    proxy: ProxyConfig
    rearranger: RearrangerConfig
    mappers: Mapping[str, MaskMapperConfig]
    reader: ReaderConfig
    files: Mapping[str, str]  # file name -> SHA-256
    description: str = ""
    license: str = "unknown"
    revision: str = "local"
    defaults: Defaults = field(default_factory=Defaults)
    class_seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # class name -> seeds whose samples show it
    encoder: EncoderConfig | None = None  # of photographs; None = the model cannot take them in
    drawing_mappers: Mapping[str, DrawingMapperConfig] = field(default_factory=dict)  # kind -> sizes; those that the model has
    images_seen: int = 0  # by the generator in training
    training: Mapping[str, Any] = field(default_factory=dict)  # recipe notes, of which only `fitted_to` is read

    @property
    def map_shapes(self) -> dict[str, tuple[int, int, int]]:
        """Kind of condition that the model reads, "mask" first -> shape [C, H, W] of its maps."""
        sizes, drawings = (self.mappers["mask"].resolution, self.mappers["mask"].resolution), self.drawing_mappers
        shapes = {"mask": (len(self.labels), *sizes)}
        shapes |= {kind: (drawings[kind].channels, *sizes) for kind in DRAWING_KINDS if kind in drawings}
        return shapes | {EXEMPLAR: (self.proxy.num_clusters, self.proxy.resolution, self.proxy.resolution)}

    @property
    def generator_sum(self) -> str:
        """Checksum of the generator, outside of which style rows mean nothing; empty for a model made in memory."""
        return self.files.get("generator.safetensors", "")


def read_config(folder: Path) -> ModelConfig:
    """Read a model's config and check that its parts fit together.

    An encoder or a drawing mapper that was trained for another generator is left out; that, and where a part that cannot be left out
    was trained for another one, is told in the log.

    Raises:
        CheckpointError: it is missing, of another format, or parts of it do not fit.
    """
    path = folder / CONFIG
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} must have format {FORMAT}, but it has {content.get('format')}; update sisgen or the model.")
    config = from_dict(ModelConfig, content, where=str(path), largest=None)
    check_label_set(config.labels)
    sizes, encoder = config.generator, config.encoder
    if encoder is not None and (encoder.z_dim, encoder.w_dim, encoder.num_ws) != (sizes.z_dim, sizes.w_dim, sizes.num_ws):
        raise CheckpointError(f"{path} must give the encoder the generator's latents, but they differ; train the encoder again.")
    if "mask" not in config.mappers:
        raise CheckpointError(f"{path} must name a mapper for masks, but it names none; run `python -m sisgen adapt`.")
    side, pictures = config.mappers["mask"].resolution, config.generator.resolution
    if side != min(pictures, config.reader.most or pictures):
        raise CheckpointError(f"{path} must give mapper and reader one size, but drawings have {side} pixels; train the mapper again.")
    for kind, mapper in config.drawing_mappers.items():
        if kind not in DRAWING_KINDS:
            raise CheckpointError(f"{path} may name drawing mappers for {', '.join(DRAWING_KINDS)}, but it names {kind!r}; correct it.")
        made_for, channels = (mapper.num_clusters, mapper.resolution), len(config.labels) if kind == "scribble" else 1
        fits = made_for == (config.proxy.num_clusters, side) and mapper.channels == channels
        if not fits or (mapper.completes and mapper.outputs[0] != len(config.labels)):
            raise CheckpointError(f"The {kind} mapper in {path} must fit the model's sizes, but it was made for others; train it again.")
    return _leave_out_strangers(config)


def _leave_out_strangers(config: ModelConfig) -> ModelConfig:
    """Take out the encoder and the drawing mappers that were trained for another generator; what a model cannot do without stays."""

    def is_stranger(part: str, words: str, trainer: str, fate: str = "and is left out") -> bool:
        found = fitted_elsewhere(config.training, config.files, part)
        if found:
            lost = f"was trained for another generator than the model's {fate}"
            log.warning("The %s of '%s' %s; run `python -m sisgen train %s` again.", words, config.name, lost, trainer)
        return found

    for part, words in (("rearranger", "rearranger"), ("mapper", "mask mapper")):
        is_stranger(part, words, part, "and may not follow drawings")
    drawings = {
        kind: sizes
        for kind, sizes in config.drawing_mappers.items()
        if not is_stranger(f"mapper_{kind}", f"{kind} mapper", f"drawing-mapper --kind {kind}")
    }
    lost = config.encoder is not None and is_stranger("encoder", "encoder", "encoder")
    return replace(config, encoder=None if lost else config.encoder, drawing_mappers=drawings)


def load_engine(folder: Path, config: ModelConfig) -> RearrangeEngine:
    """Load a model's parts and wire them.

    Raises:
        CheckpointError: a part is missing, altered, or does not fit the config.
    """

    def part(stem: str, build: Any) -> Any:
        name = f"{stem}.safetensors"
        if name not in config.files:
            raise CheckpointError(f"{folder / CONFIG} must list {name} with its checksum, but it does not; export the model again.")
        return load_module(folder / name, build, sha256=config.files[name])

    sizes = config.encoder
    drawings = {kind: part(f"mapper_{kind}", lambda sizes=sizes: DrawingMapper(sizes)) for kind, sizes in config.drawing_mappers.items()}
    return RearrangeEngine(
        generator=part("generator", lambda: StyleGAN2(config.generator)),
        clusters=part("proxy", lambda: FeatureClusters(config.proxy)),
        rearranger=part("rearranger", lambda: Rearranger(config.rearranger)),
        mapper=part("mapper_mask", lambda: MaskMapper(config.mappers["mask"])),
        reader=part("reader", lambda: Reader(config.reader)),
        encoder=None if sizes is None else part("encoder", lambda: Encoder(sizes)),
        drawing_mappers=drawings,
    )


def list_directions(folder: Path | None, config: ModelConfig, generator: StyleGAN2) -> list[Direction]:
    """List a model's directions: those learned for it, where it has a folder that holds them, then SeFa's and GANSpace's.

    Raises:
        CheckpointError: the file is missing or altered.
    """
    count = min(8, config.generator.w_dim)
    return [*learned_directions(folder, config), *sefa_directions(generator, count), *ganspace_directions(generator, count)]


def load_shipped_squeezenet(device: torch.device) -> SqueezeNet | None:
    """Load the SqueezeNet that ships beside the models; `None`, told in the log, where it is not found."""
    folder = shipped_folder("squeezenet")
    if folder is None:
        log.warning("SqueezeNet is in none of the places where models lie, so photographs are compared by their pixels only.")
        return None
    return load_squeezenet(folder, device)


def learned_directions(folder: Path | None, config: ModelConfig) -> list[Direction]:
    """List the directions that a model folder holds; none, told in the log, where they were learned on another generator.

    Raises:
        CheckpointError: the file is missing or altered.
    """
    if fitted_elsewhere(config.training, config.files, "directions"):
        log.warning("The directions of '%s' were learned on another generator and are left out; learn them again.", config.name)
        return []
    if folder is None or DIRECTIONS_FILE not in config.files:
        return []
    return load_directions(folder / DIRECTIONS_FILE, config.generator.w_dim, sha256=config.files[DIRECTIONS_FILE])
