import json

import numpy as np
import pytest

from sisgen.cli import train
from sisgen.cli.main import main


@pytest.fixture
def pictures(tmp_path):
    """A cache of four pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    np.save(folder / "images.npy", np.zeros((4, 16, 16, 3), dtype=np.uint8))
    (folder / "meta.json").write_text(json.dumps({"kind": "images", "num": 4, "size": 16, "format": 1}))
    return folder


def test_a_dry_run_shows_the_settings_and_writes_nothing(pictures, tmp_path, capsys):
    words = ["--images", "400k", "--minutes", "2.5", "--gamma", "1", "--seed", "7", "--device", "cpu", "--dry-run"]

    assert main(["train", "gan", "--data", str(pictures), "--out", str(tmp_path / "run"), *words]) == 0

    settings = json.loads(capsys.readouterr().out)
    assert settings["task"] == "gan"
    assert (settings["loop"]["images"], settings["loop"]["minutes"], settings["loop"]["seed"]) == (400_000, 2.5, 7)
    assert settings["config"]["r1_gamma"] == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["--images", "0"], ["--minutes", "nan"], ["--seed", str(2**70)], ["--batch", "x"], ["--data", "gone"]])
def test_bad_input_exits_with_2_and_writes_nothing(pictures, tmp_path, words, capsys):
    assert main(["train", "gan", "--data", str(pictures), "--out", str(tmp_path / "run"), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_out_is_needed(pictures, capsys):
    assert main(["train", "gan", "--data", str(pictures)]) == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize("name", train.TRAINERS)
def test_every_trainer_explains_itself(name, capsys):
    assert main(["train", name, "--help"]) == 0
    assert "--minutes" in capsys.readouterr().out
