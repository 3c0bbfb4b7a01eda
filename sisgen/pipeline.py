"""The one door: a drawing and seeds in, pictures out. App, command line and library callers all come through here."""

from __future__ import annotations

import logging
import math
import numbers
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sisgen.conditions.exemplar import EXEMPLAR, exemplar_condition
from sisgen.devices import pick_device
from sisgen.editing.directions import FILE as DIRECTIONS_FILE
from sisgen.editing.directions import Direction, load_directions
from sisgen.editing.styles import StyleRows
from sisgen.editing.unsupervised import ganspace_directions, sefa_directions
from sisgen.engines.drawings import Drawings, check_drawings
from sisgen.engines.rearrange import RearrangeEngine, latents
from sisgen.engines.regions import MOST as MOST_SOURCES
from sisgen.engines.regions import Regions, synthesize_regions
from sisgen.errors import CheckpointError, InputError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.hub import DEFAULT_MODEL, Report, find_model, shipped_folder
from sisgen.inversion.encoder import Encoder, EncoderConfig
from sisgen.inversion.files import load_inversion, save_inversion
from sisgen.inversion.inversion import Inversion, invert
from sisgen.inversion.photo import Box, cut_photo
from sisgen.inversion.refine import Progress, Stop
from sisgen.io.configs import from_dict, read_json
from sisgen.io.labels import check_label_set
from sisgen.io.weights import load_module
from sisgen.metrics.agreement import agreement as measure_agreement
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.nets.squeezenet import SqueezeNet, load_squeezenet
from sisgen.proxy.clusters import FeatureClusters, ProxyConfig
from sisgen.proxy.drawing_mapper import DRAWING_KINDS, DrawingMapper, DrawingMapperConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.shapes import check_shape
from sisgen.types import Condition, LabelSet, Result

log = logging.getLogger(__name__)

MAX_SEED = 2**32 - 1
MAX_SEEDS = 4096  # pictures of one call
MAX_STEPS = 1000  # of refinement
TUNE_STEPS = 80  # of pivotal tuning
TRUST = 0.6  # of an exemplar in its labels; the best of 0, 0.3, 0.6, 1 on validation
CHUNK = 16  # pictures that run at once
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
    training: Mapping[str, Any] = field(default_factory=dict)  # recipe notes, not read


