"""Drawings of every kind on the command line, alone, together, and in folders that meet by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sisgen.cli.generate import plan_jobs
from sisgen.cli.main import main
from sisgen.io.images import load_image, read_png_text, save_png


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One drawing a kind."""
    page = np.full((64, 64, 3), 255, dtype=np.uint8)
    page[10:54, 20:23] = page[30:32, 8:56] = 40
    scribble = np.full((64, 64, 3), 255, dtype=np.uint8)
    scribble[20:40, 28:34] = (240, 190, 160)
    shade = np.linspace(0, 255, 64).astype(np.uint8)
    pictures = {
        "scribble": scribble,
        "sketch": page,
        "canny": np.where(np.arange(64)[None, :, None] < 30, (240, 200, 60), (30, 60, 120)).astype(np.uint8).repeat(64, axis=0),
        "hed": 255 - page,
        "depth": np.broadcast_to(shade[:, None, None], (64, 64, 3)).copy(),
    }
    for kind, picture in pictures.items():
        save_png(tmp_path / f"{kind}.png", picture)
    return {kind: tmp_path / f"{kind}.png" for kind in pictures}


def generate(model: Path, out: Path, *words: object) -> int:
    return main(["generate", "--model", str(model), "--device", "cpu", "--out", str(out), *map(str, words)])


def test_every_kind_makes_its_own_picture(drawing_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    assert generate(drawing_model, tmp_path / "plain") == 0
    pictures = [load_image(tmp_path / "plain" / "sample_seed0.png")]
    for kind, path in files.items():
        assert generate(drawing_model, tmp_path / "out", f"--{kind}", path) == 0
        pictures.append(load_image(tmp_path / "out" / f"{kind}_seed0.png"))
        settings = json.loads(read_png_text(tmp_path / "out" / f"{kind}_seed0.png")["sisgen"])
        assert (settings["condition"], settings[kind]) == (kind, path.name)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_two_kinds_with_weights(drawing_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    both = ["--scribble", files["scribble"], "--sketch", files["sketch"]]
    made = {}
    for name, words in {"even": [], "first": ["--weights", 1, 0], "more": ["--weights", 3, 1]}.items():
        assert generate(drawing_model, tmp_path / name, *both, *words) == 0
        made[name] = tmp_path / name / "scribble_seed0.png"
    assert json.loads(read_png_text(made["more"])["sisgen"])["weights"] == [0.75, 0.25]
    assert generate(drawing_model, tmp_path / "alone", "--scribble", files["scribble"]) == 0
    alone = load_image(tmp_path / "alone" / "scribble_seed0.png")
    assert np.array_equal(load_image(made["first"]), alone)
    assert len({load_image(path).tobytes() for path in made.values()}) == 3


def test_folders_meet_by_name_and_single_files_go_with_all(tmp_path: Path) -> None:
    for folder, names in {"masks": ("a.png", "b.png"), "lines": ("a.webp", "c.png")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b"x")
    (tmp_path / "one.png").write_bytes(b"x")

    given = {"mask": tmp_path / "masks", "sketch": tmp_path / "lines", "depth": tmp_path / "one.png"}
    jobs = plan_jobs(given, [0], tmp_path / "out", overwrite=False)
    found = [{kind: path and path.name for kind, path in job.drawings.items()} for job in jobs]
    assert found == [
        {"mask": "a.png", "sketch": "a.webp", "depth": "one.png"},
        {"mask": "b.png", "sketch": None, "depth": "one.png"},
        {"mask": None, "sketch": "c.png", "depth": "one.png"},
    ]
    assert [path.name for job in jobs for path in job.outputs.values()] == ["a_seed0.png", "b_seed0.png", "c_seed0.png"]


def test_a_drawing_without_its_partner_is_listed(drawing_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    for folder, kind in (("strokes", "scribble"), ("lines", "sketch")):
        (tmp_path / folder).mkdir()
        shutil.copy(files[kind], tmp_path / folder / "both.png")
    shutil.copy(files["sketch"], tmp_path / "lines" / "alone.png")

    assert generate(drawing_model, tmp_path / "out", "--scribble", tmp_path / "strokes", "--sketch", tmp_path / "lines") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["both_seed0.png", "errors.jsonl"]
    (line,) = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert "must have a partner of the same name in the folder of --scribble" in json.loads(line)["error"]


def write_photo(path: Path) -> None:
    save_png(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))


def write_page(path: Path) -> None:
    save_png(path, np.full((64, 64, 3), 250, dtype=np.uint8))


BAD = {
    "a photograph as a sketch": ("--sketch", write_photo, "pass it to --canny or --hed"),
    "an empty page": ("--sketch", write_page, "must show lines, but there are none"),
    "an even picture": ("--canny", write_page, "must show edges, but there are none"),
    "even depth": ("--depth", write_page, "must show near and far places"),
    "a photograph as strokes": ("--scribble", write_photo, "looks like a photograph"),
    "a blank page of strokes": ("--scribble", write_page, "at least one painted pixel"),
    "a text file": ("--canny", lambda path: path.write_text("lines, please"), "cannot be read as one"),
    "a broken animation": ("--hed", lambda path: path.write_bytes(b"GIF89a\x01\x00"), "cannot be read as one"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_drawing_is_one_sentence(drawing_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    flag, write, message = BAD[case]
    write(tmp_path / "bad.png")
    assert generate(drawing_model, tmp_path / "out", flag, tmp_path / "bad.png") == 2
    complaint = capsys.readouterr().err
    assert message in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sketch", "{sketch}", "--weights", "1", "2"], "one number a drawing, but it holds 2 for 1"),
        (["--canny", "{canny}", "--canny-thresholds", "0.5", "0.2"], "thresholds must be 0 < low <= high"),
        (["--sketch", "gone.png"], "The sketch 'gone.png' does not exist"),
    ],
)
def test_bad_arguments(
    drawing_model: Path, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert generate(drawing_model, tmp_path / "out", *(word.format(**files) for word in words)) == 2
    assert message in capsys.readouterr().err


def test_a_kind_that_the_model_lacks(tiny_model: Path, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tiny_model, tmp_path / "out", "--sketch", files["sketch"]) == 2
    assert "reads mask, exemplar, but --sketch was given" in capsys.readouterr().err


def test_odd_pictures_are_read_all_the_same(drawing_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    """CMYK, 16 bits, transparency and an animated GIF show the same lines."""
    page = Image.open(files["sketch"])
    page.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.fromarray(np.asarray(page.convert("L")).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    ink = Image.new("RGBA", page.size, (40, 40, 40, 255))
    ink.putalpha(Image.fromarray(255 - np.asarray(page.convert("L"))))
    ink.save(tmp_path / "alpha.png")
    page.convert("P").save(tmp_path / "moving.gif", save_all=True, append_images=[page.convert("P").rotate(90)])
    for name in ("cmyk.jpg", "deep.png", "alpha.png", "moving.gif"):
        assert generate(drawing_model, tmp_path / "out", "--sketch", tmp_path / name) == 0
    assert len(list((tmp_path / "out").iterdir())) == 4
