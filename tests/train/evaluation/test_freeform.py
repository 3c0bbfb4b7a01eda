"""Free-form masks: the shipped forty, what counts of a mask, the search of the baseline, and all of it from the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.cli.main import main
from sisgen.data.portraits import PORTRAIT_LABELS, TEST_SEEDS, render
from sisgen.errors import InputError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json, to_dict, write_json
from sisgen.io.labels import read_labels
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.train.checkpoints import export_parts
from sisgen.train.evaluation.freeform import FreeformMask, read_freeform
from sisgen.train.evaluation.latent import LatentConfig, LatentSearch
from sisgen.train.judges import export_reader
from sisgen.types import LabelSet

SHIPPED = Path(__file__).parents[3] / "examples" / "freeform"
QUICK = LatentConfig(labelled=2, pixels=128, rounds=20, candidates=4, starts=2, tries=3, steps=12)


class SideReader(Reader):
    """Reads bright places of the red channel as class 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([-images[:, :1], images[:, :1]], dim=1)


def test_the_shipped_masks_are_forty_small_and_as_listed() -> None:
    listed = read_json(SHIPPED / "freeform.json")["masks"]
    assert len(listed) == 40 == len(list(SHIPPED.glob("*.png")))
    for row in listed:
        assert (SHIPPED / row["file"]).stat().st_size < 2048
        assert read_labels(SHIPPED / row["file"], PORTRAIT_LABELS).shape == (128, 128)
        assert row["seed"] not in TEST_SEEDS and row["seed"] >= TEST_SEEDS.start
    for row in listed[::13]:
        changed = read_labels(SHIPPED / row["file"], PORTRAIT_LABELS) != render([row["seed"]]).labels[0].numpy()
        assert round(float(changed.mean()), 4) == row["share"]


def test_only_changed_pixels_of_classes_with_enough_of_them_count() -> None:
    base = torch.zeros(64, 64, dtype=torch.int64)
    labels = base.clone()
    labels[:4, :4] = 6
    labels[10, 10:13] = 3  # three pixels are fewer than a thousandth
    changed = FreeformMask(name="x", words="", labels=labels, base=base).changed()
    assert int((changed == 6).sum()) == 16 and int((changed >= 0).sum()) == 16


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="portraits' classes, but it has sky"):
        read_freeform(SHIPPED, LabelSet(names=("sky",), colors=((1, 2, 3),)), 32)
    write_json(tmp_path / "freeform.json", {"masks": [{"file": "a.png"}], "size": 128})
    with pytest.raises(InputError, match="must list masks by file, words and seed"):
        read_freeform(tmp_path, PORTRAIT_LABELS, 32)
    with pytest.raises(InputError):
        read_freeform(tmp_path / "nowhere", PORTRAIT_LABELS, 32)


def test_the_linear_reader_learns_and_the_search_comes_nearer(tiny_generator: StyleGAN2) -> None:
    teacher = SideReader(ReaderConfig(num_labels=2, width=4)).eval()
    search = LatentSearch(tiny_generator, teacher, 2, 0.7, replace(QUICK, labelled=8, pixels=256))
    assert search.fit > 0.7  # the larger class alone would give 0.52
    with torch.no_grad():
        start, other = (tiny_generator(search.rows([seed])).clamp(-1, 1) for seed in (5, 11))
    wanted = teacher.read(other)[0]
    picture = search.follow(wanted, 5)
    assert picture.shape == (1, 3, 32, 32) and float(picture.abs().max()) <= 1
    before, after = (float((teacher.read(one)[0] == wanted).float().mean()) for one in (start, picture))
    assert after > before + 0.2


def test_from_the_command_line(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sisgen.train.evaluation.freeform.LatentConfig", lambda: QUICK)
    model, size = tmp_path / "model", len(PORTRAIT_LABELS)
    shutil.copytree(tiny_model, model)
    torch.manual_seed(0)
    old = from_dict(MaskMapperConfig, read_json(tiny_model / "config.json")["mappers"]["mask"])
    parts = {"mapper_mask": MaskMapper(replace(old, num_labels=size)), "reader": Reader(ReaderConfig(num_labels=size, width=4))}
    config = {"labels": to_dict(PORTRAIT_LABELS), "mappers": {"mask": to_dict(parts["mapper_mask"].config)}, "class_seeds": {}}
    export_parts(model, parts, config | {"reader": to_dict(parts["reader"].config)})
    for name in ("a", "b"):
        export_reader(tmp_path / "readers" / name, Reader(ReaderConfig(num_labels=size, width=4)), PORTRAIT_LABELS, {})
    listed = read_json(SHIPPED / "freeform.json")
    some = {**listed, "masks": listed["masks"][:2]}
    (tmp_path / "masks").mkdir()
    write_json(tmp_path / "masks" / "freeform.json", some)
    for row in some["masks"]:
        shutil.copy(SHIPPED / row["file"], tmp_path / "masks")

    words = ["evaluate", "--model", str(model), "--readers", str(tmp_path / "readers"), "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main([*words, "--freeform", str(tmp_path / "masks")]) == 0
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())["freeform"]
    assert set(report["methods"]) == {"rearranged", "latent", "unedited"} and len(report["masks"]) == 2
    mean = np.mean([line["rearranged"] for line in report["masks"]])
    assert abs(report["methods"]["rearranged"]["iou"] - mean) <= 0.1
    assert (tmp_path / "out" / "freeform.png").stat().st_size > 1000
    assert "changed parts of 2 masks" in capsys.readouterr().out
