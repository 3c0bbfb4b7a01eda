"""What the label tab can do, as plain functions: no gradio, no web, so that a test or a script can call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.app.models import is_private
from sisgen.app.training.jobs import job_folder, new_token, read_job, read_wanted, write_job
from sisgen.app.training.preview import read_pairs
from sisgen.app.training.saved import pack_model, save_model
from sisgen.errors import InputError
from sisgen.shapes import drawing_size

if TYPE_CHECKING:
    from sisgen.app.context import Context

MAX_JOB_BYTES = 4 * 2**20  # of what the page sends to start a training


def start_training(context: Context, data: bytes) -> dict[str, Any]:
    """Start a training, or a look of some seconds at what the labels teach.

    Args:
        context: of this server.
        data: JSON of `jobs.read_wanted`, with "job", an unguessable token that names the visitor's training; without it one is made.

    Returns:
        "job", the token that names it from now on, and its state.

    Raises:
        InputError: trainings are off, another one runs, or what was sent cannot be trained.
    """
    context.trainings.check_allowed()
    context.trainings.check_free()
    try:
        content = json.loads(data)
    except ValueError:
        raise InputError("What the page sent came in damaged; try once more.") from None
    wanted = read_wanted(content)
    token = content.get("job") if isinstance(content.get("job"), str) else None
    token = token or new_token()
    with context.registry.lease(wanted.model) as pipe:
        if pipe.folder is None:
            raise InputError("This model lies in no folder, so it cannot be taught; choose another one from the model menu.")
        job = write_job(wanted, token, source=pipe.folder, resolution=drawing_size(pipe.resolution), device=pipe.device.type)
    context.trainings.start(job)
    return {"job": token, **describe_training(context, token)}


def describe_training(context: Context, token: str | None) -> dict[str, Any]:
    """Tell the page how a training stands, and whether one may be started here.

    Args:
        context: of this server.
        token: of the visitor's own training; `None` where there is none.

    Returns:
        "refusal", a sentence or `None`, the state of `Trainings.state` without paths of this machine, and "keeps", whether what is saved
        here stays: on a public page it goes when room is needed.
    """
    refusal = context.trainings.refusal
    if refusal is not None or not token:
        return {"refusal": refusal, "phase": "none"}
    state = context.trainings.state(token)
    shown = {key: value for key, value in state.items() if key not in ("model", "picture")}
    shown["picture"] = _stamp(state.get("picture"))
    shown["pictured"] = Path(str(state.get("picture"))).parent.name if shown["picture"] else None
    return {"refusal": None, "keeps": is_private(context.settings), **shown}


def stop_training(context: Context, token: str) -> dict[str, Any]:
    """Ask a training to end at its next step; the same labels go on from there."""
    context.trainings.check_allowed()
    context.trainings.stop(token)
    return describe_training(context, token)


def read_insight(context: Context, token: str) -> dict[str, Any]:
    """Read what the labels have taught so far, see `insight.tell`.

    Raises:
        InputError: nothing is known yet.
    """
    context.trainings.check_allowed()
    try:
        return json.loads((job_folder(token) / "insight.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError("Nothing was learned from these labels yet; start the training.") from None


def read_preview(context: Context, token: str) -> bytes:
    """Read the newest picture of a training, a PNG; see `preview.read_pairs`.

    Raises:
        InputError: there is none yet.
    """
    context.trainings.check_allowed()
    folder, named = job_folder(token), context.trainings.state(token).get("picture")
    path = Path(named) if isinstance(named, str) else folder
    if folder.resolve() not in path.resolve().parents:
        raise InputError("There is no picture of this training yet; wait a moment.")
    return read_pairs(path, read_job(folder))


def save_training(context: Context, token: str, title: object) -> dict[str, Any]:
    """Save a finished training as a model that the menu offers.

    Raises:
        InputError: it is not finished, or the name cannot be used.
    """
    context.trainings.check_allowed()
    state, folder = context.trainings.state(token), job_folder(token)
    model = Path(str(state.get("model", "")))
    if state.get("phase") != "done" or not model.is_dir():
        raise InputError("There is no finished training to save; train first.")
    name = save_model(model, title, mine=state.get("saved"), masks=_masks(folder), visitors=not is_private(context.settings))
    context.trainings.note_saved(token, name)
    context.registry.forget(name)
    return {"name": name, **describe_training(context, token)}


def pack_training(context: Context, token: str) -> tuple[Path, str]:
    """Pack a saved training; its zip file and the name to offer it under.

    Raises:
        InputError: it was not saved.
    """
    context.trainings.check_allowed()
    name = context.trainings.state(token).get("saved")
    if not isinstance(name, str):
        raise InputError("Save the model under a name first, then download it.")
    return pack_model(name, job_folder(token) / "model.zip"), f"{name}.zip"


def _masks(folder: Path) -> list[Path]:
    job = read_job(folder)
    return [job.masks / f"{seed}.png" for seed in job.seeds]


def _stamp(path: object) -> int | None:
    """When a picture was written, so that the page asks for it once."""
    try:
        return Path(path).stat().st_mtime_ns // 1_000_000 if isinstance(path, str) else None
    except OSError:
        return None
