"""`sisgen evaluate-edges` on a tiny archive."""

import json

import pytest
import torch

from sisgen.cli.main import main
from sisgen.io.configs import to_dict
from sisgen.io.models import export_parts
from sisgen.nets.edges import EdgeConfig, EdgeNet

TINY = EdgeConfig(full=4, half=4, quarter=4, deep=4)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    export_parts(tmp_path / "edges", {"edges": EdgeNet(TINY)}, {"edges": to_dict(TINY)})
    return tmp_path / "edges"


def test_scores_of_a_network(folder, tiny_bsds, tmp_path, capsys):
    out = tmp_path / "scores.json"
    arguments = ["--edges", str(folder), "--data", str(tiny_bsds), "--thresholds", "5", "--out", str(out), "--device", "cpu"]
    assert main(["evaluate-edges", *arguments]) == 0
    scores = json.loads(out.read_text())
    assert scores["split"] == "val" and scores["pictures"] == 2 and 0 <= scores["ods"] <= 1
    assert f"ods       {scores['ods']:.3f}" in capsys.readouterr().out
    assert main(["evaluate-edges", *arguments, "--careful"]) == 0
    assert json.loads(out.read_text())["careful"] and not scores["careful"]


def test_scores_of_people(tiny_bsds, capsys):
    assert main(["evaluate-edges", "--people", "--data", str(tiny_bsds), "--split", "test"]) == 0
    assert "ods       " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--thresholds", "100"], "at most 99"),
        (["--people", "--hed"], "give one of them"),
        (["--people", "--note"], "names none"),
    ],
)
def test_refusals(arguments, words, tiny_bsds, capsys):
    assert main(["evaluate-edges", "--data", str(tiny_bsds), *arguments]) == 2
    assert words in capsys.readouterr().err
