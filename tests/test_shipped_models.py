"""What the shipped models must keep doing, measured on a few samples: faces under depth maps are whole, however these were made."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest
import torch

from sisgen.hub import shipped_folder
from sisgen.nets.depth import load_depth
from sisgen.pipeline import Pipeline
from sisgen.types import Condition

SHAPES, STYLES = list(range(8)), list(range(100, 108))
STEPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "smooth": lambda depth: depth,
    "as a page keeps it": lambda depth: (15 * depth).round() / 15,
    "as a person paints it": lambda depth: (3 * depth).round() / 3,
}


@lru_cache(maxsize=1)
def portraits() -> Pipeline:
    return Pipeline.from_pretrained("portraits", device="cpu")


@pytest.mark.parametrize("steps", STEPS)
def test_faces_under_a_depth_map_are_whole(steps: str) -> None:
    pipe, folder = portraits(), shipped_folder("depth")
    assert folder is not None
    network = load_depth(folder)
    shapes, plain = (pipe(seeds=seeds).images.clamp(-1, 1) for seeds in (SHAPES, STYLES))
    depth = network.read(shapes)
    made = pipe(Condition(kind="depth", map=STEPS[steps](depth)), seeds=STYLES).images.clamp(-1, 1)

    error, chance = (float((network.read(images) - depth).abs().mean()) for images in (made, plain))
    assert error < 0.4 * chance

    # Every face has its parts, where a face of that shape has them.
    wanted, found = pipe.engine.reader.read(shapes), pipe.engine.reader.read(made)
    assert float((wanted == found).float().mean()) > 0.92
    for name in ("eye", "nose", "mouth"):
        part = pipe.labels.names.index(name)
        sizes, kept = ((labels == part).sum(dim=(1, 2)).float() for labels in (wanted, found))
        assert bool((kept > 0.4 * sizes).all() and (kept < 2.5 * sizes).all()), name
