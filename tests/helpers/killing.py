"""A training that is killed between two snapshots."""

from __future__ import annotations

import pytest

from sisgen.train.loop import LoopConfig, StepInfo, Task, run_loop


def run_until_killed(task: Task, config: LoopConfig, *, step: int = 2) -> None:
    """Run a training that is killed when it begins `step`; what was saved before stays in its folder."""

    class Killed(type(task)):
        def step(self, info: StepInfo) -> dict[str, float]:
            if info.step == step:
                raise KeyboardInterrupt
            return super().step(info)

    task.__class__ = Killed
    with pytest.raises(KeyboardInterrupt):
        run_loop(task, config)
