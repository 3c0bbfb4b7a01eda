"""Real parts at tiny size: 32 px pictures, 8 channels, 4 classes, random weights from fixed seeds."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sisgen.generators.latents import latents
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import to_dict
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.pipeline import Pipeline
from sisgen.proxy.clusters import ProxyConfig, fit_clusters
from sisgen.proxy.drawing_mapper import DRAWING_KINDS, DrawingMapper, DrawingMapperConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
from sisgen.train.checkpoints import export_parts
from sisgen.train.proxies import collect_features
from sisgen.types import LabelSet

TINY_LABELS = LabelSet(names=("background", "skin", "hair", "hat"), colors=((40, 40, 60), (240, 190, 160), (150, 90, 40), (170, 60, 190)))
TINY_GENERATOR = StyleGAN2Config(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8, "32": 8})
TINY_PROXY = ProxyConfig(resolution=16, sources=(8, 16), channels=16, dims=6, num_clusters=5)
TINY_REARRANGER = RearrangerConfig(
    resolution=8, channels=8, fine_resolution=16, fine_channels=8, num_clusters=5, proxy_resolution=16, w_dim=8, width=8, dim=8
)
TINY_MAPPER = MaskMapperConfig(num_labels=4, num_clusters=5, resolution=32, proxy_resolution=16, width=8)
TINY_READER = ReaderConfig(num_labels=4, width=4)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep torch to one thread: tiny work, equal numbers."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_generator() -> StyleGAN2:
    """A random generator of 32 px."""
    torch.manual_seed(0)
    return StyleGAN2(TINY_GENERATOR).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_generator: StyleGAN2) -> Path:
    """A complete model folder with random weights; copy it before you change it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(1)
    rows = collect_features(tiny_generator, TINY_PROXY, latents(range(16), 8), cells=64)
    parts = {
        "generator": tiny_generator,
        "proxy": fit_clusters(TINY_PROXY, rows),
        "rearranger": Rearranger(TINY_REARRANGER),
        "mapper_mask": MaskMapper(TINY_MAPPER),
        "reader": Reader(TINY_READER).eval(),
    }
    config = {
        "name": "tiny",
        "description": "Random weights for tests",
        "license": "apache-2.0",
        "labels": to_dict(TINY_LABELS),
        "generator": to_dict(TINY_GENERATOR),
        "proxy": to_dict(TINY_PROXY),
        "rearranger": to_dict(TINY_REARRANGER),
        "mappers": {"mask": to_dict(TINY_MAPPER)},
        "reader": to_dict(TINY_READER),
        "defaults": {"truncation": 0.7, "seed": 3},
        "class_seeds": {"hat": [5, 8]},
    }
    export_parts(folder, parts, config)
    return folder


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_model: Path) -> Pipeline:
    """The tiny model, loaded."""
    return Pipeline.from_pretrained(tiny_model, device="cpu")


@pytest.fixture(scope="session")
def tiny_bsds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive like BSDS500's: 48 x 64 px, a bright disc whose rim three annotators drew, one of them a pixel off."""
    path = tmp_path_factory.mktemp("bsds") / "bsds.zip"
    y, x = np.mgrid[:48, :64]
    with zipfile.ZipFile(path, "w") as archive:
        for split, num in (("train", 3), ("val", 2), ("test", 2)):
            for index in range(num):
                radius, left = 12 + index, 26 + 4 * index
                distance = np.hypot(y - 24, x - left)
                picture = np.where(distance[..., None] < radius, (220, 180, 90), (30, 60, 40)).astype(np.uint8)
                rims = [np.abs(distance - radius - shift) < 0.6 for shift in (0, 0, 1)]
                bits = sum(rim.astype(np.uint16) << k for k, rim in enumerate(rims))
                for suffix, pixels in (("jpg", picture), ("png", bits.astype(np.uint16))):
                    file = io.BytesIO()
                    Image.fromarray(pixels).save(file, format={"jpg": "JPEG", "png": "PNG"}[suffix])
                    archive.writestr(f"{split}/{index}.{suffix}", file.getvalue())
    return path


@pytest.fixture(scope="session")
def drawing_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a mapper of every kind of drawing; copy it before you change it."""
    folder = tmp_path_factory.mktemp("drawings") / "model"
    shutil.copytree(tiny_model, folder)
    torch.manual_seed(5)
    fixed = {"num_clusters": TINY_PROXY.num_clusters, "resolution": 32, "proxy_resolution": 16, "width": 6}
    sizes = {kind: DrawingMapperConfig(channels=1, **fixed) for kind in DRAWING_KINDS}
    sizes["scribble"] = DrawingMapperConfig(channels=4, completes=True, **fixed)
    sizes["depth"] = DrawingMapperConfig(channels=1, completes=True, num_labels=4, **fixed)
    parts = {f"mapper_{kind}": DrawingMapper(config) for kind, config in sizes.items()}
    export_parts(folder, parts, {"drawing_mappers": {kind: to_dict(config) for kind, config in sizes.items()}})
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CLIP of 2 layers, 32 px and letters for tokens; skips where `transformers`, which is optional, is not installed."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    transformers.CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": len(words), "max_position_embeddings": 77},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=weight[0].numel() ** -0.5)  # fresh ones hardly look at their picture
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").unlink()  # the Hub is not asked for it
    return folder
