"""The one door: a drawing and seeds in, pictures out. App, command line and library callers all come through here."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sisgen.conditions.exemplar import exemplar_condition
from sisgen.devices import pick_device
from sisgen.editing.clip import check_text, check_transformers, load_clip
from sisgen.editing.directions import Direction
from sisgen.editing.styles import StyleRows
from sisgen.editing.text import NEUTRAL, STEPS, TextDirection, text_direction
from sisgen.engines.checks import check_number, check_seeds
from sisgen.engines.drawings import check_drawings
from sisgen.engines.models import ModelConfig, list_directions, load_engine, load_shipped_squeezenet, read_config
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.engines.request import CHUNK, GivenStyle, check_photo, check_style, describe_request, read_labels, synthesize_style
from sisgen.errors import CheckpointError, InputError
from sisgen.generators.latents import latents
from sisgen.hub import DEFAULT_MODEL, Report, find_model
from sisgen.hub.clip import CLIP_ID, find_clip
from sisgen.inversion.files import load_inversion, save_inversion
from sisgen.inversion.inversion import Inversion, invert, move_rows
from sisgen.inversion.photo import Box, cut_photo
from sisgen.inversion.refine import Progress, Stop
from sisgen.nets.squeezenet import SqueezeNet
from sisgen.types import Condition, LabelSet, Result

MAX_STEPS = 1000  # of a refinement, or of the search for a text's direction
TUNE_STEPS = 80  # of pivotal tuning
TRUST = 0.8  # of an exemplar in its labels; 1 agrees 0.4 points better on validation, but takes nothing along beside classes


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
        config = read_config(found.path)
        engine = load_engine(found.path, config).to(target)
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
    def drawing_size(self) -> int:
        """Side of drawings and labels in pixels: that of the pictures, 256 at most."""
        return self.engine.drawing_size

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
        return tuple(self.config.map_shapes)

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
        style: GivenStyle = None,
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
        psi = self._check_truncation(truncation)
        strength = check_number("strength", strength, 0.0, 1.0)
        shapes, pictures = self.config.map_shapes, self.resolution
        drawings = check_drawings(condition, weights, len(seeds), name=self.name, shapes=shapes, pictures=pictures)
        check_style(self.engine, style, self.labels.names)
        checked = (time.perf_counter() - start) * 1000

        # 2. Hops 2 to 4, a chunk of seeds at a time.
        names = self.labels.names
        images, timings = synthesize_style(self.engine, drawings, seeds, style, names, truncation=psi, strength=strength)

        # 3. Read labels back.
        labels, agreement = read_labels(self.engine, images, drawings, names) if read_back else (None, ())

        # 4. Pack.
        settings = {"model": self.name, "revision": self.revision, "truncation": psi, "strength": strength, "seeds": list(seeds)}
        settings |= describe_request(drawings, style)
        timings = {"condition": checked, **timings, "total": (time.perf_counter() - start) * 1000}
        return Result(images=images, seeds=tuple(seeds), labels=labels, agreement=agreement, timings=timings, settings=settings)

    def sample_labels(self, seeds: Sequence[int], truncation: float | None = None) -> torch.Tensor:
        """Read the own masks of plain samples with the model's reader: int64 [B, H, W]."""
        psi, seeds = self._check_truncation(truncation), check_seeds(seeds)
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
            raise InputError(f"The model {self.name!r} has no encoder for photographs; train one with `python -m sisgen train encoder`.")
        steps = int(check_number("steps", steps, 0, MAX_STEPS))
        photo = cut_photo(picture, self.resolution, box).to(self.device)
        squeezenet, tuning = self._squeezenet() if steps or tune else None, TUNE_STEPS if tune else 0
        cut = self.config.rearranger.resolution
        return invert(self.engine, photo, cut=cut, steps=steps, tune_steps=tuning, squeezenet=squeezenet, progress=progress, stop=stop)

    def directions(self) -> list[Direction]:
        """List the ways in which styles can be edited: those learned for this model, then SeFa's and GANSpace's."""
        with self._lock:
            if self._directions is None:
                self._directions = list_directions(self.folder, self.config, self.engine.generator)
            return list(self._directions)

    def text_direction(
        self,
        text: str,
        *,
        neutral: str = NEUTRAL,
        clip: str = CLIP_ID,
        steps: int = STEPS,
        seed: int = 0,
        report: Report | None = None,
        progress: Progress | None = None,
    ) -> TextDirection:
        """Find the direction towards a text with CLIP, which `pip install 'sisgen[text]'` brings; its `direction` is for `edit`.

        Args:
            text: what edited pictures show, "a face with a big smile".
            neutral: what pictures of this model show anyway, "a face".
            clip: a CLIP model: a folder, or "user/model" on the Hub.
            steps: of the search, 0..1000.
            seed: of the samples that it is found on.
            report: told how far a download is.
            progress: told (steps done, steps in all).

        Raises:
            InputError: `transformers` is not installed, or a text is empty, too long or like the other one.
            ModelNotFoundError: the CLIP model is not here and cannot be fetched.
            CheckpointError: it is damaged or of another kind.
        """
        steps = int(check_number("steps", steps, 0, MAX_STEPS))
        for words in (text, neutral):
            check_text(words)
        check_transformers()
        judge = load_clip(find_clip(clip, report=report), self.device)
        psi = self.config.defaults.truncation
        return text_direction(self.engine.generator, judge, text, neutral=neutral, psi=psi, steps=steps, seed=seed, report=progress)

    def latents(self, seeds: Sequence[int]) -> torch.Tensor:
        """Give the latents of seeds, those of the official tools: float [B, z_dim]."""
        return latents(check_seeds(seeds), self.config.generator.z_dim).to(self.device)

    def style_rows(self, seeds: Sequence[int], truncation: float | None = None) -> torch.Tensor:
        """Give the style rows of seeds: float [B, S, D]."""
        return self.engine.generator.map(self.latents(seeds), psi=self._check_truncation(truncation))

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
            What `style=` takes; a photograph's picture, arrangement and labels are those of the moved rows.

        Raises:
            InputError: the direction is another model's, or the strength out of range.
        """
        if isinstance(source, Inversion):
            check_photo(self.engine, source)
            return move_rows(self.engine, source, direction.apply(source.ws.to(self.device), strength))
        if isinstance(source, StyleRows):
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
            check_photo(self.engine, source)
            own, image, labels = source.proxy.probs, source.image, source.labels
        else:
            style = self.engine.recall(check_seeds([source]), self._check_truncation(truncation))
            own, image, labels = style.memory.own, style.images, style.labels.clone()
        return exemplar_condition(self.engine.shape_of(own, image, labels, trust), labels.cpu())

    def save_inversion(self, path: str | os.PathLike[str], inversion: Inversion) -> None:
        """Write a photograph's inversion into a .safetensors file."""
        check_photo(self.engine, inversion)
        save_inversion(path, inversion, model=self.name, generator=self.config.generator_sum, cut=self.config.rearranger.resolution)

    def load_inversion(self, path: str | os.PathLike[str]) -> Inversion:
        """Read what `save_inversion` wrote.

        Raises:
            SisgenError: it is no such file, damaged, or made with another model.
        """
        return load_inversion(path, self.engine, generator=self.config.generator_sum, cut=self.config.rearranger.resolution)

    def _squeezenet(self) -> SqueezeNet | None:
        with self._lock:
            if self._features is None:
                self._features = load_shipped_squeezenet(self.device)
            return self._features

    def _check_truncation(self, truncation: float | None) -> float:
        """Check a psi; `None` takes the model's own."""
        return self.config.defaults.truncation if truncation is None else check_number("truncation", truncation, 0.0, 1.5)
