"""A depth picture, or a photograph through a depth network -> `Condition` of depth: 1 = near, 0 = far (hop 1)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sisgen.conditions.pictures import check_picture, is_grey, square_picture
from sisgen.errors import InputError
from sisgen.nets.depth import DepthNet, normalise_depth
from sisgen.nets.lines import luminance
from sisgen.types import Condition


def depth_condition(picture: NDArray[np.uint8], size: int, network: DepthNet | None = None, *, depth: bool | None = None) -> Condition:
    """Make a depth picture or a photograph ready for its mapper.

    Args:
        picture: uint8 RGB [H, W, 3] of any size; padded to a square with its border, never stretched.
        size: the model's picture size in pixels.
        network: reads depth from photographs; `None` where there is none.
        depth: whether the picture shows depth already, white = near; `None` takes a grey one for depth and a coloured one for a photograph.

    Returns:
        A condition with `map` float [1, 1, size, size] in [0, 1], 0 at the picture's farthest place, 1 at its nearest.

    Raises:
        InputError: it is no such picture, or a photograph without a network.
    """
    check_picture(picture)
    square = square_picture(picture, size)
    if is_grey(picture) if depth is None else depth:
        return Condition(kind="depth", map=normalise_depth(luminance(square)))
    if network is None:
        raise InputError("A photograph needs a depth network, but none is loaded; give a depth picture, in grey, white = near.")
    device = next(network.parameters()).device
    with torch.inference_mode():
        found = network.read(square.to(device)).cpu()
    return Condition(kind="depth", map=found)
