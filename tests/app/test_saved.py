"""Models that visitors save: they open, and read all that the model they were taught on reads."""

import shutil
from pathlib import Path

import pytest
import torch

from sisgen.app.training.saved import save_model
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts


def test_a_saved_model_reads_lines_and_photographs_as_before(
    able_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))
    taught = tmp_path / "taught"
    shutil.copytree(able_pipeline.folder, taught)
    export_parts(taught, {"discriminator": torch.nn.Linear(2, 1)}, {})

    saved = Pipeline.from_pretrained(save_model(taught, "My bars", mine=None, masks=[]), device="cpu")
    assert saved.folder is not None and not (saved.folder / "discriminator.safetensors").exists(), "what only trainings read stays behind"