class Pipeline:
    """A loaded model. Calls are safe from several threads.

    Args:
        config: the model's config.
        engine: its parts, wired.
        source: where it was loaded from, in words.
        folder: where its files lie; `None` for one that was made in memory.
    """

    def __init__(self, config: ModelConfig, engine: RearrangeEngine, *, source: str, folder: Path | None = None) -> None:
        self.config = config
        self.folder = folder
        self.engine = engine.eval().requires_grad_(False)
        self.source = source
        self._lock = threading.Lock()
        self._features: SqueezeNet | None = None
        self._directions: list[Direction] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | None = None,
        revision: str | None = None,
        report: Report | None = None,
    ) -> Pipeline:
        """Load a model by name, folder, zip file, address or Hub id.

        Args:
            name: "portraits", a folder or a zip file of one, "user/name" on the Hub, or an `https://` address of such files.
            device: "cpu", "cuda", ...; `None` takes CUDA where it works.
            revision: commit, tag or branch on the Hub; `None` takes the default branch.
            report: told how far a download is: what is fetched, bytes so far, bytes in all (0 when unknown).

        Raises:
            ModelNotFoundError: no such model in any of the places tried, or out of reach.
            CheckpointError: the folder is incomplete or altered.
        """
        target = pick_device(device)
        found = find_model(name, revision=revision, report=report)
        config = _read_config(found.path)
        engine = _load_engine(found.path, config).to(target)
        return cls(config, engine, source=found.source, folder=found.path)

    def push_to_hub(self, hub_id: str, *, private: bool = False, branch: str | None = None) -> str:
        """Upload the folder that this model was loaded from; see `sisgen.hub.push.push`.

        Returns:
            The address of the model's page.

        Raises:
            CheckpointError: the model has no folder, no licence or no card.
            SisgenError: the Hub refuses or cannot be reached.
        """
        from sisgen.hub.push import push

        if self.folder is None:
            raise CheckpointError("Only a model that lies in a folder can be pushed, but this one was made in memory; export it first.")
        return push(self.folder, hub_id, private=private, branch=branch)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def revision(self) -> str:
        """Which state of the model this is."""
        return self.config.revision

    @property
    def license(self) -> str:
        """Licence of the weights."""
        return self.config.license

    @property
    def description(self) -> str:
        """One line about the model."""
        return self.config.description

    @property
    def labels(self) -> LabelSet:
        """The classes that a mask can hold."""
        return self.config.labels

    @property
    def resolution(self) -> int:
        """Side of the pictures in pixels."""
        return self.config.generator.resolution

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.engine.device

    @property
    def defaults(self) -> dict[str, Any]:
        """Truncation and seed that the model is shown with."""
        return {"truncation": self.config.defaults.truncation, "seed": self.config.defaults.seed}

    @property
    def class_seeds(self) -> dict[str, list[int]]:
        """Seeds whose samples show a class that many samples lack."""
        return {name: list(seeds) for name, seeds in self.config.class_seeds.items()}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of conditions that this model reads, "mask" first."""
        return tuple(self._shapes)

    @property
    def has_encoder(self) -> bool:
        """Whether photographs can be brought into this model."""
        return self.engine.encoder is not None

    @property
    def num_bytes(self) -> int:
        """Memory that the weights take."""
        return sum(t.numel() * t.element_size() for t in self.engine.state_dict().values())

    def __call__(
        self,
        condition: Condition | Sequence[Condition] | None = None,
        *,
        seeds: Sequence[int] = (0,),
        truncation: float | None = None,
        strength: float = 1.0,
        weights: Sequence[float] | None = None,
        style: Inversion | StyleRows | Regions | None = None,
        read_back: bool = False,
    ) -> Result:
        """Make one picture a seed.

        Args:
            condition: of one drawing for all seeds, or of one a seed; several are followed together; `None` gives plain samples.
            seeds: integers in 0..2^32 - 1.
            truncation: psi in 0..1.5, smaller is more typical; `None` takes the model's own.
            strength: 0 keeps the sample's arrangement, 1 follows the drawing.
            weights: how much each of several drawings counts where they meet, at least 0; `None` weighs them alike.
            style: a photograph from `invert`, whose style every picture takes; `seeds` then only name the pictures, and truncation
                plays no part. Where the drawing is open or repeats the photograph's own labels, its reconstruction stays as it is.
                Or `StyleRows`, from `edit` for instance. Or `Regions`: the classes of one drawing in several styles.
            read_back: also read labels from the pictures and compare them with the drawing.

        Returns:
            `Result`; `timings` are sums over the pictures.

        Raises:
            InputError: an argument is out of its range or of another model's size.
        """
        # 1. Check everything first.
        start = time.perf_counter()
        seeds = check_seeds(seeds)
        psi = self.config.defaults.truncation if truncation is None else check_number("truncation", truncation, 0.0, 1.5)
        strength = check_number("strength", strength, 0.0, 1.0)
        drawings = check_drawings(condition, weights, len(seeds), name=self.name, shapes=self._shapes)
        if isinstance(style, Regions):
            self._check_regions(style)
        elif isinstance(style, StyleRows):
            self._check_rows(style.ws)
        elif style is not None:
            self._check_style(style)
        checked = (time.perf_counter() - start) * 1000

        # 2. Hops 2 to 4, a chunk of seeds at a time.
        images, laps = [], []
        for first in range(0, len(seeds), CHUNK):
            part = None if drawings is None else drawings.rows(first, CHUNK)
            made, timings = self._make(part, seeds[first : first + CHUNK], style, truncation=psi, strength=strength)
            images.append(made)
            laps.append(timings)

        # 3. Read labels back.
        result = torch.cat(images)
        labels = self._read_labels(result) if read_back else None
        drawn = None if drawings is None else drawings.labels
        agreement = () if labels is None or drawn is None else measure_agreement(drawn, labels.cpu(), self.labels.names)

        # 4. Pack.
        hops = {name: sum(lap.get(name, 0.0) for lap in laps) for name in ("style", "proxy", "rearrange", "generate")}
        timings = {"condition": checked, **hops, "total": (time.perf_counter() - start) * 1000}
        settings = {"model": self.name, "revision": self.revision, "truncation": psi, "strength": strength, "seeds": list(seeds)}
        settings["condition"] = None if drawings is None else drawings.kind
        if drawings is not None and len(drawings.weights) > 1:
            settings["weights"] = [round(weight, 4) for weight in drawings.weights]
        settings["style"] = {type(None): "seeds", Regions: "regions", StyleRows: "rows"}.get(type(style), "photo")
        return Result(images=result, seeds=tuple(seeds), labels=labels, agreement=tuple(agreement), timings=timings, settings=settings)

    def _make(
        self,
        drawings: Drawings | None,
        seeds: Sequence[int],
        style: Inversion | StyleRows | Regions | None,
        *,
        truncation: float,
        strength: float,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Run hops 2 to 4 for one chunk."""
        if isinstance(style, Regions):
            names = self.labels.names
            return synthesize_regions(self.engine, drawings, seeds, style, names, truncation=truncation, strength=strength)
        return self.engine.synthesize(drawings, seeds, truncation=truncation, strength=strength, photo=style)

    def sample_labels(self, seeds: Sequence[int], truncation: float | None = None) -> torch.Tensor:
        """Read the own masks of plain samples with the model's reader: int64 [B, H, W]."""
        psi = self.config.defaults.truncation if truncation is None else check_number("truncation", truncation, 0.0, 1.5)
        seeds = check_seeds(seeds)
        parts = [self.engine.recall(seeds[i : i + CHUNK], psi).labels for i in range(0, len(seeds), CHUNK)]
        return torch.cat(parts).cpu()

    def invert(
        self,
        picture: NDArray[np.uint8],
        *,
        box: Box | None = None,
        steps: int = 0,
        tune: bool = False,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Inversion:
        """Bring a photograph into the model: find style rows that show it.

        Args:
            picture: uint8 RGB [H, W, 3] of any size.
            box: left, top, right, bottom in the picture's pixels, a square; `None` takes the middle one.
            steps: of refinement, 0..1000; 20 bring most of the gain.
            tune: also tune a copy of the generator's tail to the photograph, which the result carries; slower, and closest.
            progress: told (steps done, steps in all).
            stop: asked after every step; once it says so, what was reached is given back.

        Returns:
            what `style=` and `exemplar` take; its `labels` are the photograph's own mask.

        Raises:
            InputError: the model has no encoder, or the picture, the box or the steps cannot be used.
        """
        if self.engine.encoder is None:
            name = self.name
            raise InputError(f"The model {name!r} has no encoder for photographs; train one with `python -m sisgen train encoder`.")
        steps = int(check_number("steps", steps, 0, MAX_STEPS))
        photo = cut_photo(picture, self.resolution, box).to(self.device)
        squeezenet = self._squeezenet() if steps or tune else None
        tuning = TUNE_STEPS if tune else 0
        cut = self.config.rearranger.resolution
        return invert(self.engine, photo, cut=cut, steps=steps, tune_steps=tuning, squeezenet=squeezenet, progress=progress, stop=stop)

    def directions(self) -> list[Direction]:
        """List the ways in which styles can be edited: those learned for this model, then SeFa's and GANSpace's."""
        with self._lock:
            if self._directions is None:
                self._directions = self._find_directions()
            return list(self._directions)

    def latents(self, seeds: Sequence[int]) -> torch.Tensor:
        """Give the latents of seeds, those of the official tools: float [B, z_dim]."""
        return latents(check_seeds(seeds), self.config.generator.z_dim).to(self.device)

    def style_rows(self, seeds: Sequence[int], truncation: float | None = None) -> torch.Tensor:
        """Give the style rows of seeds: float [B, S, D]."""
        psi = self.config.defaults.truncation if truncation is None else check_number("truncation", truncation, 0.0, 1.5)
        return self.engine.generator.map(self.latents(seeds), psi=psi)

    def edit(
        self, source: int | Inversion | StyleRows, direction: Direction, strength: float, *, truncation: float | None = None
    ) -> Inversion | StyleRows:
        """Move a style along a direction; with a drawing, shapes stay on it.

        Args:
            source: a seed, a photograph from `invert`, or rows.
            direction: from `directions`, or your own.
            strength: in standard deviations, -10..10.
            truncation: psi of a seed; `None` takes the model's own.

        Returns:
            What `style=` takes.

        Raises:
            InputError: the direction is another model's, or the strength out of range.
        """
        if isinstance(source, (Inversion, StyleRows)):
            return replace(source, ws=direction.apply(source.ws, strength), key=secrets.token_hex(8))
        return StyleRows(ws=direction.apply(self.style_rows([source], truncation), strength))

    def exemplar(self, source: Inversion | int, truncation: float | None = None, *, trust: float = TRUST) -> Condition:
        """Take the shape of a photograph or of a sample as a drawing.

        Its own proxy mask is blended with what the mask mapper makes of its labels, which results follow more closely than either alone.

        Args:
            source: what `invert` gave, or a seed.
            truncation: of the seed's sample; `None` takes the model's own.
            trust: in the labels, 0..1; where a photograph's labels say another class than its reconstruction, they alone count.
        """
        trust = check_number("trust", trust, 0.0, 1.0)
        if isinstance(source, Inversion):
            self._check_style(source)
            own, image, labels = source.proxy.probs, source.image, source.labels
        else:
            psi = self.config.defaults.truncation if truncation is None else check_number("truncation", truncation, 0.0, 1.5)
            style = self.engine.recall(check_seeds([source]), psi)
            own, image, labels = style.memory.own, style.images, style.labels.clone()
        return exemplar_condition(self.engine.shape_of(own, image, labels, trust), labels.cpu())

    def save_inversion(self, path: str | os.PathLike[str], inversion: Inversion) -> None:
        """Write a photograph's inversion into a .safetensors file."""
        self._check_style(inversion)
        save_inversion(path, inversion, model=self.name, generator=self._generator, cut=self.config.rearranger.resolution)

    def load_inversion(self, path: str | os.PathLike[str]) -> Inversion:
        """Read what `save_inversion` wrote.

        Raises:
            SisgenError: it is no such file, damaged, or made with another model.
        """
        return load_inversion(path, self.engine, generator=self._generator, cut=self.config.rearranger.resolution)

    @property
    def _generator(self) -> str:
        return self.config.files.get("generator.safetensors", "")

    def _find_directions(self) -> list[Direction]:
        learned: list[Direction] = []
        notes = self.config.training.get("directions")
        fitted_to = notes.get("fitted_to", self._generator) if isinstance(notes, Mapping) else self._generator
        if fitted_to != self._generator:
            log.warning("The directions of '%s' were learned on another generator and are left out; learn them again.", self.name)
        elif self.folder is not None and DIRECTIONS_FILE in self.config.files:
            sha256 = self.config.files[DIRECTIONS_FILE]
            learned = load_directions(self.folder / DIRECTIONS_FILE, self.config.generator.w_dim, sha256=sha256)
        count = min(8, self.config.generator.w_dim)
        return [*learned, *sefa_directions(self.engine.generator, count), *ganspace_directions(self.engine.generator, count)]

    def _squeezenet(self) -> SqueezeNet | None:
        """The shipped SqueezeNet, loaded once; `None`, told in the log, where it is not found."""
        with self._lock:
            if self._features is None:
                folder = shipped_folder("squeezenet")
                if folder is None:
                    log.warning("SqueezeNet is in none of the places where models lie, so photographs are compared by their pixels only.")
                    return None
                self._features = load_squeezenet(folder, self.device)
            return self._features

    def _check_style(self, style: Inversion) -> None:
        if not isinstance(style, Inversion):
            raise InputError(f"style must be a photograph from `invert`, but it is a {type(style).__name__}; invert one first.")
        self._check_rows(style.ws)
        check_shape("style.labels", style.labels, (1, self.resolution, self.resolution))

    def _check_rows(self, ws: torch.Tensor) -> None:
        check_shape("style.ws", ws, (1, self.config.generator.num_ws, self.config.generator.w_dim))

    @property
    def _shapes(self) -> dict[str, tuple[int, int, int]]:
        """Kind -> shape of its maps."""
        proxy, sizes, drawings = self.config.proxy, (self.resolution, self.resolution), self.config.drawing_mappers
        shapes = {"mask": (len(self.labels), *sizes)}
        shapes |= {kind: (drawings[kind].channels, *sizes) for kind in DRAWING_KINDS if kind in drawings}
        return shapes | {EXEMPLAR: (proxy.num_clusters, proxy.resolution, proxy.resolution)}

    def _check_regions(self, regions: Regions) -> None:
        unknown = [name for name in regions.sources if name not in self.labels.names]
        if unknown:
            raise InputError(
                f"Regions must be classes of {', '.join(self.labels.names)}, but {str(unknown[0])[:40]!r} came; name one of them."
            )
        if len(set(regions.sources.values())) > MOST_SOURCES:
            raise InputError(
                f"At most {MOST_SOURCES} styles go into one picture, but {len(set(regions.sources.values()))} came; leave some out."
            )
        if regions.base is not None:
            self._check_style(regions.base)
        for source in regions.sources.values():
            if isinstance(source, Inversion):
                self._check_style(source)
            else:
                check_seeds([source])

    def _read_labels(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.engine.reader.read(part.clamp(-1, 1)) for part in images.split(CHUNK)])


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """Check seeds: at least one, integers in 0..2^32 - 1.

    Raises:
        InputError: otherwise.
    """
    seeds = list(seeds)
    if not 1 <= len(seeds) <= MAX_SEEDS:
        raise InputError(f"Between 1 and {MAX_SEEDS} seeds are needed, but {len(seeds)} came.")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed <= MAX_SEED:
            raise InputError(f"A seed must be a whole number in 0..{MAX_SEED}, but it is {str(seed)[:40]}; choose a smaller one.")
    return [int(seed) for seed in seeds]


