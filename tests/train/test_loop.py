"""The loop: a run that was killed and resumed equals one that was not, bit for bit."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sisgen.errors import TrainingError
from sisgen.train.gan import GANTask
from sisgen.train.loop import LoopConfig, StepInfo, generator_for, load_newest_state, run_loop, save_state

Start = Callable[..., subprocess.Popen[str]]
IMAGES = 48  # six steps of eight


class PowerCut(BaseException):
    """What a test raises where a kill would strike."""


@pytest.fixture
def make_task(tiny_gan: dict[str, Any]) -> Callable[..., GANTask]:
    return tiny_gan["make_task"]


@pytest.fixture(scope="module")
def whole(tiny_gan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that a run which nothing interrupted ends with."""
    task = tiny_gan["make_task"]()
    assert run_loop(task, settings(tmp_path_factory.mktemp("whole"))) == IMAGES
    return content(task)


def content(task: GANTask) -> dict[str, Any]:
    """All state of a trainer, whether its snapshots hold it or not."""
    parts = {name: part for name, part in vars(task).items() if isinstance(part, (torch.nn.Module, torch.optim.Optimizer))}
    assert len(parts) == 6
    return {name: part.state_dict() for name, part in parts.items()}


def settings(out: Path, **changes: Any) -> LoopConfig:
    return LoopConfig(**{"out": out, "images": IMAGES, "batch": 8, **changes})


