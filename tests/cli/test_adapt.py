"""`sisgen adapt`: from a foreign file and painted masks to a model, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sisgen.cli.adapt import name_classes
from sisgen.cli.main import main
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.io.configs import read_json, to_dict
from sisgen.io.models import export_parts
from sisgen.pipeline import Pipeline
from sisgen.train.adapt import bring_in
from sisgen.train.checkpoints import load_generator

GOLDEN = Path(__file__).parents[1] / "golden" / "stylegan2_rosinality_32.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A rosinality file."""
    state = {name.removeprefix("params."): tensor for name, tensor in load_file(str(GOLDEN)).items() if name.startswith("params.")}
    torch.save({"g_ema": state}, tmp_path / "cats.pt")
    return tmp_path / "cats.pt"


def test_a_foreign_generator_and_one_mask_become_a_model(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[20:50, 16:48] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "4.png")
    words = ["adapt", "--generator", str(source), "--masks", str(tmp_path / "masks"), "--classes", "ground", "cat", "--minutes", "0.02"]
    words += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "cats"), "--device", "cpu"]
    assert main(words) == 0

    shown = capsys.readouterr()
    assert f"The new model is in '{tmp_path / 'cats'}'" in shown.out
    assert "rearranger" in shown.err and "min left in all" in shown.err
    pipe = Pipeline.from_pretrained(tmp_path / "cats", device="cpu")
    assert (pipe.name, pipe.labels.names, pipe.resolution) == ("cats", ("ground", "cat"), 32)
    assert read_json(tmp_path / "cats" / "config.json")["training"]["converted"]["from"] == "cats.pt"

    assert main(words) == 0
    assert "finished before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "gone", "--annotator", "a"], "gone"),
        (["--generator", "g.pkl", "--annotator", "a"], "give --out"),
        (["--model", "gone", "--annotator", "a", "--classes", "x"], "give --masks"),
        (["--model", "gone", "--generator", "g.pkl", "--annotator", "a"], "not allowed with"),
        (["--model", "gone", "--annotator", "a", "--class", "1"], "give the model as --generator"),
        (["--model", "gone", "--annotator", "a", "--class", "-1"], "a class is a whole number"),
        (["--model", "gone"], "--masks --annotator is required"),
        (["--model", "gone", "--masks", "m", "--minutes", "nan"], "a number of at least 0"),
    ],
)
def test_wrong_words_end_with_2_and_one_sentence(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", *words, "--work", str(tmp_path / "work")]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown and shown.count("\n") == 1


def test_a_conditional_generator_asks_for_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(resolution=16, z_dim=5, w_dim=6, c_dim=3, channels={"4": 4, "8": 4, "16": 4}))
    export_parts(tmp_path / "all", {"generator": generator}, {"generator": to_dict(generator.config)})
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / "masks" / "0.png")
    words = ["adapt", "--generator", str(tmp_path / "all"), "--masks", str(tmp_path / "masks"), "--classes", "ground", "line"]
    words += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "model"), "--device", "cpu", "--minutes", "0.01"]
    assert main(words) == 2
    assert "one class of a conditional generator" in (shown := capsys.readouterr().err) and "N in 0..2" in shown
    assert main([*words, "--class", "3"]) == 2
    assert "has the classes 0..2" in capsys.readouterr().err
    single = load_generator(bring_in(tmp_path / "all", tmp_path / "work", "lines", class_number=2, license="MIT"))
    assert read_json(tmp_path / "work" / "source" / "config.json")["license"] == "MIT"
    z = torch.randn(1, 5)
    assert torch.allclose(single.map(z), generator.map(z, torch.eye(3)[2:]), atol=1e-2)  # fp16 on disk


def test_colours_of_named_classes_are_well_apart() -> None:
    colors = np.array(name_classes([f"class {i}" for i in range(16)]).colors, dtype=float)
    distance = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 999 * np.eye(16)
    assert distance.min() >= 40
