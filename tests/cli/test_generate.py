from pathlib import Path

import pytest

from sisgen.cli.generate import plan_jobs, report_errors
from sisgen.cli.main import main
from sisgen.errors import InputError


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_a_folder_gives_one_job_a_mask(tmp_path):
    masks = touch(tmp_path / "masks", "b.png", "a.png", ".hidden.png", "notes.txt")

    jobs = plan_jobs(masks, [3, 1, 3], tmp_path / "out", overwrite=False)

    assert [job.mask.name for job in jobs] == ["a.png", "b.png"]
    assert {seed: path.name for seed, path in jobs[0].outputs.items()} == {3: "a_seed3.png", 1: "a_seed1.png"}


def test_existing_pictures_are_skipped_unless_told(tmp_path):
    out = touch(tmp_path / "out", "sample_seed1.png")

    assert list(plan_jobs(None, [0, 1], out, overwrite=False)[0].outputs) == [0]
    assert list(plan_jobs(None, [0, 1], out, overwrite=True)[0].outputs) == [0, 1]


def test_masks_that_differ_in_suffix_only_keep_apart(tmp_path):
    masks = touch(tmp_path / "masks", "a.png", "a.gif")

    outputs = [path.name for job in plan_jobs(masks, [0], tmp_path / "out", overwrite=False) for path in job.outputs.values()]

    assert outputs == ["a_gif_seed0.png", "a_png_seed0.png"]


def test_impossible_plans(tmp_path):
    masks = touch(tmp_path / "masks", "a.png")
    touch(tmp_path / "empty")

    with pytest.raises(InputError, match="is a file"):
        plan_jobs(None, [0], masks / "a.png", overwrite=False)
    with pytest.raises(InputError, match="must differ from the folder of masks"):
        plan_jobs(masks, [0], masks, overwrite=False)
    with pytest.raises(InputError, match="holds none"):
        plan_jobs(tmp_path / "empty", [0], tmp_path / "out", overwrite=False)
    with pytest.raises(InputError, match="does not exist"):
        plan_jobs(tmp_path / "gone.png", [0], tmp_path / "out", overwrite=False)


def test_errors_are_listed_and_cleared(tmp_path):
    report_errors(tmp_path, [{"file": "a.png", "error": "Odd.", "pictures": 2}])
    assert (tmp_path / "errors.jsonl").read_text() == '{"file": "a.png", "error": "Odd."}\n'

    report_errors(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", str(2**70)],
        ["--seeds", "-1"],
        ["--truncation", "nan"],
        ["--truncation", "9"],
        ["--strength", "inf"],
        ["--mask", "gone.png"],
    ],
)
def test_bad_arguments_exit_with_2_and_write_nothing(tmp_path, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(["generate", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(Path().iterdir()) == []
