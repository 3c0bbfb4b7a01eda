"""Turns files of other projects' StyleGAN2 networks into model folders of this one, without running anything in them.

Understood are official PyTorch pickles, rosinality's `.pt`, TensorFlow pickles, safetensors with official names, and own folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from sisgen.errors import InputError
from sisgen.generators.classes import check_class, keep_class, keep_class_of_discriminator
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.layouts import read_networks
from sisgen.generators.official import build_discriminator, build_generator
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.files import sha256_of
from sisgen.io.models import CONFIG, copy_parts, export_parts, replace_folder
from sisgen.io.weights import HALF_MAX, check_shapes, load_module, read_shapes

UNKNOWN_LICENSE = "unknown, see the source"
PARTS = ("generator.safetensors", "discriminator.safetensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertConfig:
    """What to convert, and into what."""

    source: Path  # a file, or a model folder of this project
    out: Path
    name: str | None = None  # of the model; None takes the folder's
    license: str | None = None  # of the weights; None keeps what is known
    precision: Literal["fp16", "fp32"] = "fp16"  # on disk; values that fp16 cannot hold are kept in fp32 anyway
    overwrite: bool = False  # replace a folder that holds another model
    class_number: int | None = None  # class of a conditional generator to keep, which makes it unconditional; None keeps all


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """What was found and written.

    Attributes:
        kind: what the file is, in words.
        generator: sizes of the generator.
        parameters: how many numbers the generator learned.
        precision: "fp16" or "fp32", as the files have it.
        files: names of the files that were written.
        notes: sentences on what was added, changed or left out.
    """

    kind: str
    generator: StyleGAN2Config
    parameters: int
    precision: str
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def convert(config: ConvertConfig) -> Converted:
    """Write a model folder.

    Raises:
        InputError: there is no such file, the folder holds something else, or the generator has no such class.
        CheckpointError: the file is refused, damaged, or holds no StyleGAN2 that can run here.
    """
    if not config.source.exists():
        raise InputError(f"There is no file or folder '{config.source}' to convert; check the path.")
    folder = config.source.is_dir()
    if folder and not (config.source / CONFIG).is_file():
        raise InputError(f"A file or a model folder was expected, but the folder '{config.source}' has no {CONFIG}; name the file in it.")
    if not folder:
        return _convert_file(config)
    return _copy(config) if config.class_number is None else _convert_folder(config)


def _convert_file(config: ConvertConfig) -> Converted:
    foreign = read_networks(config.source)
    again = _check_out(config, sha256_of(config.source))
    generator, notes = build_generator(foreign)
    discriminator, sentence = build_discriminator(foreign, generator.config)
    notes.append(sentence)
    return _write(config, generator, discriminator, foreign.kind, notes, again=again)


def _convert_folder(config: ConvertConfig) -> Converted:
    """Take generator and discriminator of an own folder, whose other parts fit no single class."""
    again = _check_out(config, sha256_of(config.source / CONFIG))
    content = read_json(config.source / CONFIG)
    sizes = from_dict(StyleGAN2Config, content.get("generator", {}), where=f"{config.source / CONFIG}, generator")
    assert config.class_number is not None
    check_class(sizes.c_dim, config.class_number)
    if config.out.resolve() == config.source.resolve():
        raise InputError(f"The model '{config.source}' keeps its classes and cannot be replaced by one of them; give another --out.")
    files = content.get("files", {})
    first, second = (config.source / name for name in PARTS)
    generator = load_module(first, lambda: StyleGAN2(sizes), sha256=files.get(first.name))
    discriminator, notes = None, []
    if second.name in files:
        discriminator = load_module(second, lambda: _discriminator(second, sizes), sha256=files[second.name])
        notes.append("The discriminator was converted.")
    licence = config.license or content.get("license")
    return _write(replace(config, license=licence), generator, discriminator, "sisgen model folder", notes, again=again)


def _write(
    config: ConvertConfig, generator: StyleGAN2, discriminator: Discriminator | None, kind: str, notes: list[str], *, again: bool
) -> Converted:
    """Write the networks as a model folder; `again` keeps the other parts of the one that is there."""
    if config.class_number is not None:
        generator = keep_class(generator, config.class_number)
        discriminator = None if discriminator is None else keep_class_of_discriminator(discriminator, config.class_number)
        notes.append(f"Class {config.class_number} was made the only one; truncation pulls towards its own mean style.")
    parts: dict[str, nn.Module] = {"generator": generator}
    if discriminator is not None:
        parts["discriminator"] = discriminator
    half = config.precision == "fp16"
    if half and not all(_fits_half(part) for part in parts.values()):
        half = False
        notes.append("The weights were kept in fp32, since fp16 cannot hold values as large as theirs.")
    source = config.source / CONFIG if config.source.is_dir() else config.source
    origin = {"from": config.source.name, "sha256": sha256_of(source), "kind": kind, "notes": notes, "class": config.class_number}
    content = _content(config, generator, origin)
    if again:
        export_parts(config.out, parts, content, half=half)
    else:
        with replace_folder(config.out) as staged:
            export_parts(staged, parts, content, half=half)
    return Converted(
        kind=kind,
        generator=generator.config,
        parameters=sum(parameter.numel() for parameter in generator.parameters()),
        precision="fp16" if half else "fp32",
        files=(CONFIG, *(f"{stem}.safetensors" for stem in parts)),
        notes=tuple(notes),
    )


def _content(config: ConvertConfig, generator: StyleGAN2, origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        "name": config.name or config.out.resolve().name,
        "description": f"Converted from {config.source.name}, a {origin['kind'].removeprefix('official ')}",
        "license": config.license or UNKNOWN_LICENSE,
        "generator": to_dict(generator.config),
        "defaults": {"truncation": 0.7, "seed": 0},
        "training": {"converted": {**origin, "num_ws": generator.config.num_ws}},
    }


def _copy(config: ConvertConfig) -> Converted:
    """Copy an own folder, after its generator was compared with its config."""
    sha256 = sha256_of(config.source / CONFIG)
    _check_out(config, sha256)
    content = read_json(config.source / CONFIG)
    where = f"{config.source / CONFIG}, generator"
    sizes = from_dict(StyleGAN2Config, content.get("generator", {}), where=where)
    generator = _on_meta(sizes)
    check_shapes(config.source / "generator.safetensors", generator)
    if config.out.resolve() == config.source.resolve():
        raise InputError(f"The model '{config.source}' cannot be copied onto itself; give another --out.")
    training = content.get("training")
    training = training if isinstance(training, dict) else {}
    changes: dict[str, Any] = {
        "training": {**training, "converted": {"from": config.source.name, "sha256": sha256, "kind": "model folder"}}
    }
    changes |= {key: value for key, value in (("name", config.name), ("license", config.license)) if value is not None}
    with replace_folder(config.out) as staged:
        copy_parts(config.source, staged, changes)
    return Converted(
        kind="sisgen model folder",
        generator=sizes,
        parameters=sum(parameter.numel() for parameter in generator.parameters()),
        precision="as it was",
        files=(CONFIG, *content.get("files", {})),
    )


def _check_out(config: ConvertConfig, sha256: str) -> bool:
    """Look at what lies in the folder to write: True when it is the same model, so that its other parts can stay."""
    out = config.out
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but '{out}' is a file; choose another name.")
    if not out.exists() or not any(out.iterdir()):
        return False
    if not (out / CONFIG).is_file():
        raise InputError(f"--out must be a new folder or a model, but '{out}' holds other things; choose another name.")
    training = read_json(out / CONFIG).get("training")
    origin = training.get("converted") if isinstance(training, dict) else None
    if isinstance(origin, dict) and (origin.get("sha256"), origin.get("class")) == (sha256, config.class_number):
        return True
    if not config.overwrite:
        raise InputError(f"'{out}' holds another model; choose another folder, or add --overwrite to replace all of it.")
    return False


def _on_meta(sizes: StyleGAN2Config) -> StyleGAN2:
    with torch.device("meta"):
        return StyleGAN2(sizes)


def _discriminator(path: Path, sizes: StyleGAN2Config) -> Discriminator:
    unpack = 1 if f"b{sizes.resolution}.fromrgb.weight" in read_shapes(path) else 2
    return Discriminator(sizes.resolution, sizes.channels, c_dim=sizes.c_dim, unpack=unpack)


def _fits_half(module: nn.Module) -> bool:
    return all(float(tensor.abs().max()) <= HALF_MAX for tensor in module.state_dict().values() if tensor.numel())
