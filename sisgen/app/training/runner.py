"""The one training that a server runs at a time, and what is known of those before."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sisgen.app.training.jobs import Job, job_folder, read_state
from sisgen.app.training.quota import make_room, saved_folder
from sisgen.errors import InputError
from sisgen.hub.places import is_model
from sisgen.io.configs import write_json

GRACE = 5.0  # seconds that a stopped training has for its last step and snapshot
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Run:
    """The training that runs."""

    job: Job
    process: subprocess.Popen[str]
    state: dict[str, Any]
    since: float = field(default_factory=time.monotonic)


class Trainings:
    """Start, watch and stop trainings, one at a time for all visitors.

    Args:
        refusal: why nothing may be trained on this server, in one sentence; `None` where it may.
    """

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal = refusal
        self._saved: list[str] = []
        self._run: _Run | None = None
        self._lock = threading.Lock()

    def check_allowed(self) -> None:
        """Raise an `InputError` where nothing may be trained."""
        if self.refusal is not None:
            raise InputError(self.refusal)

    def check_free(self) -> None:
        """Raise an `InputError` that tells how long it takes while a training runs."""
        run = self._run
        if run is not None and run.process.poll() is None:
            ran, left = _minutes((time.monotonic() - run.since) / 60), run.state.get("left")
            more = f" and needs about {_minutes(left)} more" if left else ""
            raise InputError(f"Another training has been running here for {ran}{more}; yours can start as soon as it ends.")

    def start(self, job: Job) -> None:
        """Start a job.

        Raises:
            InputError: trainings are off, or another one runs.
        """
        self.check_allowed()
        with self._lock:
            self.check_free()
            make_room([job.folder])
            before = read_state(job.folder)
            state = {"phase": "running", "stage": "look", "done": 0.0, "minutes": job.minutes, "saved": before.get("saved")}
            run = _Run(job, _spawn(job), state)
            self._run = run
            write_json(job.folder / "state.json", state)
        threading.Thread(target=self._listen, args=(run,), name="sisgen-training", daemon=True).start()

    def stop(self, token: str) -> None:
        """Ask a job to end at its next step, with a snapshot; nothing happens where it does not run."""
        run = self._run
        if run is not None and run.job.folder.name == token and run.process.stdin is not None:
            run.process.stdin.close()

    def state(self, token: str) -> dict[str, Any]:
        """Tell how a job stands; "phase" is "running", "looked", "stopped", "failed", "done" or "none" where it is not known."""
        folder, run = job_folder(token), self._run
        if run is not None and run.job.folder.name == token:
            return dict(run.state)
        state = read_state(folder)
        if state.get("phase") == "running":  # of a server that is gone
            state["phase"] = "stopped"
        return state or {"phase": "none"}

    def note_saved(self, token: str, name: str) -> None:
        """Remember under which name a job's model was saved; what is oldest makes room for it."""
        run = self._run
        if run is not None and run.job.folder.name == token:
            run.state["saved"] = name
        write_json(job_folder(token) / "state.json", {**self.state(token), "saved": name})
        self._saved = list(dict.fromkeys([*self._saved, name]))
        running = [] if run is None or run.process.poll() is not None else [run.job.folder]
        make_room([saved_folder(name), job_folder(token), *running])

    def saved_names(self) -> tuple[str, ...]:
        """Name the models that were saved since the server started and are still there."""
        return tuple(name for name in self._saved if is_model(saved_folder(name)))

    def close(self) -> None:
        """Stop what runs, and end it by force when it takes too long."""
        run = self._run
        if run is None or run.process.poll() is not None:
            return
        self.stop(run.job.folder.name)
        try:
            run.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            run.process.kill()

    def _listen(self, run: _Run) -> None:
        """Take in what the process says until it ends."""
        assert run.process.stdout is not None
        end: dict[str, Any] = {}
        for line in run.process.stdout:
            said = _read_line(line)
            end = said if "phase" in said else end
            if said.pop("insight", False):
                run.state["insight"] = run.state.get("insight", 0) + 1
            run.state.update({key: value for key, value in said.items() if value is not None and "phase" not in said})
        code = run.process.wait()
        if not end:
            _log.warning("a training ended with exit code %s; see %s", code, run.job.folder / "log.txt")
            end = {"phase": "failed", "error": "The training ended before it was done; start it again, it goes on where it was."}
        run.state.update(end)  # not earlier: whoever reads that it has ended may start the next one at once
        write_json(run.job.folder / "state.json", run.state)


def _spawn(job: Job) -> subprocess.Popen[str]:
    """Start the process that trains, with its errors in the job's log."""
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    threads = str(max(1, (os.cpu_count() or 2) - 1))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "sisgen.app.training.child", str(job.folder)]
    with (job.folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True, start_new_session=True
        )


def _read_line(line: str) -> dict[str, Any]:
    """Read one line of the process that trains; empty where a library printed something."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _minutes(value: float) -> str:
    whole = max(1, round(value))
    return "1 minute" if whole == 1 else f"{whole} minutes"
