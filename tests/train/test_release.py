"""A trained folder becomes one that can be shipped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sisgen.cli.main import main
from sisgen.errors import CheckpointError
from sisgen.io.configs import read_json
from sisgen.pipeline import Pipeline
from sisgen.train.release import ReleaseConfig, find_class_seeds, release, revision_of


@pytest.fixture
def config(tiny_model: Path, tmp_path: Path) -> ReleaseConfig:
    shutil.copytree(tiny_model, tmp_path / "model")
    return ReleaseConfig(
        model=tmp_path / "model",
        description="Random pictures.",
        license="apache-2.0",
        data="noise",
        hardware="one core",
        commands=("sisgen train gan --data noise",),
        truncation=0.6,
        seed=9,
        samples=20,
    )


def test_a_released_model_says_what_it_is(config: ReleaseConfig) -> None:
    card = release(config).read_text()
    pipe = Pipeline.from_pretrained(config.model, device="cpu")
    assert pipe.defaults == {"truncation": 0.6, "seed": 9} and pipe.description == "Random pictures."
    assert pipe.revision == revision_of(pipe.config.files) and pipe.revision in card
    for word in ("Random pictures.", "apache-2.0", "noise", "one core", "sisgen train gan", "background, skin, hair, hat"):
        assert word in card


def test_the_revision_follows_the_files(config: ReleaseConfig) -> None:
    files = read_json(config.model / "config.json")["files"]
    assert revision_of(files) == revision_of(dict(reversed(list(files.items()))))
    assert revision_of({**files, "reader.safetensors": "0" * 64}) != revision_of(files)


def test_seeds_of_a_rare_class_show_it(tiny_pipeline: Pipeline) -> None:
    labels = tiny_pipeline.sample_labels(range(20))
    for name, seeds in find_class_seeds(tiny_pipeline, 20).items():
        area = (labels == tiny_pipeline.labels.names.index(name)).float().mean(dim=(1, 2))
        assert [float(area[seed]) for seed in seeds] == sorted((float(area[seed]) for seed in seeds), reverse=True)
        assert 1 <= len(seeds) <= 6 and float(area[seeds].min()) > 0.004


def test_scores_come_into_the_card(config: ReleaseConfig, tmp_path: Path) -> None:
    scores = {"miou": 61.5, "accuracy": 90.0, "per_class": {"skin": 80.25, "hat": None}}
    settings = {"samples": 500, "truncation": 0.7, "device": "cpu"}
    report = {"stages": {"e": scores}, "settings": settings, "distances": {"pictures": 5000, "masks": 12.5}}
    lines = {part: {"f": 60.0} for part in ("lines", "chance", "proxy")} | {"ratio": 0.51, "baseline": {"ratio": 0.33}}
    depth = {part: {"error": error} for part, error in (("depth", 1.1), ("chance", 5.5), ("proxy", 0.9), ("self", 0.3))} | {"ratio": 0.846}
    others = {
        "conditions": {"scribble": {"strokes": {"miou": 55.5, "of_the_mask": 0.83}}, "canny": lines, "depth": depth},
        "photos": "held-out cats",
        "inversion": {"encoder": {"l2": 0.04, "perceptual": 0.3, "ssim": 0.7}},
        "exemplars": {"photo": {"miou": 62.25, "accuracy": 91.0}, "judged_by": "judge B"},
        "freeform": {"methods": {"rearranged": {"iou": 34.5}}},
        "distances": {"pictures": 10, "masks": 99.9},
    }
    for name, content in (("a", report), ("b", others)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    card = release(replace(config, evaluations=(tmp_path / "a.json", tmp_path / "b.json"))).read_text()
    assert "61.5" in card and "500 pictures a stage" in card and "12.5" in card and "5,000" in card and "99.9" not in card
    for words in (
        "| strokes | 55.5 | 0.83 |",
        "| canny | 60.0 | 60.0 | 60.0 | 0.51 | 0.33 |",
        "| photo | 62.2 | 91.0 |",
        "| 1.1 | 5.5 | 0.9 | 0.3 | 0.846 |",
        "rearranged 34.5",
    ):
        assert words in card, words
    assert "Inversion of held-out cats:" in card and "| encoder | 0.04 | 0.3 | 0.7 |" in card


def test_half_a_model_is_refused(config: ReleaseConfig) -> None:
    (config.model / "reader.safetensors").unlink()
    with pytest.raises(CheckpointError, match="reader"):
        release(config)
    assert not (config.model / "CARD.md").exists()


def test_the_command(config: ReleaseConfig, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--description", "Small.", "--license", "mit", "--data", "noise", "--hardware", "a core", "--samples", "4"]
    assert main(["release", "--model", str(config.model), *words]) == 0
    assert read_json(config.model / "config.json")["license"] == "mit"
    assert main(["release", "--model", str(config.model / "gone"), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
