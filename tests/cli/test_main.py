import subprocess
import sys

import pytest

import sisgen
from sisgen.cli import main as cli
from sisgen.cli.main import main
from sisgen.errors import InputError


def run(*words, cwd=None):
    return subprocess.run([sys.executable, "-m", "sisgen", *words], capture_output=True, text=True, check=False, cwd=cwd)


def test_help_names_the_verbs_without_importing_torch():
    code = "import sys; from sisgen.cli.main import main; main(['--help']); assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "generate" in shown
    assert "train" in shown


def test_version():
    assert run("--version").stdout == f"sisgen {sisgen.__version__}\n"


@pytest.mark.parametrize("words", [[], ["paint"], ["generate", "--odd"], ["train"], ["train", "gun"]])
def test_wrong_words_exit_with_2_and_one_line(words, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


class Failing:
    """A verb that ends as it is told to."""

    def __init__(self, error):
        self.error = error

    def parse_args(self, argv):
        return self

    def run(self, args):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("The mask is odd; paint it again."), 2, "sisgen: The mask is odd; paint it again.\n"),
        (PermissionError(13, "Permission denied", "out/a.png"), 2, "sisgen: 'out/a.png' cannot be used (Permission denied)"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_expected_failures_are_one_sentence(monkeypatch, capsys, error, code, text):
    monkeypatch.setattr(cli, "build_parser", lambda: Failing(error))

    assert main([]) == code
    assert capsys.readouterr().err.startswith(text)


def test_bugs_are_not_hidden(monkeypatch):
    monkeypatch.setattr(cli, "build_parser", lambda: Failing(ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        main([])
