"""Snapshots: whole or not at all, read without running anything."""

import os
from pathlib import Path

import pytest
import torch

from sisgen.io.snapshots import load_newest_state, write_snapshot


class Trap:
    """Runs a command when it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "state-1.pt", {"step": 1, "weights": torch.arange(3.0)})
    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 1 and torch.equal(state["weights"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["state-1.pt"]


def test_the_newest_whole_one_is_taken(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_snapshot(tmp_path / f"state-{step}.pt", {"step": step})
    whole = (tmp_path / "state-3.pt").read_bytes()
    for damaged in (whole[:-100], whole[:40], b"", b"text", b"\x80\x02garbage."):
        (tmp_path / "state-3.pt").write_bytes(damaged)
        state = load_newest_state(tmp_path)
        assert state is not None and state["step"] == 2


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert load_newest_state(tmp_path) is None
    assert load_newest_state(tmp_path / "gone") is None


def test_code_in_a_snapshot_is_not_run(tmp_path: Path) -> None:
    torch.save({"step": 1, "trap": Trap(tmp_path / "trapped")}, tmp_path / "state-1.pt")
    assert load_newest_state(tmp_path) is None
    assert not (tmp_path / "trapped").exists()


def test_a_failed_write_leaves_the_old_one(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "state-1.pt", {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        write_snapshot(tmp_path / "state-1.pt", {"step": lambda: None})  # cannot be pickled
    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["state-1.pt"]
