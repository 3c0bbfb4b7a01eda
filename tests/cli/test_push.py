import pytest

from sisgen.cli.main import main
from sisgen.io.configs import read_json


def test_a_dry_run_lists_what_would_be_sent(tiny_model, tmp_path, capsys):
    import shutil

    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    assert main(["push", "--model", str(folder), "--to", "me/tiny", "--dry-run"]) == 2
    assert "has no card" in capsys.readouterr().err
    (folder / "CARD.md").write_text("# tiny\n")

    assert main(["push", "--model", str(folder), "--to", "me/tiny", "--dry-run"]) == 0

    shown = capsys.readouterr().out
    for name in (*read_json(folder / "config.json")["files"], "config.json", "CARD.md", "README.md"):
        assert name in shown
    assert shown.endswith("nothing was sent.\n")


@pytest.mark.parametrize("words", [["--model", "nowhere", "--to", "me/tiny"], ["--model", "nowhere", "--to", "tiny"]])
def test_what_cannot_be_pushed_is_one_sentence(words, capsys, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert main(["push", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
