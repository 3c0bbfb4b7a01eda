"""What every `python -m sisgen train NAME` shares: the loop's settings from the arguments, the dry run, the progress line."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from sisgen.io.configs import to_dict, write_json
from sisgen.train.distributed import Processes
from sisgen.train.loop import LoopConfig, Task, run_loop


def start(task: Task, args: argparse.Namespace, config: Any, *, images: int, batch: int) -> int | None:
    """Run the loop as the command line asks.

    Args:
        task: what to train.
        args: `out, images, batch, minutes, seed, dry_run`.
        config: the task's own config, saved beside the run.
        images: default of `--images`.
        batch: default of `--batch`.

    Returns:
        Images seen in all; `None` after a dry run, and in processes other than the main one, which write nothing.
    """
    loop = LoopConfig(out=args.out, images=args.images or images, batch=args.batch or batch, minutes=args.minutes, seed=args.seed)
    settings: dict[str, Any] = {"task": task.name, "loop": to_dict(loop) | {"out": str(loop.out)}, "config": to_dict(config)}
    if args.dry_run:
        for name, net in task.networks().items():
            settings[f"{name} parameters"] = sum(p.numel() for p in net.parameters())
        sys.stdout.write(json.dumps(settings, indent=1, default=str) + "\n")
        return None
    is_main = Processes().is_main
    if is_main:
        loop.out.mkdir(parents=True, exist_ok=True)
        write_json(loop.out / "settings.json", settings)
    seen = run_loop(task, loop, progress=_show)
    return seen if is_main else None


def finish() -> int:
    """End the progress line; the exit code."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return 0


def _show(line: str) -> None:
    sys.stderr.write(f"\r{line}\x1b[K" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()
