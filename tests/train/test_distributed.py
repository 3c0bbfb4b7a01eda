"""Two processes compute what one does with the same global batch."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sisgen.train.distributed import Processes
from sisgen.train.loop import LoopConfig, StepInfo, load_newest_state, run_loop

Start = Callable[..., subprocess.Popen[str]]
STEPS = 3


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_two_processes_give_the_losses_of_one(tiny_gan: dict[str, Any], start_tiny_gan: Start, tmp_path: Path) -> None:
    images = STEPS * tiny_gan["BATCH"]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    ranks = [start_tiny_gan(tmp_path / "two", images, RANK=str(i), LOCAL_RANK=str(i), **group) for i in range(2)]

    # Meanwhile, one process.
    task, alone = tiny_gan["make_task"](), []

    class Noted(type(task)):  # type: ignore[misc]
        def step(self, info: StepInfo) -> dict[str, float]:
            alone.append(super().step(info))
            return alone[-1]

    task.__class__ = Noted
    run_loop(task, LoopConfig(out=tmp_path / "one", images=images, batch=tiny_gan["BATCH"]))

    for rank in ranks:
        shown, errors = rank.communicate(timeout=100)
        assert rank.returncode == 0, errors
        lines = [json.loads(line) for line in shown.splitlines()]
        assert [line.pop("step") for line in lines] == list(range(STEPS))
        assert [line.keys() for line in lines] == [stats.keys() for stats in alone]
        for line, stats in zip(lines, alone):
            assert {name: abs(line[name] - stats[name]) <= 1e-5 for name in stats} == dict.fromkeys(stats, True)

    # Rank 0 alone writes, and what it writes is what one process has, up to rounding.
    two, one = load_newest_state(tmp_path / "two"), load_newest_state(tmp_path / "one")
    assert two is not None and one is not None and two["step"] == one["step"] == STEPS
    assert len((tmp_path / "two" / "stats.jsonl").read_text().splitlines()) >= 1
    mean = "mapping.w_avg"
    assert torch.allclose(two["networks"]["generator"][mean], one["networks"]["generator"][mean], atol=1e-6)


def test_one_process_communicates_nothing() -> None:
    processes, weight = Processes(), torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    processes.average_gradients([weight])
    assert torch.equal(weight.grad, torch.tensor([1.0, 2.0]))
    assert torch.equal(processes.average(torch.tensor(3.0)), torch.tensor(3.0))
    assert processes.is_main and processes.any(True) and not processes.any(False)
    assert processes.device(torch.device("meta")) == torch.device("meta")
    processes.wait()
