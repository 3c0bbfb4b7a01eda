"""Model folders as trainers read and write them: parts are added to `config.json` one by one, with their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sisgen.errors import CheckpointError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.hub import find_model
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.models import export_parts, remove_parts
from sisgen.io.weights import load_module, load_weights, read_shapes, read_weights

__all__ = [
    "drop_drawing_mappers",
    "export_gan",
    "export_parts",
    "generator_config",
    "generator_sha256",
    "has_part",
    "load_discriminator",
    "load_fitting",
    "load_gan",
    "load_generator",
    "load_part",
    "training_notes",
]


def load_part(folder: str | Path, stem: str, module: nn.Module) -> None:
    """Load one part of a model folder into a module, checked against the folder's checksum."""
    folder = Path(folder)
    files = read_json(folder / "config.json").get("files", {})
    load_weights(folder / f"{stem}.safetensors", module, sha256=files.get(f"{stem}.safetensors"))


def load_fitting(folder: str | Path, stem: str, module: nn.Module) -> list[str]:
    """Load what fits of one part, by name and shape: networks for another resolution share all blocks but the first.

    Returns:
        Names of the tensors that were left as they are.
    """
    have = read_weights(Path(folder) / f"{stem}.safetensors")
    state = module.state_dict()
    fitting = {name: have[name].to(value.dtype) for name, value in state.items() if name in have and have[name].shape == value.shape}
    module.load_state_dict({**state, **fitting})
    return sorted(state.keys() - fitting.keys())


def has_part(folder: str | Path, stem: str, configs: Mapping[str, Any]) -> bool:
    """Tell whether a model folder has a part that was made with these configs.

    Args:
        folder: of the model; it may lack a `config.json`.
        stem: name of the part's file.
        configs: key of `config.json` -> config; "mappers.mask" is the key "mask" of what "mappers" holds.
    """
    path = Path(folder) / "config.json"
    if not path.exists() or not (Path(folder) / f"{stem}.safetensors").exists():
        return False
    content = read_json(path)
    return all(is_config(_entry(content, key), config) for key, config in configs.items())


def _entry(content: Mapping[str, Any], key: str) -> Any:
    """Give what a dotted key names; `None` where that is not there."""
    *groups, last = key.split(".")
    for group in groups:
        content = content.get(group) or {}
    return content.get(last)


def is_config(data: Any, config: Any) -> bool:
    """Tell whether what `json` gave means this config; keys that are younger than the data take their defaults."""
    try:
        return isinstance(data, dict) and from_dict(type(config), data) == config
    except CheckpointError:
        return False


def generator_sha256(model: str | Path) -> str | None:
    """Give the checksum of a model's generator as its `config.json` names it; `None` where it names none."""
    path = find_model(str(model)).path / "config.json"
    files = read_json(path).get("files", {}) if path.exists() else {}
    return str(files["generator.safetensors"]) if "generator.safetensors" in files else None


def training_notes(folder: str | Path, part: str, notes: Mapping[str, Any], *, model: str | Path | None = None) -> dict[str, Any]:
    """Give the `training` entry of a folder's `config.json` with the notes of one part replaced.

    Args:
        folder: whose `config.json`; it may lack one.
        part: key of the notes.
        notes: recipe and scores.
        model: model whose generator the part was trained on; its checksum is noted as `fitted_to`. `None` notes nothing.
    """
    path = Path(folder) / "config.json"
    old = read_json(path).get("training", {}) if path.exists() else {}
    sha256 = None if model is None else generator_sha256(model)
    return {**old, part: {**notes, "fitted_to": sha256} if sha256 else dict(notes)}


def drop_drawing_mappers(model: Path, num_clusters: int) -> list[str]:
    """Forget a model's drawing mappers of another number of clusters, which no command could read or train again, and name their kinds.

    A mapper that completes drawings to classes knows nothing of clusters: it stays.
    """
    content = read_json(model / "config.json")
    mappers = content.pop("drawing_mappers", {})
    gone = [kind for kind, sizes in mappers.items() if sizes["num_clusters"] != num_clusters and not sizes.get("completes", False)]
    kept = {kind: {**sizes, "num_clusters": num_clusters} for kind, sizes in mappers.items() if kind not in gone}
    if kept == mappers:
        return []
    stems = [f"mapper_{kind}" for kind in gone]
    training = {part: notes for part, notes in content.get("training", {}).items() if part not in stems}
    content |= {"drawing_mappers": kept} if kept else {}
    remove_parts(model, stems, {**content, "training": training})
    return gone


def generator_config(model: str | Path) -> StyleGAN2Config:
    """Read the sizes of a model's generator."""
    path = find_model(str(model)).path / "config.json"
    return _sizes(read_json(path), path)


def load_generator(model: str | Path) -> StyleGAN2:
    """Load the generator of a model, ready for use: no gradients, evaluation mode."""
    folder = find_model(str(model)).path
    content = read_json(folder / "config.json")
    config = _sizes(content, folder / "config.json")
    sha256 = content.get("files", {}).get("generator.safetensors")
    generator = load_module(folder / "generator.safetensors", lambda: StyleGAN2(config), sha256=sha256)
    return generator.requires_grad_(False)


def _sizes(content: Mapping[str, Any], path: Path) -> StyleGAN2Config:
    return from_dict(StyleGAN2Config, content.get("generator", {}), where=f"{path}, generator")


def load_gan(model: str | Path, *, generator: StyleGAN2, average: StyleGAN2, discriminator: Discriminator) -> int:
    """Load all three networks of a GAN from a model folder, so that training goes on from it.

    Returns:
        Pictures that its generator had seen.
    """
    folder = find_model(str(model)).path
    load_raw(folder, generator)
    load_part(folder, "generator", average)
    load_part(folder, "discriminator", discriminator)
    return int(read_json(folder / "config.json").get("images_seen", 0))


def load_raw(folder: Path, generator: StyleGAN2) -> None:
    """Load the weights that training goes on from: the raw ones, else the averaged ones, which is all that small releases carry."""
    load_part(folder, "generator_raw" if has_part(folder, "generator_raw", {}) else "generator", generator)


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
