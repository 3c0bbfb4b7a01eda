import sys
import types

import pytest

from sisgen.cli import train
from sisgen.cli.main import main


@pytest.fixture
def trainer(monkeypatch):
    """A trainer module that notes what it was called with."""
    module = types.ModuleType("sisgen.train.gan")
    module.calls = []
    module.add_arguments = lambda parser: (parser.add_argument("--gamma", type=float, default=0.3), parser.set_defaults(batch=32))
    module.main = module.calls.append
    monkeypatch.setitem(sys.modules, "sisgen.train.gan", module)
    return module


def test_shared_and_own_arguments_reach_the_trainer(trainer):
    assert main(["train", "gan", "--out", "runs/a", "--images", "400k", "--minutes", "2.5", "--gamma", "1", "--dry-run"]) == 0

    (args,) = trainer.calls
    assert (args.trainer, str(args.out), args.images, args.minutes, args.gamma) == ("gan", "runs/a", 400_000, 2.5, 1.0)
    assert (args.batch, args.seed, args.device, args.dry_run) == (32, 0, None, True)


def test_out_is_needed(trainer, capsys):
    assert main(["train", "gan"]) == 2
    assert "--out" in capsys.readouterr().err
    assert trainer.calls == []


@pytest.mark.parametrize("words", [["--images", "0"], ["--minutes", "nan"], ["--seed", str(2**70)], ["--batch", "x"]])
def test_bad_numbers(trainer, words, capsys):
    assert main(["train", "gan", "--out", "runs/a", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert trainer.calls == []


def test_trainers_are_named():
    assert list(train.TRAINERS) == ["gan", "reader", "segmenter", "rearranger", "mapper"]