def leaves(state: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested dicts and lists to path -> value."""
    if isinstance(state, (dict, list)):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: leaf for key, value in items for name, leaf in leaves(value, f"{path}/{key}").items()}
    return {path: state}


def assert_same(made: dict[str, Any], wanted: dict[str, Any]) -> None:
    a, b = leaves(made), leaves(wanted)
    assert a.keys() == b.keys() and len(a) > 100
    differ = [n for n in a if not (torch.equal(a[n], b[n]) if isinstance(a[n], torch.Tensor) else a[n] == b[n])]
    assert differ == []


def cut_power_at(task: GANTask, step: int) -> GANTask:
    class Cut(type(task)):  # type: ignore[misc]
        def step(self, info: StepInfo) -> dict[str, float]:
            if info.step == step:
                raise PowerCut
            return super().step(info)

    task.__class__ = Cut
    return task


def test_a_resumed_run_equals_an_uninterrupted_one(make_task: Callable[..., GANTask], whole: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        run_loop(cut_power_at(make_task(), 3), settings(tmp_path, snapshot_minutes=0))
    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 3

    task = make_task()
    assert run_loop(task, settings(tmp_path)) == IMAGES
    assert_same(content(task), whole)


def test_kill_9_and_the_same_program_goes_on(start_tiny_gan: Start, make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    first = start_tiny_gan(tmp_path / "run", 10**6)
    assert first.stdout is not None and first.stderr is not None
    for _ in range(3):
        assert first.stdout.readline(), first.stderr.read()
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    before = load_newest_state(tmp_path / "run")
    assert before is not None and before["step"] >= 2

    steps = before["step"] + 2
    second = start_tiny_gan(tmp_path / "run", steps * 8)
    shown, errors = second.communicate(timeout=100)
    assert second.returncode == 0, errors
    assert [json.loads(line)["step"] for line in shown.splitlines()] == [steps - 2, steps - 1]
    assert not list((tmp_path / "run").glob(".state-*"))

    run_loop(make_task(), settings(tmp_path / "whole", images=steps * 8))
    after, whole = load_newest_state(tmp_path / "run"), load_newest_state(tmp_path / "whole")
    assert after is not None and whole is not None
    assert_same(after, whole)


@pytest.mark.parametrize("damage", ["truncated", "empty", "no snapshot at all"])
def test_a_damaged_snapshot_falls_back_to_the_older_one(make_task: Callable[..., GANTask], tmp_path: Path, damage: str) -> None:
    task = make_task()
    save_state(task, tmp_path, 1)
    newest = save_state(task, tmp_path, 2)
    content = newest.read_bytes()
    newest.write_bytes({"truncated": content[: len(content) // 2], "empty": b""}.get(damage, b"lorem ipsum dolor"))

    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 1
    assert run_loop(make_task(), settings(tmp_path, images=16)) == 16
    state = load_newest_state(tmp_path)  # written over the damaged one
    assert state is not None and state["step"] == 2


def test_only_damaged_snapshots_start_anew(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    save_state(make_task(), tmp_path, 1).write_bytes(b"PK")
    assert load_newest_state(tmp_path) is None


def test_two_snapshots_are_kept_and_no_half_written_one(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    (tmp_path / ".state-000000001-0a.pt").write_bytes(b"half")
    for step in (1, 2, 3):
        save_state(make_task(), tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-000000002.pt", "state-000000003.pt"]


def test_a_folder_of_another_task_or_of_other_sizes_is_refused(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    task = make_task()
    task.name = "rearranger"
    save_state(task, tmp_path, 1)
    with pytest.raises(TrainingError, match="holds a run of 'rearranger', but 'gan' was asked for"):
        run_loop(make_task(), settings(tmp_path))

    state = torch.load(tmp_path / "state-000000001.pt", weights_only=True)
    state["task"] = "gan"
    state["networks"]["generator"].popitem()
    torch.save(state, tmp_path / "state-000000001.pt")
    with pytest.raises(TrainingError, match="has other sizes than asked for now"):
        run_loop(make_task(), settings(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["state-000000001.pt"]


def test_statistics_are_json_lines_and_progress_is_told(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    told: list[str] = []
    run_loop(make_task(), settings(tmp_path, images=24, tick_seconds=0), progress=told.append)
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [8, 16, 24]
    assert {"images_per_second", "seconds", "d_loss", "g_loss", "ada_p"} <= lines[0].keys()
    assert "r1" in lines[0] and "r1" not in lines[1]  # lazy
    assert len(told) == 3 and "24 of 24 images" in told[-1] and "images/s" in told[-1] and "min left" in told[-1]


def test_a_run_shorter_than_a_tick_still_leaves_its_statistics(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    run_loop(make_task(), settings(tmp_path, images=16))
    (line,) = (tmp_path / "stats.jsonl").read_text().splitlines()
    assert json.loads(line)["images"] == 16
    assert (tmp_path / "samples-00000016.png").stat().st_size > 0


def test_no_minutes_train_nothing(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    assert run_loop(make_task(), settings(tmp_path, minutes=0.0)) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_left_as_it_is(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    run_loop(make_task(), settings(tmp_path, images=8))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert run_loop(make_task(), settings(tmp_path, images=8)) == 8
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_sigterm_ends_a_run_with_a_snapshot(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    seen = run_loop(make_task(), settings(tmp_path, tick_seconds=0), progress=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert seen == 8
    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 1
    assert signal.getsignal(signal.SIGTERM) is handler


def test_an_event_ends_a_run_with_a_snapshot_and_every_step_is_told(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    stop, seen = threading.Event(), []

    def watch(images: int) -> None:
        seen.append(images)
        if images == 16:
            stop.set()

    assert run_loop(make_task(), settings(tmp_path), watch=watch, stop=stop) == 16 and seen == [8, 16]
    state = load_newest_state(tmp_path)
    assert state is not None and state["step"] == 2


def test_a_run_may_live_in_a_thread(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(run_loop(make_task(), settings(tmp_path, images=8))))
    thread.start()
    thread.join()
    assert seen == [8]


def test_a_diverged_run_stops_in_a_sentence_and_saves_nothing(make_task: Callable[..., GANTask], tmp_path: Path) -> None:
    task = make_task()
    with torch.no_grad():
        task.discriminator.b4.out.bias.fill_(float("nan"))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingError, match=r"diverged at step 1 \(d_loss, g_loss.* not finite\)"):
        run_loop(task, settings(tmp_path, snapshot_minutes=0))
    assert not list(tmp_path.glob("state-*"))
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize("changes", [{"images": 0}, {"batch": 0}])
def test_impossible_settings(tmp_path: Path, changes: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="must be at least 1"):
        settings(tmp_path, **changes)


def test_generators_differ_by_seed_sample_and_stream() -> None:
    draws = [torch.rand(2, generator=generator_for(*words)) for words in ((0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 2**40))]
    assert len({tuple(draw.tolist()) for draw in draws}) == len(draws)
    assert torch.equal(draws[1], torch.rand(2, generator=generator_for(0, 1)))
    many = torch.stack([torch.rand(1, generator=generator_for(0, i)) for i in range(2000)])
    assert abs(float(many.mean()) - 0.5) < 0.03 and abs(float(many.std()) - 12**-0.5) < 0.02
