"""The tiny model with an encoder of random weights, and a photograph."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sisgen.generators.latents import latents
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.inversion.inversion import Inversion
from sisgen.io.configs import to_dict
from sisgen.io.images import to_uint8
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator


@pytest.fixture(scope="session")
def photo_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model folder with an encoder; copy it before you change it."""
    folder = tmp_path_factory.mktemp("photos") / "tiny"
    shutil.copytree(tiny_model, folder)
    generator = load_generator(folder)
    torch.manual_seed(5)
    encoder = Encoder(encoder_config(generator.config))
    encoder.measure_spread(generator, latents(range(256), 8))
    torch.nn.init.normal_(encoder.change.weight, std=0.2)
    export_parts(folder, {"encoder": encoder}, {"encoder": to_dict(encoder.config)})
    return folder


@pytest.fixture(scope="session")
def photo_pipeline(photo_model: Path) -> Pipeline:
    """That model, loaded."""
    return Pipeline.from_pretrained(photo_model, device="cpu")


@pytest.fixture(scope="session")
def photo(photo_pipeline: Pipeline) -> NDArray[np.uint8]:
    """A wide picture [40, 48, 3]: a sample between two grey bands."""
    sample = to_uint8(photo_pipeline(seeds=[11]).images)[0].repeat(2, axis=0).repeat(2, axis=1)[12:52, 12:52]
    return np.pad(sample, ((0, 0), (4, 4), (0, 0)), constant_values=128)


@pytest.fixture(scope="session")
def inversion(photo_pipeline: Pipeline, photo: NDArray[np.uint8]) -> Inversion:
    """The photograph, inverted without refinement."""
    return photo_pipeline.invert(photo)
