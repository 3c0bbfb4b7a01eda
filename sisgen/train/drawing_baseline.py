"""Trainer of the baseline for lines: an encoder of drawings into W+ (after pSp, Richardson et al., CVPR 2021, sec. 4.4).

The generator's samples are drawn as the drawing mapper's are; the encoder finds style rows from the lines alone. What it gives back is
compared with the sample by its style rows, its pixels, its early features and its edges, which pSp has not and which help it to follow
lines. `python -m sisgen evaluate --conditions --baselines FOLDER` takes its coarse rows and the fine ones of another style.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sisgen.devices import pick_device
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder, EncoderConfig, encoder_config
from sisgen.io.configs import read_json, to_dict
from sisgen.io.images import save_grid, to_uint8
from sisgen.nets.edges import load_edges
from sisgen.nets.pyramid import pyramid_distance
from sisgen.nets.reader import Reader
from sisgen.nets.squeezenet import SqueezeNet, load_squeezenet
from sisgen.train.checkpoints import export_parts, has_part, load_generator, load_part, training_notes
from sisgen.train.command import finish, start
from sisgen.train.drawings.kinds import EDGE_KINDS, DrawingSource
from sisgen.train.drawings.sketches import edge_view
from sisgen.train.encoding import EncodingTask
from sisgen.train.evaluation.mixing import mix_pictures, show_lines, splits_of
from sisgen.train.judges import load_reader
from sisgen.train.loop import StepInfo, generator_for
from sisgen.train.proxies import draw_ws


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineTrainConfig:
    """How a baseline is trained."""

    kind: str
    encoder: EncoderConfig
    lr: float = 1.5e-3
    known: float = 0.15  # weight of the distance of known style rows, in spreads of w
    perceptual: float = 1.5  # of SqueezeNet's features, where it is given
    edges: float = 4.0  # of the edges of the picture, as for drawing mappers
    deltas: float = 0.02  # of the squared length of a row's own delta
    typical: float = 0.002  # of the squared distance to the mean style
    ema_half_life: float = 1_500.0
    bf16: bool = False


class BaselineTask(EncodingTask):
    """The work of one training of a baseline; see `sisgen.train.loop.Task`.

    Args:
        config: how.
        generator: frozen, the one to encode for.
        reader: the model's own, for the regions that sketches show.
        encoder: where to start.
        source: makes the drawings.
        squeezenet: for the perceptual distance; `None` compares pixels and edges only.
        device: where to train.
    """

    def __init__(
        self,
        config: BaselineTrainConfig,
        generator: StyleGAN2,
        reader: Reader,
        encoder: Encoder,
        source: DrawingSource,
        *,
        squeezenet: SqueezeNet | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(config, generator, encoder, squeezenet=squeezenet, device=device)
        self.name = f"{config.kind}_baseline"
        self.config, self.source = config, source
        self.reader = reader.eval().requires_grad_(False).to(self.device)

    def step(self, info: StepInfo) -> dict[str, float]:
        """Draw samples, encode the drawings, decode and compare."""
        self._set_rate(info)
        wanted, images, drawings = self._draw([generator_for(info.seed, i, stream=13) for i in info.sample_ids])

        # Forward.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            z, deltas = self.encoder(self.encoder.shrink(show_lines(drawings)))
            ws = self.encoder.rows(self.generator, z, deltas).float()
            stats = self._compare(self.generator(ws), images)
        stats |= self._row_terms(ws, wanted, deltas)
        loss = stats["pixels"] + sum(getattr(self.config, name) * value for name, value in stats.items() if name != "pixels")

        # Step.
        self._descend(loss, info)
        return {name: float(self.processes.average(value.detach())) for name, value in stats.items()}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows of eight: samples, their drawings, what the averaged encoder makes of these, and that in other styles."""
        wanted, images, drawings = self._draw([generator_for(1, i, stream=5) for i in range(8)])
        found = self.average.encode(self.generator, show_lines(drawings))
        mixed = mix_pictures(self.generator, found, wanted.roll(1, dims=0)) if splits_of(self.generator) else {}
        rows = [images, show_lines(drawings), self.generator(found), *mixed.values()]
        save_grid(path, np.concatenate([to_uint8(row.clamp(-1, 1).cpu()) for row in rows]), 8)

    @torch.no_grad()
    def _draw(self, sources: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Make samples and draw them: style rows [B, S, D], pictures [B, 3, H, W], drawings [B, 1, H, W]."""
        ws = draw_ws(self.generator, sources)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            images = self.generator(ws).float().clamp(-1, 1)
        drawings = self.source.draw(images, self.reader.read(images), sources)
        return ws, images.contiguous(memory_format=torch.channels_last), drawings

    def _compare(self, found: torch.Tensor, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Differences of what came back from the samples."""
        edges = (edge_view(found) - edge_view(images)).abs().mean()
        return {"pixels": pyramid_distance(found, images), "edges": edges, **self._perceptual(found, images)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--kind", choices=EDGE_KINDS, required=True, help="which lines it reads")
    parser.add_argument("--model", type=Path, required=True, help="model folder with a generator and a reader; it stays as it is")
    parser.add_argument("--export", type=Path, required=True, help="folder of baselines to write it to, one file a kind")
    parser.add_argument("--squeezenet", type=Path, help="folder of SqueezeNet for a perceptual difference (default: pixels and edges)")
    parser.add_argument("--edges", type=Path, help="folder of an edge network, for --kind hed (default: gradients of several scales)")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 on a CPU too; it pays where the CPU has AMX")
    parser.add_argument("--fresh", action="store_true", help="start from random weights, whatever the folders hold")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train drawing-baseline` asks."""
    device = pick_device(args.device)
    task = open_baseline(
        args.model,
        args.kind,
        device,
        export=args.export,
        network=args.edges if args.kind == "hed" else None,
        squeezenet=None if args.squeezenet is None else load_squeezenet(args.squeezenet, device),
        bf16=device.type == "cuda" or args.bf16,
        fresh=args.fresh,
        seed=args.seed,
    )
    seen = start(task, args, task.config, images=20_000, batch=16)
    if seen is not None:
        export_baseline(args.export, task, {"seed": args.seed, "images_seen": seen}, model=args.model)
    return finish()


def open_baseline(
    model: Path,
    kind: str,
    device: torch.device,
    *,
    export: Path | None = None,
    network: Path | None = None,
    squeezenet: SqueezeNet | None = None,
    bf16: bool = False,
    fresh: bool = False,
    seed: int = 0,
) -> BaselineTask:
    """Prepare the training of a baseline.

    It goes on from the one in `export`, else from the model's encoder of photographs, else from random weights.

    Args:
        model: folder with a generator and a reader.
        kind: one of `EDGE_KINDS`.
        device: where to train.
        export: folder of baselines.
        network: folder of the edge network for "hed"; `None` goes without.
        squeezenet: for the perceptual distance; `None` compares pixels and edges only.
        bf16: train in bfloat16.
        fresh: start from random weights.
        seed: of the weights.

    Raises:
        SisgenError: a part of the model or the network is missing.
    """
    generator, (reader, labels) = load_generator(model), load_reader(model)
    source = DrawingSource(kind=kind, num_labels=len(labels), network=None if network is None else load_edges(network, device))
    config = BaselineTrainConfig(kind=kind, encoder=encoder_config(generator.config), bf16=bf16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config.encoder)
    if not fresh and export is not None and _is_there(export, kind, config.encoder):
        load_part(export, f"baseline_{kind}", encoder)
    elif not fresh and has_part(model, "encoder", {"encoder": config.encoder}):
        load_part(model, "encoder", encoder)
    encoder.measure_spread(generator, latents(range(1024), generator.config.z_dim))
    return BaselineTask(config, generator, reader, encoder, source, squeezenet=squeezenet, device=device)


def export_baseline(folder: Path, task: BaselineTask, notes: Mapping[str, Any], *, model: Path) -> None:
    """Write a trained baseline into a folder of baselines, beside those of other kinds."""
    kind, path = task.config.kind, folder / "config.json"
    sizes = {**(read_json(path).get("baselines", {}) if path.exists() else {}), kind: to_dict(task.config.encoder)}
    content = {"baselines": sizes, "training": training_notes(folder, f"baseline_{kind}", notes, model=model)}
    export_parts(folder, {f"baseline_{kind}": task.average}, content)


def _is_there(folder: Path, kind: str, config: EncoderConfig) -> bool:
    return has_part(folder, f"baseline_{kind}", {f"baselines.{kind}": config})
