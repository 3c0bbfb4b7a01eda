"""A generator without labels opens on the page: samples to paint, nothing else to follow."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sisgen.app import label_actions
from sisgen.app.description import describe_model
from sisgen.app.launch import build_context
from sisgen.app.painting import Drawing, PaintBatch
from sisgen.app.settings import Settings
from sisgen.errors import InputError, SisgenError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import to_dict
from sisgen.io.images import to_uint8
from sisgen.io.models import export_parts
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import load_generator

GOLDEN = Path(__file__).parents[1] / "golden" / "stylegan2_rosinality_32.safetensors"


def export(folder: Path, **sizes: int) -> StyleGAN2:
    torch.manual_seed(0)
    config = StyleGAN2Config(resolution=32, z_dim=8, w_dim=8, channels={"4": 8, "8": 8, "16": 6, "32": 4}, **sizes)
    generator = StyleGAN2(config).eval()
    export_parts(folder, {"generator": generator}, {"generator": to_dict(config), "license": "MIT"}, half=False)
    return generator


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_its_samples_are_shown_whatever_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))
    name = str(tmp_path / "mine")
    if kind == "folder":
        export(tmp_path / "mine")
    else:
        state = {key.removeprefix("params."): tensor for key, tensor in load_file(str(GOLDEN)).items() if key.startswith("params.")}
        torch.save({"g_ema": state}, name := str(tmp_path / "mine.pt"))
    context = build_context(Settings(model=name, device="cpu"))
    told = describe_model(context, None)
    assert told["untaught"] and "has not learned labels yet" in told["about"] and told["resolution"] == 32

    cells = np.zeros((256, 256), dtype=np.int64)
    batch = PaintBatch(registry=context.registry, model=name, truncation=0.7, strength=1.0, read_back=False, kind="mask")
    (painted,) = batch([Drawing(cells=cells, seed=3)])
    with context.registry.lease(name) as pipe:
        assert np.array_equal(painted.image, to_uint8(pipe(None, seeds=[3], truncation=0.7).images)[0])
        assert pipe.folder is not None
        generator = load_generator(pipe.folder)
        plain = generator(generator.map(pipe.latents([3]), psi=0.7))
        assert float((pipe(None, seeds=[3], truncation=0.7).images - plain).abs().max()) < 1e-5
        assert label_actions.describe_training(context, None)["refusal"] is None
    context.lane.close()


def test_one_of_several_classes_has_to_be_chosen(tmp_path: Path) -> None:
    export(tmp_path / "many", c_dim=3)
    context = build_context(Settings(model=str(tmp_path / "many"), device="cpu"))
    with pytest.raises(InputError, match=r"draws one of 3 classes.*--class N.*N in 0\.\.2"), context.registry.lease():
        pass
    context.lane.close()


def test_visitors_open_no_bare_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.chdir(tmp_path)
    export(tmp_path / "mine")
    context = build_context(Settings(model=str(tiny_model), allow_any_model=True, device="cpu"))
    with pytest.raises(SisgenError), context.registry.lease("mine"):
        pass
    with context.registry.lease() as pipe:
        assert isinstance(pipe, Pipeline) and not describe_model(context, None)["untaught"]
    context.lane.close()
