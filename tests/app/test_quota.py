"""Room on the disk: what is old, too many or too much goes, the oldest first, and never what people at this machine saved."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest

from sisgen.app.training.jobs import job_folder, jobs_root
from sisgen.app.training.quota import MAX_AGE, VISITORS, folder_bytes, make_room, saved_folder
from sisgen.app.training.runner import Trainings
from sisgen.app.training.saved import pack_model, save_model
from sisgen.hub.places import is_model

GB = 10**9


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def leave(folder: Path, *, hours: float, size: float = 0, visitors: bool = False) -> Path:
    """Make a folder that changed hours ago, with a file that claims its size and takes no room."""
    (folder / "work").mkdir(parents=True)
    with (folder / "work" / "weights").open("wb") as file:
        file.truncate(int(size))
    if visitors:
        (folder / VISITORS).touch()
    then = time.time() - 3600 * hours
    os.utime(folder, (then, then))
    return folder


def job(number: int, **more: float) -> Path:
    return leave(job_folder(f"{number:024d}"), **more)


def model(name: str, **more: float) -> Path:
    return leave(saved_folder(name), **more)


def test_nothing_is_there_at_first() -> None:
    make_room([])
    assert not jobs_root().exists()


def test_old_and_many_trainings_go_but_not_the_one_that_starts() -> None:
    jobs = [job(number, hours=number / 10) for number in range(25)]
    last = job(30, hours=2 * MAX_AGE / 3600)
    make_room([last])
    assert sorted(jobs_root().iterdir()) == sorted([*jobs[:19], last])
    make_room([])
    assert sorted(jobs_root().iterdir()) == sorted(jobs[:19]), "a day without a change"


def test_five_gigabytes_stay_the_newest_ones() -> None:
    jobs = [job(number, hours=number + 1, size=1.5 * GB) for number in range(4)]
    small = job(9, hours=20, size=1000)
    assert folder_bytes(jobs[0]) == 1.5 * GB
    make_room([])
    assert sorted(jobs_root().iterdir()) == sorted(jobs[:3])
    assert not small.exists(), "the oldest goes first, however small it is"
    make_room([jobs[2]], most=2 * GB)
    assert list(jobs_root().iterdir()) == [jobs[2]], "what is in use stays, and counts"


def test_visitors_models_share_that_room_and_no_others_do() -> None:
    own = model("mine", hours=900, size=4 * GB)
    models = [model(f"theirs-{hours}", hours=hours, size=2 * GB, visitors=True) for hours in (1, 30, 60)]
    training = job(0, hours=2, size=GB)
    make_room([])
    assert own.exists() and training.exists()
    assert [path.exists() for path in models] == [True, True, False], "they go for want of room, not by their age"


def test_a_visitors_model_is_marked_and_the_mark_stays_here(tiny_model: Path, tmp_path: Path) -> None:
    assert save_model(tiny_model, "Mine", mine=None, masks=[]) == "mine"
    assert save_model(tiny_model, "Theirs", mine=None, masks=[], visitors=True) == "theirs"
    assert [(saved_folder(name) / VISITORS).exists() for name in ("mine", "theirs")] == [False, True]
    with zipfile.ZipFile(pack_model("theirs", tmp_path / "theirs.zip")) as archive:
        assert "theirs/config.json" in archive.namelist() and f"theirs/{VISITORS}" not in archive.namelist()


def test_a_model_that_had_to_go_is_on_no_list(tiny_model: Path) -> None:
    trainings, token = Trainings(), "0" * 24
    job_folder(token).mkdir(parents=True)
    trainings.note_saved(token, save_model(tiny_model, "Theirs", mine=None, masks=[], visitors=True))
    assert trainings.saved_names() == ("theirs",)
    make_room([], most=10)
    assert not is_model(saved_folder("theirs")) and trainings.saved_names() == ()


def test_saving_makes_room_and_spares_the_new_model(tiny_model: Path) -> None:
    before, token = model("before", hours=1, size=4.9999 * GB, visitors=True), "0" * 24
    (job_folder(token)).mkdir(parents=True)
    with (job_folder(token) / "snapshot").open("wb") as file:
        file.truncate(GB)
    trainings = Trainings()
    trainings.note_saved(token, save_model(tiny_model, "New", mine=None, masks=[], visitors=True))
    assert trainings.saved_names() == ("new",) and job_folder(token).exists() and not before.exists()
