"""What every trainer's command shares."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from sisgen.io.configs import read_json
from sisgen.train.command import start


def words(out: Path, **changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"out": out, "images": None, "batch": None, "minutes": None, "seed": 4, "dry_run": False, **changes})


def test_a_dry_run_trains_and_writes_nothing(tiny_gan: dict[str, Any], tmp_path: Path, capsys) -> None:
    task = tiny_gan["make_task"]()
    before = {name: weight.clone() for name, weight in task.generator.state_dict().items()}
    assert start(task, words(tmp_path / "run", dry_run=True), task.config, images=80, batch=8) is None

    shown = json.loads(capsys.readouterr().out)
    assert (shown["task"], shown["loop"]["images"], shown["loop"]["seed"]) == ("gan", 80, 4)
    assert shown["discriminator parameters"] == sum(p.numel() for p in task.discriminator.parameters())
    assert not (tmp_path / "run").exists()
    assert all(torch.equal(weight, before[name]) for name, weight in task.generator.state_dict().items())


def test_the_resolved_settings_lie_beside_the_run(tiny_gan: dict[str, Any], tmp_path: Path, capsys) -> None:
    task = tiny_gan["make_task"]()
    assert start(task, words(tmp_path / "run", images=8), task.config, images=80, batch=8) == 8
    settings = read_json(tmp_path / "run" / "settings.json")
    assert (settings["loop"]["images"], settings["loop"]["batch"], settings["config"]["r1_interval"]) == (8, 8, 2)
    assert "8 of 8 images" in capsys.readouterr().err
