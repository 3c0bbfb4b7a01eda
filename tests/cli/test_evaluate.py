"""`sisgen evaluate` from the command line on a tiny model with the portraits' classes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sisgen.cli.main import main
from sisgen.data.cache import write_cache
from sisgen.data.portraits import PORTRAIT_LABELS
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.io.configs import from_dict, read_json, to_dict, write_json
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.train.checkpoints import export_parts, load_generator
from sisgen.train.judges import export_reader


@pytest.fixture(scope="module")
def workplace(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `portrait` and the judges `readers/a`, `readers/b`."""
    root = tmp_path_factory.mktemp("evaluate")
    shutil.copytree(tiny_model, root / "portrait")
    size = len(PORTRAIT_LABELS)
    torch.manual_seed(0)
    old = from_dict(MaskMapperConfig, read_json(tiny_model / "config.json")["mappers"]["mask"])
    mapper = MaskMapper(replace(old, num_labels=size))
    reader = Reader(ReaderConfig(num_labels=size, width=4))
    config = {
        "labels": to_dict(PORTRAIT_LABELS),
        "mappers": {"mask": to_dict(mapper.config)},
        "reader": to_dict(reader.config),
        "class_seeds": {},
    }
    export_parts(root / "portrait", {"mapper_mask": mapper, "reader": reader}, config)
    for name in ("a", "b"):
        export_reader(root / "readers" / name, Reader(ReaderConfig(num_labels=size, width=4)), PORTRAIT_LABELS, {})
    return root


def test_all_stages_and_distances(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "--model",
        str(workplace / "portrait"),
        "--readers",
        str(workplace / "readers"),
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    assert main([*words, "--stages", "--samples", "3", "--batch", "2", "--fd", "3", "--device", "cpu"]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert set("abcde") < set(report["stages"]) and report["stages"]["e"]["pictures"] == 3
    assert report["distances"]["pictures"] == 3 and report["settings"]["truncation"] == 0.7
    assert (tmp_path / "grid.png").exists() and (tmp_path / "stages.png").exists()
    assert "floor_random" in capsys.readouterr().out


def test_photographs_and_exemplars(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sisgen.train.evaluation.inversion.STEPS", (0, 2))
    model = tmp_path / "model"
    shutil.copytree(workplace / "portrait", model)
    words = ["evaluate", "--model", str(model), "--readers", str(workplace / "readers"), "--device", "cpu", "--out", str(tmp_path)]
    assert main([*words, "--inversion", "2"]) == 2
    assert "has no encoder for photographs" in capsys.readouterr().err

    sizes = encoder_config(load_generator(model).config)
    export_parts(model, {"encoder": Encoder(sizes)}, {"encoder": to_dict(sizes)})
    assert main([*words, "--inversion", "2"]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(report["inversion"]) == {"mean picture", "encoder", "+2 steps"}
    assert report["inversion"]["+2 steps"]["l2"] < report["inversion"]["encoder"]["l2"]
    rows = {f"{kind}{how}" for kind in ("generated", "photo") for how in ("", ", mask", ", mixing")}
    assert set(report["exemplars"]) == {*rows, "judged_by"} and report["exemplars"]["photo"]["pictures"] == 2
    assert (tmp_path / "inversion.png").exists() and (tmp_path / "exemplars.png").exists()
    assert "photo, mixing" in capsys.readouterr().out

    # Pictures of a cache, read by the model itself where no judge knows its classes.
    write_cache(tmp_path / "held", range(2), 32, supersample=1)
    content = read_json(model / "config.json")
    write_json(model / "config.json", {**content, "labels": {**content["labels"], "names": [f"class {i}" for i in range(12)]}})
    assert main([*words, "--inversion", "1"]) == 2
    assert "needs held-out pictures to invert, but none came; pass --cache FOLDER" in capsys.readouterr().err
    assert main([*words, "--inversion", "3", "--cache", str(tmp_path / "held")]) == 2
    assert "must hold at least 3 pictures, but it holds 2" in capsys.readouterr().err
    assert main([*words, "--inversion", "1", "--cache", str(tmp_path / "held")]) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["exemplars"]["judged_by"] == "the model's own reader"


def test_scribbles_are_measured_whatever_the_classes(drawing_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", str(drawing_model), "--conditions", "2", "--device", "cpu", "--out", str(tmp_path)]
    assert main(words) == 0
    scribbles = json.loads((tmp_path / "evaluation.json").read_text())["conditions"]["scribble"]
    assert scribbles["judged_by"] == "the model's own reader" and scribbles["strokes"]["pictures"] == 2
    assert "read by the model's own reader" in capsys.readouterr().out

    # Judges of these classes, where they are named.
    for name in ("a", "b"):
        shutil.copytree(drawing_model, tmp_path / "judges" / name)
    assert main([*words, "--readers", str(tmp_path / "judges")]) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["conditions"]["scribble"]["judged_by"] == "judge B"


def test_nothing_to_measure_and_wrong_letters_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 2
    assert "none of --stages, --fd, --conditions" in capsys.readouterr().err
    assert main(["evaluate", "--stages", "xyz"]) == 2
    assert "letters of abcde" in capsys.readouterr().err


def test_judges_of_other_classes_exit_with_2(workplace: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", str(tiny_model), "--device", "cpu", "--stages", "b", "--samples", "1", "--out", str(tmp_path)]
    assert main([*words, "--readers", str(workplace / "readers")]) == 2
    assert "must read the model's classes" in capsys.readouterr().err
