"""Where evaluation takes pictures and masks from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.data.cache import write_cache, write_picture_cache
from sisgen.errors import InputError
from sisgen.io.images import save_png
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.sources import CachePictures


def test_renders_are_driven_by_their_own_labels(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    cache = write_cache(tmp_path, range(4), 32)
    pictures = CachePictures(cache, tiny_pipeline, first=40, least=4)
    assert torch.equal(pictures.images(1, 2), cache.images([1, 2])) and torch.equal(pictures.masks(1, 2), cache.labels([1, 2]))


def test_photographs_are_driven_by_the_models_own_samples(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    for i in range(3):
        save_png(tmp_path / f"{i}.png", np.full((32, 32, 3), 40 * i, np.uint8))
    cache = write_picture_cache(tmp_path / "cache", tmp_path, 32)
    pictures = CachePictures(cache, tiny_pipeline, first=40, least=3)
    assert torch.equal(pictures.images(1, 2), cache.images([1, 2]))
    assert torch.equal(pictures.masks(1, 2), tiny_pipeline.sample_labels([41, 42]))
    with pytest.raises(InputError, match="must hold at least 4 pictures, but it holds 3; lower --fd"):
        CachePictures(cache, tiny_pipeline, first=40, least=4)
