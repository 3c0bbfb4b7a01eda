"""Model folders as trainers write them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sisgen.errors import CheckpointError, ModelNotFoundError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.files import sha256_of
from sisgen.proxy.clusters import ProxyConfig
from sisgen.proxy.drawing_mapper import DrawingMapperConfig
from sisgen.train.checkpoints import export_parts, has_part, is_config, load_discriminator, load_generator, load_part


def test_parts_are_added_one_by_one_with_their_checksums(tmp_path: Path) -> None:
    folder, first, second = tmp_path / "new" / "model", nn.Linear(2, 3), nn.Linear(3, 2)
    export_parts(folder, {"first": first}, {"note": 1})
    export_parts(folder, {"second": second}, {"other": 2})
    content = read_json(folder / "config.json")
    assert (content["format"], content["name"], content["note"], content["other"]) == (1, "model", 1, 2)
    assert list(content["files"]) == ["first.safetensors", "second.safetensors"]
    assert {name: sha256_of(folder / name) for name in content["files"]} == content["files"]

    export_parts(folder, {"first": nn.Linear(2, 3)}, {})
    assert read_json(folder / "config.json")["files"]["second.safetensors"] == content["files"]["second.safetensors"]
    assert read_json(folder / "config.json")["files"]["first.safetensors"] != content["files"]["first.safetensors"]


def test_a_part_comes_back_in_half_precision(tmp_path: Path) -> None:
    written, read = nn.Linear(4, 4), nn.Linear(4, 4)
    export_parts(tmp_path, {"part": written}, {})
    load_part(tmp_path, "part", read)
    assert torch.equal(read.weight, written.weight.half().float()) and read.weight.dtype == torch.float32


def test_an_altered_part_is_refused(tmp_path: Path) -> None:
    export_parts(tmp_path, {"part": nn.Linear(4, 4)}, {})
    data = bytearray((tmp_path / "part.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "part.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_part(tmp_path, "part", nn.Linear(4, 4))


def test_a_config_that_is_older_than_a_key_means_its_default() -> None:
    config = DrawingMapperConfig(channels=1, num_clusters=5, resolution=32, proxy_resolution=16)
    older = {key: value for key, value in to_dict(config).items() if key != "completes"}
    assert len(older) < len(to_dict(config)) and is_config(older, config)
    assert not is_config(older, replace(config, completes=True)) and not is_config({**older, "width": 7}, config)
    assert not any(is_config(data, config) for data in (None, [], {}, {**older, "unknown": 1}))


def test_a_part_counts_only_with_the_same_configs(tiny_model: Path, tmp_path: Path) -> None:
    content = read_json(tiny_model / "config.json")
    proxy = from_dict(ProxyConfig, content["proxy"])
    assert has_part(tiny_model, "proxy", {"proxy": proxy})
    assert not has_part(tiny_model, "proxy", {"proxy": replace(proxy, num_clusters=6)})
    assert not has_part(tiny_model, "discriminator", {})
    assert not has_part(tmp_path, "proxy", {})


def test_a_generator_is_loaded_ready_for_use(tiny_model: Path, tiny_generator: StyleGAN2) -> None:
    generator = load_generator(tiny_model)
    assert not generator.training and not any(p.requires_grad for p in generator.parameters())
    assert torch.equal(generator.synthesis.b8.conv1.weight, tiny_generator.synthesis.b8.conv1.weight.half().float())


def test_no_model_or_no_generator_is_one_sentence(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load_generator(tmp_path / "gone")
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / "generator.safetensors").unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        load_generator(tmp_path / "model")


@pytest.mark.parametrize("unpack", [1, 2])
def test_a_discriminator_is_loaded_whichever_way_it_reads(tmp_path: Path, unpack: int) -> None:
    config = StyleGAN2Config(resolution=16, channels={"4": 4, "8": 4, "16": 4})
    written = Discriminator(16, config.channels, unpack=unpack)
    export_parts(tmp_path, {"discriminator": written}, {"generator": to_dict(config)})
    read, image = load_discriminator(tmp_path, config), torch.randn(2, 3, 16, 16)
    assert torch.allclose(read(image), written(image), atol=1e-2)
