"""`sisgen ablate proxy` on the tiny model with a tiny reader."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sisgen.cli.main import main
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.train.judges import export_reader
from sisgen.types import LabelSet


@pytest.fixture(scope="module")
def workplace(tiny_model: Path, tiny_generator: StyleGAN2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `model` (a generator alone) and the reader `reader`."""
    root = tmp_path_factory.mktemp("ablate")
    (root / "model").mkdir()
    for name in ("config.json", "generator.safetensors"):
        shutil.copy(tiny_model / name, root / "model")
    labels = from_dict(LabelSet, read_json(tiny_model / "config.json")["labels"])
    torch.manual_seed(2)
    reader = Reader(ReaderConfig(num_labels=len(labels), width=4)).eval().requires_grad_(False)
    images = tiny_generator(tiny_generator.map(torch.randn(8, 8), psi=0.8)).clamp(-1, 1)
    reader.head.shared.bias -= reader(images).mean(dim=(0, 2, 3))  # so that no class is everywhere
    export_reader(root / "reader", reader, labels, {})
    return root


def ablate(workplace: Path, *words: str) -> int:
    places = ["--model", str(workplace / "model"), "--reader", str(workplace / "reader"), "--device", "cpu"]
    return main(["ablate", "proxy", *places, "--samples", "6", "--fit-samples", "8", *words])


def test_every_choice_gets_a_row_and_the_best_is_named(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate(workplace, "--sources", "16", "8,16", "--clusters", "2", "12", "--out", str(tmp_path)) == 0

    report = json.loads((tmp_path / "proxy.json").read_text())
    assert [(score["sources"], score["num_clusters"]) for score in report["scores"]] == [
        ([16], 2), ([16], 12), ([8, 16], 2), ([8, 16], 12),
    ]  # fmt: skip
    assert report["settings"]["samples"] == 6 and sum(report["area"].values()) == pytest.approx(100, abs=1e-3)
    for score in report["scores"]:
        assert score["miou"] == pytest.approx(sum(score["per_class"].values()) / len(score["per_class"]), abs=1e-6)
        owned = [name for name, area in report["area"].items() if area >= 0.3 and name not in score["unowned"]]
        assert 1 <= len(owned) <= score["num_clusters"]
        assert all(score["per_class"][name] == 0 for name in score["unowned"])
    # Two clusters own at most two of the classes; more of them are purer.
    assert len(report["scores"][0]["per_class"]) > 2 and report["scores"][0]["unowned"]
    assert report["scores"][1]["miou"] > report["scores"][0]["miou"]
    assert report["best"] in report["scores"]

    shown = capsys.readouterr().out
    best = report["best"]
    assert f"--sources {' '.join(map(str, best['sources']))} --clusters {best['num_clusters']}" in shown
    assert ("!" in shown) == any(score["unowned"] for score in report["scores"])


def test_usual_features_are_compared_when_none_are_named(workplace: Path, tmp_path: Path) -> None:
    assert ablate(workplace, "--clusters", "4", "--out", str(tmp_path)) == 0
    scores = json.loads((tmp_path / "proxy.json").read_text())["scores"]
    assert [score["sources"] for score in scores] == [[8], [16], [4, 8], [8, 16]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sources", "64"], "can be taken at 4, 8, 16, 32, but 64"),
        (["--sources", "x"], "resolutions like 32,64 were expected"),
        (["--sources", "16,"], "resolutions like 32,64 were expected"),
        (["--clusters", "0"], "at least 1"),
        (["--clusters", "9000"], "must be in 1..8192, but it is 9000"),
        (["--truncation", "nan"], "a number from 0 to 1.5"),
        (["--reader", "gone"], "gone"),
        (["--model", "gone/model"], "gone/model"),
    ],
)
def test_bad_input_exits_with_2_and_writes_nothing(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert ablate(workplace, *words, "--out", str(tmp_path / "out")) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    assert message in shown
    assert not (tmp_path / "out").exists()


def test_an_ablation_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
