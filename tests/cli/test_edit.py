"""`sisgen edit`, `directions` and `video` on the tiny model."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from sisgen.cli.main import main
from sisgen.io.configs import read_json
from sisgen.io.labels import write_labels
from sisgen.pipeline import Pipeline


@pytest.fixture
def mask(tmp_path, tiny_pipeline):
    labels = np.zeros((32, 32), dtype=np.int64)
    labels[8:24, 6:26] = 1
    path = tmp_path / "mask.png"
    write_labels(path, labels, tiny_pipeline.labels)
    return path


def test_one_picture_a_seed_and_strength(tiny_model, mask, tmp_path):
    out = tmp_path / "out"
    arguments = ["--model", str(tiny_model), "--mask", str(mask), "--device", "cpu", "--out", str(out)]
    assert main(["edit", *arguments, "--seeds", "1", "2", "--direction", "pca-1", "--strength", "-2", "0", "2"]) == 0
    names = {"seed1_pca-1_-2.png", "seed1_pca-1_+0.png", "seed1_pca-1_+2.png"}
    assert {path.name for path in out.glob("seed1*")} == names
    assert Image.open(out / "grid.png").size == (96, 64)
    plain, moved = (np.asarray(Image.open(out / f"seed1_pca-1_{step}.png"), dtype=int) for step in ("+0", "+2"))
    assert np.abs(plain - moved).max() > 2


def test_mixing_all_rows_gives_the_other_style(tiny_model, tmp_path):
    arguments = ["--model", str(tiny_model), "--device", "cpu", "--out", str(tmp_path)]
    assert main(["edit", *arguments, "--seeds", "4", "--mix", "7"]) == 0
    assert main(["edit", *arguments, "--seeds", "7", "--mix", "4", "--rows", "2", "2"]) == 0  # no row at all
    other = np.asarray(Image.open(tmp_path / "seed4_mix7.png"), dtype=int)
    assert np.abs(other - np.asarray(Image.open(tmp_path / "seed7_mix4.png"), dtype=int)).max() <= 1


def test_directions_are_listed_and_unknown_ones_refused(tiny_model, tmp_path, capsys):
    assert main(["edit", "--model", str(tiny_model), "--device", "cpu", "--list"]) == 0
    assert "sefa-1\n" in capsys.readouterr().out
    assert main(["edit", "--model", str(tiny_model), "--device", "cpu", "--direction", "age", "--out", str(tmp_path)]) == 2
    assert "no direction 'age'" in capsys.readouterr().err
    assert main(["edit", "--model", str(tiny_model)]) == 2
    assert "one of --direction, --text and --mix, but 0 came" in capsys.readouterr().err


def test_learned_directions_serve_edits(tiny_model, tmp_path, capsys):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_model, folder)
    command = ["directions", "--model", str(folder), "--samples", "300", "--accuracy", "0.6", "--export", str(folder), "--device", "cpu"]
    assert main(command) == 0
    assert "light " in capsys.readouterr().out
    notes = read_json(folder / "config.json")["training"]["directions"]
    assert notes["accuracy"]["light"] >= 0.6
    pipe = Pipeline.from_pretrained(folder, device="cpu")
    light = next(one for one in pipe.directions() if one.name == "light")
    dark, bright = (float(pipe(style=pipe.edit(3, light, strength)).images.mean()) for strength in (-3.0, 3.0))
    assert bright > dark


def test_the_direction_of_a_text_is_found_used_and_kept(tiny_model, tiny_clip, mask, tmp_path, capsys):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_model, folder)
    learn = ["directions", "--model", str(folder), "--export", str(folder), "--device", "cpu"]
    text = ["--text", "a face with a hat", "--clip", str(tiny_clip), "--steps", "3"]
    assert main([*learn, *text]) == 0
    assert "'a-face-with-a-hat' was written" in capsys.readouterr().out
    first = Pipeline.from_pretrained(folder, device="cpu").directions()[0]
    assert first.name == "a-face-with-a-hat"

    assert main([*learn, "--samples", "300", "--accuracy", "0.6"]) == 0
    notes = read_json(folder / "config.json")["training"]["directions"]
    assert notes["texts"]["a-face-with-a-hat"]["neutral"] == "a face"
    directions = {one.name: one for one in Pipeline.from_pretrained(folder, device="cpu").directions()}
    assert {"light", "a-face-with-a-hat"} <= directions.keys(), "neither puts the other out"
    assert np.array_equal(directions["a-face-with-a-hat"].vector, first.vector)

    arguments = ["--model", str(folder), "--device", "cpu", "--mask", str(mask), "--strength", "0", "3", "--out", str(tmp_path)]
    assert main(["edit", *arguments, *text]) == 0
    assert main(["edit", *arguments, "--direction", "a-face-with-a-hat", "--out", str(tmp_path / "named")]) == 0
    name = "seed0_a-face-with-a-hat_+3.png"
    found, named = (Image.open(path / name) for path in (tmp_path, tmp_path / "named"))
    assert np.array_equal(np.asarray(found), np.asarray(named))
    assert json.loads(found.text["sisgen"])["text"] == "a face with a hat"


def test_a_text_beside_a_direction_or_without_transformers_is_refused(tiny_model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "transformers", None)
    command = ["edit", "--model", str(tiny_model), "--device", "cpu", "--text", "a smile"]
    assert main([*command, "--direction", "pca-1"]) == 2
    assert "but 2 came" in capsys.readouterr().err
    assert main(command) == 2
    assert "pip install 'sisgen[text]'" in capsys.readouterr().err


def test_a_video_walks_between_seeds(tiny_model, mask, tmp_path, capsys):
    arguments = ["--model", str(tiny_model), "--mask", str(mask), "--device", "cpu", "--size", "64"]
    assert main(["video", *arguments, "--seeds", "1", "2", "--frames", "3", "--out", str(tmp_path / "a.webp")]) == 0
    assert "4 frames written" in capsys.readouterr().out
    with Image.open(tmp_path / "a.webp") as video:
        assert video.n_frames == 4 and video.size == (64, 64)


def test_a_folder_of_drawings_is_a_video(tiny_model, mask, tmp_path, capsys):
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(3):
        shutil.copyfile(mask, folder / f"{index}.png")
    arguments = ["--model", str(tiny_model), "--device", "cpu", "--size", "32"]
    moving = [*arguments, "--mask", str(folder), "--direction", "sefa-1", "--strength", "0", "5"]
    assert main(["video", *moving, "--out", str(tmp_path / "a.gif")]) == 0
    assert "3 frames written" in capsys.readouterr().out
    assert main(["video", *arguments, "--out", str(tmp_path / "b.gif")]) == 2
    assert "something that moves" in capsys.readouterr().err
