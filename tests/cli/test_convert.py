"""`sisgen convert`: what it prints, what it refuses."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sisgen.cli.main import main
from sisgen.train.checkpoints import load_generator

GOLDEN = Path(__file__).parents[1] / "golden" / "stylegan2_rosinality_32.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A rosinality file."""
    state = {name.removeprefix("params."): tensor for name, tensor in load_file(str(GOLDEN)).items() if name.startswith("params.")}
    torch.save({"g_ema": state}, tmp_path / "cats.pt")
    return tmp_path / "cats.pt"


def test_what_was_found_is_printed(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(source), "--out", str(tmp_path / "model"), "--license", "MIT"]) == 0

    shown = capsys.readouterr().out
    assert "Found: rosinality StyleGAN2 file, 32 px, 26,739 parameters." in shown
    assert "z 32, w 32 x 8, 4 mapping layers, no classes" in shown
    assert "4 px: 16, 8 px: 16, 16 px: 16, 32 px: 16" in shown
    assert "holds no discriminator" in shown
    assert f"Written to {tmp_path / 'model'} (fp16, 0.1 MB): config.json, generator.safetensors." in shown
    assert load_generator(tmp_path / "model").config.resolution == 32


def test_another_model_is_not_overwritten_by_chance(
    source: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model")
    assert main(["convert", str(tiny_model), "--out", out]) == 0
    assert main(["convert", str(source), "--out", out]) == 2
    assert capsys.readouterr().err.endswith("add --overwrite to replace all of it.\n")
    assert main(["convert", str(source), "--out", out, "--overwrite"]) == 0
    assert load_generator(out).config.w_dim == 32


class Hostile:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


def test_a_hostile_file_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "hostile.pkl").write_bytes(pickle.dumps({"G_ema": Hostile(f"touch {tmp_path / 'canary'}")}))
    words = [sys.executable, "-m", "sisgen", "convert", str(tmp_path / "hostile.pkl"), "--out", str(tmp_path / "model")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.count("\n") == 1 and "it names 'posix.system'" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pkl"]


@pytest.mark.parametrize("words", [["convert"], ["convert", "a.pkl"], ["convert", "gone.pkl", "--out", "x"]])
def test_wrong_words_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
