"""Generators of 512 and 1024 px: drawings, labels and memory stay those of 256 px, and the model works at the one door."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.errors import CheckpointError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.io.configs import read_json, to_dict, write_json
from sisgen.io.labels import write_labels
from sisgen.pipeline import Pipeline
from sisgen.train.adapt import AdaptConfig, AdaptSizes, StageSizes, adapt, sizes_for
from sisgen.train.checkpoints import export_parts
from sisgen.types import LabelSet

PETS = LabelSet(names=("ground", "head", "ear"), colors=((20, 20, 20), (220, 180, 140), (120, 60, 200)))


def tiny_sizes(config: StyleGAN2Config) -> AdaptSizes:
    """The real layout of this resolution, with next to no work."""
    real, stage = sizes_for(config), StageSizes(share=0.2, images=2, most=100, batch=1)
    few = {
        "cluster_samples": 4,
        "validation": 2,
        "validation_batch": 2,
        "class_samples": 2,
        "mapper_width": 8,
        "held_out": 2,
        "num_clusters": 8,
    }
    return replace(real, rearranger=stage, segmenter=stage, reader=replace(stage, batch=2), mapper=stage, **few)


def adapted(root: Path, resolution: int) -> Pipeline:
    """Adapt a random generator of tiny width, from one mask of its own size."""
    torch.manual_seed(0)
    widths = channels_by_rule(resolution, 16 * resolution, 8)
    config = StyleGAN2Config(resolution=resolution, z_dim=8, w_dim=8, num_mapping_layers=2, channels={**widths, str(resolution): 2})
    export_parts(root / "bare", {"generator": StyleGAN2(config)}, {"generator": to_dict(config)})
    mask = np.zeros((resolution, resolution), dtype=np.int64)
    mask[resolution // 4 :], mask[: resolution // 8, ::2] = 1, 2
    (root / "masks").mkdir()
    write_labels(root / "masks" / "3.png", mask, PETS)
    wanted = AdaptConfig(
        model=root / "bare",
        out=root / "model",
        work=root / "work",
        masks=root / "masks",
        label_set=PETS,
        device="cpu",
        sizes=tiny_sizes(config),
    )
    assert adapt(wanted).replaced
    return Pipeline.from_pretrained(root / "model", device="cpu")


@pytest.mark.parametrize(
    ("resolution", "size", "sources"),
    [
        (64, 32, (16, 32)),  # the same rules with a lower bound: what pictures of 256 px and more do, in no time
        pytest.param(512, 256, (32, 128), marks=pytest.mark.slow),
        pytest.param(1024, 256, (32, 128), marks=pytest.mark.slow),
    ],
)
def test_a_generator_beyond_the_largest_drawing_is_adapted_and_steered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: int, size: int, sources: tuple[int, int]
) -> None:
    monkeypatch.setattr("sisgen.shapes.MOST_DRAWN", size)
    pipe = adapted(tmp_path, resolution)
    assert (pipe.resolution, pipe.drawing_size, pipe.config.proxy.sources) == (resolution, size, sources)
    mask = np.random.default_rng(0).integers(0, 3, (32, 32))
    result = pipe(mask_condition(mask, pipe.labels, pipe.drawing_size), seeds=[0, 1], read_back=True)
    assert result.images.shape == (2, 3, resolution, resolution)
    assert result.labels is not None and result.labels.shape == (2, size, size) and len(result.agreement) == 2
    assert pipe.sample_labels([5]).shape == (1, size, size)

    # A drawing of the picture's own size is taken, too, and is the same drawing.
    again = pipe(mask_condition(mask, pipe.labels, resolution), seeds=[0, 1])
    assert float((again.images - result.images).abs().max()) < 1e-3

    # Parts of different sizes are told apart before anything runs.
    path = tmp_path / "model" / "config.json"
    content = read_json(path)
    write_json(path, {**content, "reader": {**content["reader"], "most": None}})
    with pytest.raises(CheckpointError, match="must give mapper and reader one size"):
        Pipeline.from_pretrained(tmp_path / "model", device="cpu")


def test_samples_together_stay_bounded() -> None:
    counts = [StyleGAN2Config(resolution=size, channels=channels_by_rule(size, 32768, 512)).at_once for size in (64, 256, 512, 1024, 2048)]
    assert counts == [16, 16, 4, 1, 1]