def check_number(name: str, value: float, low: float, high: float) -> float:
    """Check a finite number in [low, high].

    Raises:
        InputError: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"{name} must be a number in {low:g}..{high:g}, but it is {str(value)[:40]}.")
    return float(value)


def _read_config(folder: Path) -> ModelConfig:
    path = folder / "config.json"
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} must have format {FORMAT}, but it has {content.get('format')}; update sisgen or the model.")
    config = from_dict(ModelConfig, content, where=str(path), largest=None)
    check_label_set(config.labels)
    sizes, encoder = config.generator, config.encoder
    if encoder is not None and (encoder.z_dim, encoder.w_dim, encoder.num_ws) != (sizes.z_dim, sizes.w_dim, sizes.num_ws):
        raise CheckpointError(f"{path} must give the encoder the generator's latents, but they differ; train the encoder again.")
    if "mask" not in config.mappers:
        raise CheckpointError(f"{path} must name a mapper for masks, but it names none; run `python -m sisgen train mapper`.")
    for kind, mapper in config.drawing_mappers.items():
        if kind not in DRAWING_KINDS:
            raise CheckpointError(f"{path} may name drawing mappers for {', '.join(DRAWING_KINDS)}, but it names {kind!r}; correct it.")
        made_for, channels = (mapper.num_clusters, mapper.resolution), len(config.labels) if kind == "scribble" else 1
        if made_for != (config.proxy.num_clusters, config.generator.resolution) or mapper.channels != channels:
            raise CheckpointError(f"The {kind} mapper in {path} must fit the model's sizes, but it was made for others; train it again.")
    return config


def _load_engine(folder: Path, config: ModelConfig) -> RearrangeEngine:
    def part(stem: str, build: Any) -> Any:
        name = f"{stem}.safetensors"
        if name not in config.files:
            raise CheckpointError(f"{folder / 'config.json'} must list {name} with its checksum, but it does not; export the model again.")
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
