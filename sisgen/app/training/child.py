"""The process that trains a job: `python -m sisgen.app.training.child FOLDER`.

A process and not a thread of the server, because a training step holds the interpreter and the cores: here it runs with a
lower priority and one thread less than there are cores, so that pictures of the live lane go first; its memory is gone with
it; and whatever kills it leaves the page alone. It writes one JSON object a line to standard output, and ends at the next step,
with a snapshot, when standard input closes, which also happens when the server dies.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sisgen.app.training.jobs import Job
    from sisgen.train.adapt import AdaptProgress

LOOK_SHARE = 0.04  # of the whole bar, for the first look
NICE = 10


def main(folder: str) -> int:
    """Train the job in a folder; return the exit code."""
    if hasattr(os, "nice"):
        os.nice(max(0, NICE - os.nice(0)))
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    from sisgen.app.training.jobs import read_job
    from sisgen.errors import SisgenError

    try:
        _run(read_job(Path(folder)), stop)
    except SisgenError as error:
        _say(phase="failed", error=str(error))
        return 2
    return 0


def _run(job: Job, stop: threading.Event) -> None:
    import torch

    from sisgen.app.training import insight

    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    _say(stage="look", done=0.0, minutes=job.minutes)
    share = 1.0 if job.minutes is None else LOOK_SHARE
    first = insight.look(job, report=lambda done: _say(stage="look", done=done * share), stop=stop)
    if first is not None:
        _tell(job, first)
    if stop.is_set() or job.minutes is None:
        _say(phase="stopped" if stop.is_set() else "looked")
        return
    _adapt(job, stop)


def _adapt(job: Job, stop: threading.Event) -> None:
    from sisgen.app.training.jobs import PSI
    from sisgen.train.adapt import AdaptConfig, adapt

    config = AdaptConfig(
        model=job.source,
        out=job.model,
        work=job.work,
        masks=job.masks,
        label_set=job.label_set,
        psi=PSI,
        minutes=_budget(job),
        force=True,
        device=job.device,
    )

    def report(progress: AdaptProgress) -> None:
        picture = None if progress.picture is None else str(progress.picture)
        done = LOOK_SHARE + (1 - LOOK_SHARE) * progress.done
        _say(stage=progress.stage, done=min(done, 0.999), left=progress.minutes_left, picture=picture)

    result = adapt(config, report=report, stop=stop)
    if not result.finished:
        _say(phase="stopped")
        return
    _say(phase="done", model=str(result.folder), agreement=result.validation_after)


def _budget(job: Job) -> float:
    """Minutes for all stages together: other labels than those of the last start get the whole time once more."""
    from sisgen.io.files import write_text
    from sisgen.train.adaptation.state import load_state

    assert job.minutes is not None
    note, state = job.work / "labels.json", load_state(job.work)
    masks, before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else (job.masks.name, 0.0)
    if masks != job.masks.name:
        before = 0.0 if state is None or state.figures else state.seconds / 60
    write_text(note, json.dumps([job.masks.name, before]))
    return job.minutes + float(before)


def _tell(job: Job, found: Any) -> None:
    from sisgen.app.training.insight import tell
    from sisgen.io.files import write_text

    write_text(job.folder / "insight.json", json.dumps(tell(found, job)))
    _say(insight=True)


def _say(**content: object) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _watch(stop: threading.Event) -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock this thread would hold when the program ends
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
