"""Snapshots of training runs: plain tensors and numbers in PyTorch's format, written whole, read without running anything."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from sisgen.io.files import replace_file

log = logging.getLogger(__name__)


def write_snapshot(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a snapshot atomically."""
    with replace_file(path) as temporary:
        torch.save(state, temporary)


def load_newest_state(folder: Path, pattern: str = "state-*.pt") -> dict[str, Any] | None:
    """Read the newest snapshot of a run that is whole; `None` when there is none."""
    for path in sorted(folder.glob(pattern), reverse=True):
        try:
            if not zipfile.is_zipfile(path):  # PyTorch would try its old format, which fails in any way on any bytes
                raise ValueError("it is cut off or no snapshot")
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            log.warning("skipping the damaged snapshot %s: %s", path.name, str(error).split("\n")[0])
            continue
        return state
    return None
