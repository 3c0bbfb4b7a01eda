"""Room on the disk: what trainings leave there goes when it is old, or when there is too much of it, the oldest first."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sisgen.app.training.jobs import jobs_root
from sisgen.hub.places import cache_folder

MAX_JOBS, MAX_AGE = 20, 24 * 3600.0  # kept trainings, seconds since their last change
MAX_BYTES = 5 * 10**9  # of trainings and visitors' models together
VISITORS = "VISITORS.txt"  # in the folder of a model that a visitor saved
NOTE = "A visitor of a public page saved this model. It is removed when trainings and such models take more than 5 GB together.\n"


def saved_folder(name: str) -> Path:
    """Name the folder of a model that was saved from the page; it need not exist."""
    return cache_folder() / "checkpoints" / name


def make_room(keep: Collection[Path], *, most: int = MAX_BYTES) -> None:
    """Remove trainings that are too old or too many, then the oldest trainings and visitors' models until the others fit.

    Models that people at this machine saved are neither counted nor removed.

    Args:
        keep: folders that stay in any case; they count like the others.
        most: bytes of all that stays.
    """
    jobs, models = _folders(jobs_root()), [path for path in _folders(saved_folder("")) if (path / VISITORS).is_file()]
    num_jobs = num_bytes = 0
    for folder in sorted([*jobs, *models], key=lambda path: (path in keep, _changed(path)), reverse=True):  # the newest first
        stays, is_job = folder in keep, folder in jobs
        num_jobs += is_job
        if is_job and not stays and (num_jobs > MAX_JOBS or time.time() - _changed(folder) > MAX_AGE):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        num_bytes += folder_bytes(folder)
        if num_bytes > most and not stays:
            shutil.rmtree(folder, ignore_errors=True)


def folder_bytes(folder: Path) -> int:
    """Add up the files of a folder; one that vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


def _folders(root: Path) -> list[Path]:
    """List the folders inside one; a folder in the making has a dot before its name."""
    return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")] if root.is_dir() else []


def _changed(folder: Path) -> float:
    """When a folder changed last; long ago where it has vanished."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
