"""Style mixing as a baseline: coarse style rows from an encoder hold the shape, fine ones from another style the colours.

For lines the encoder is one of drawings (after pSp, Richardson et al., CVPR 2021, sec. 4.4), trained by
`python -m sisgen train drawing-baseline`; it never ships with a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from sisgen.editing.styles import mix_rows
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.errors import CheckpointError, InputError
from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder, EncoderConfig
from sisgen.io.configs import from_dict, read_json
from sisgen.io.weights import load_module

SPLITS = (8, 16, 32)  # the last resolution whose style rows count as coarse


def splits_of(generator: StyleGAN2) -> tuple[int, ...]:
    """The splits that leave a generator fine rows."""
    return tuple(size for size in SPLITS if size < generator.config.resolution)


def mix_pictures(generator: StyleGAN2, shape: torch.Tensor, fine: torch.Tensor) -> dict[int, torch.Tensor]:
    """Mix style rows [B, S, D] at every split: split -> pictures [B, 3, H, W] in [-1, 1]."""
    rows = {size: generator.synthesis.first_row(2 * size) for size in splits_of(generator)}
    return {size: generator(mix_rows(shape, fine, row)).clamp(-1, 1) for size, row in rows.items()}


def show_lines(drawings: torch.Tensor) -> torch.Tensor:
    """Turn lines [B, 1, H, W] in [0, 1], 1 = line, into the dark-on-white pictures [B, 3, H, W] that the encoder reads."""
    return (1 - 2 * drawings).expand(-1, 3, -1, -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LineBaseline:
    """An encoder of lines of one kind, beside the generator that it was trained for."""

    kind: str
    encoder: Encoder

    @torch.no_grad()
    def follow(self, engine: RearrangeEngine, drawings: torch.Tensor, seeds: Sequence[int], truncation: float) -> dict[int, torch.Tensor]:
        """Draw lines [B, 1, H, W] in the styles of seeds, one a drawing: split -> pictures [B, 3, H, W] in [-1, 1]."""
        generator = engine.generator
        shape = self.encoder.encode(generator, show_lines(drawings.to(engine.device)))
        fine = generator.map(latents(seeds, generator.config.z_dim).to(engine.device), psi=truncation)
        return mix_pictures(generator, shape, fine)


def load_baselines(folder: str | Path, generator: StyleGAN2, generator_sum: str) -> dict[str, LineBaseline]:
    """Load the baselines of a folder: kind -> baseline.

    Args:
        folder: what `python -m sisgen train drawing-baseline --export` wrote.
        generator: the one under evaluation.
        generator_sum: its checksum.

    Raises:
        CheckpointError: a file is missing, altered, or does not fit.
        InputError: the folder holds none, or one for another generator.
    """
    folder = Path(folder)
    content = read_json(folder / "config.json")
    kinds, device = content.get("baselines", {}), generator.mapping.w_avg.device
    if not kinds:
        raise InputError(f"The folder '{folder}' must hold baselines, but it holds none; run `python -m sisgen train drawing-baseline`.")
    found = {}
    for kind, sizes in kinds.items():
        stem = f"baseline_{kind}"
        if content.get("training", {}).get(stem, {}).get("fitted_to") != generator_sum:
            raise InputError(f"The baseline for {kind} in '{folder}' was trained for another generator than this model's; train it again.")
        config, name = from_dict(EncoderConfig, sizes, where=f"{folder / 'config.json'}, baselines.{kind}"), f"{stem}.safetensors"
        if name not in content.get("files", {}):
            raise CheckpointError(f"'{folder / 'config.json'}' must list {name} with its checksum, but it does not; train it again.")
        encoder = load_module(folder / name, partial(Encoder, config), sha256=content["files"][name])
        found[kind] = LineBaseline(kind=kind, encoder=encoder.requires_grad_(False).to(device))
    return found
