"""The networks that find soft edges and depth in photographs: each loaded once a device, when a visitor needs it for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from sisgen.conditions.hed import Detector
    from sisgen.nets.depth import DepthNet


def readable(kinds: Sequence[str]) -> list[str]:
    """Leave away kinds whose pictures nothing on this machine can make."""
    from sisgen.conditions.hed import find_edges, find_hed
    from sisgen.hub import shipped_folder

    present = {
        "hed": lambda: find_edges() is not None or find_hed(allow_network=False) is not None,
        "depth": lambda: shipped_folder("depth") is not None,
    }
    return [kind for kind in kinds if kind not in present or present[kind]()]


@lru_cache(maxsize=4)
def edge_detector(device: torch.device) -> Detector:
    """Load what finds soft edges."""
    from sisgen.conditions.hed import load_detector

    return load_detector(device=device)


@lru_cache(maxsize=4)
def depth_network(device: torch.device) -> DepthNet | None:
    """Load what reads depth from photographs; `None` where there is none, so that only depth pictures can be opened."""
    from sisgen.hub import shipped_folder
    from sisgen.nets.depth import load_depth

    folder = shipped_folder("depth")
    return None if folder is None else load_depth(folder, device)
