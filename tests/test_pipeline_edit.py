"""Editing through the pipeline: rows of any origin as a style, directions from a model's folder, shapes that stay on the drawing."""

import shutil

import numpy as np
import pytest
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.editing.directions import Direction, find_direction, save_directions
from sisgen.editing.styles import StyleRows
from sisgen.errors import InputError
from sisgen.io.configs import read_json, write_json
from sisgen.pipeline import Pipeline


def test_rows_of_a_seed_give_the_seeds_own_picture(tiny_pipeline):
    labels = np.zeros((32, 32), dtype=np.int64)
    labels[8:24, 8:24] = 1
    mask = mask_condition(labels, tiny_pipeline.labels, 32)
    rows = StyleRows(ws=tiny_pipeline.style_rows([5], 0.8))
    for condition in (None, mask):
        wanted = tiny_pipeline(condition, seeds=[5], truncation=0.8).images
        result = tiny_pipeline(condition, style=rows)
        assert torch.allclose(result.images, wanted, atol=1e-5)
        assert result.settings["style"] == "rows"


def test_an_edit_moves_the_style_and_zero_does_not(tiny_pipeline):
    direction = tiny_pipeline.directions()[0]
    plain = tiny_pipeline(seeds=[5]).images
    assert torch.allclose(tiny_pipeline(style=tiny_pipeline.edit(5, direction, 0.0)).images, plain, atol=1e-5)
    there = tiny_pipeline.edit(5, direction, 3.0)
    assert float((tiny_pipeline(style=there).images - plain).abs().max()) > 1e-3
    back = tiny_pipeline.edit(there, direction, -3.0)
    assert torch.allclose(tiny_pipeline(style=back).images, plain, atol=1e-4)


def test_learned_directions_travel_in_the_models_folder(tiny_model, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_model, folder)
    vector = torch.arange(8.0)
    content = read_json(folder / "config.json")
    content["files"]["directions.safetensors"] = save_directions(
        folder / "directions.safetensors", [Direction(name="light", vector=vector)]
    )
    write_json(folder / "config.json", content)
    directions = Pipeline.from_pretrained(folder, device="cpu").directions()
    assert [one.name for one in directions[:2]] == ["light", "sefa-1"]
    assert torch.equal(find_direction("light", directions).vector, vector)
    write_json(folder / "config.json", {**content, "training": {"directions": {"fitted_to": "another generator's"}}})
    assert Pipeline.from_pretrained(folder, device="cpu").directions()[0].name == "sefa-1"


def test_rows_of_another_model_are_refused(tiny_pipeline):
    with pytest.raises(InputError, match=r"style\.ws must have the shape"):
        tiny_pipeline(style=StyleRows(ws=torch.zeros(1, 3, 8)))
    with pytest.raises(InputError, match="must have the shape"):
        tiny_pipeline.edit(5, Direction(name="light", vector=torch.zeros(9)), 1.0)
