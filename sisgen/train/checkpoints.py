"""Model folders as trainers read and write them: parts are added to `config.json` one by one, with their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.hub import find_model
from sisgen.io.configs import from_dict, read_json, to_dict, write_json
from sisgen.io.weights import load_module, load_weights, read_shapes, save_weights


def export_parts(folder: str | Path, parts: Mapping[str, nn.Module], config: Mapping[str, Any]) -> None:
    """Add parts to a model folder, or replace them.

    Args:
        folder: made where it lacks.
        parts: file stem -> module, written as fp16 safetensors.
        config: keys of `config.json` to set.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    content: dict[str, Any] = read_json(path) if path.exists() else {"format": 1, "name": folder.name}
    files = dict(content.get("files", {}))
    for stem, module in parts.items():
        files[f"{stem}.safetensors"] = save_weights(folder / f"{stem}.safetensors", module)
    write_json(path, {**content, **config, "files": dict(sorted(files.items()))})


def load_part(folder: str | Path, stem: str, module: nn.Module) -> None:
    """Load one part of a model folder into a module, checked against the folder's checksum."""
    folder = Path(folder)
    files = read_json(folder / "config.json").get("files", {})
    load_weights(folder / f"{stem}.safetensors", module, sha256=files.get(f"{stem}.safetensors"))


def has_part(folder: str | Path, stem: str, configs: Mapping[str, Any]) -> bool:
    """Tell whether a model folder has a part that was made with these configs (key of `config.json` -> config)."""
    path = Path(folder) / "config.json"
    if not path.exists() or not (Path(folder) / f"{stem}.safetensors").exists():
        return False
    content = read_json(path)
    return all(content.get(key) == to_dict(config) for key, config in configs.items())


def load_generator(model: str | Path) -> StyleGAN2:
    """Load the generator of a model, ready for use: no gradients, evaluation mode."""
    folder = find_model(str(model)).path
    content = read_json(folder / "config.json")
    config = from_dict(StyleGAN2Config, content.get("generator", {}), where=f"{folder / 'config.json'}, generator")
    sha256 = content.get("files", {}).get("generator.safetensors")
    generator = load_module(folder / "generator.safetensors", lambda: StyleGAN2(config), sha256=sha256)
    return generator.requires_grad_(False)


def load_gan(model: str | Path, *, generator: StyleGAN2, average: StyleGAN2, discriminator: Discriminator) -> int:
    """Load all three networks of a GAN from a model folder, so that training goes on from it.

    Returns:
        Pictures that its generator had seen.
    """
    folder = find_model(str(model)).path
    load_part(folder, "generator_raw", generator)
    load_part(folder, "generator", average)
    load_part(folder, "discriminator", discriminator)
    return int(read_json(folder / "config.json").get("images_seen", 0))


def load_discriminator(folder: str | Path, config: StyleGAN2Config) -> Discriminator:
    """Load the discriminator of a model folder, whichever way it reads pictures."""
    shapes = read_shapes(Path(folder) / "discriminator.safetensors")
    unpack = 1 if f"b{config.resolution}.fromrgb.weight" in shapes else 2
    discriminator = Discriminator(config.resolution, config.channels, c_dim=config.c_dim, unpack=unpack)
    load_part(folder, "discriminator", discriminator)
    return discriminator


def export_gan(folder: str | Path, *, generator: StyleGAN2, average: StyleGAN2, discriminator: Discriminator, images_seen: int) -> None:
    """Write the averaged generator, and what it takes to go on training."""
    parts = {"generator": average, "generator_raw": generator, "discriminator": discriminator}
    export_parts(folder, parts, {"generator": to_dict(average.config), "images_seen": images_seen})
