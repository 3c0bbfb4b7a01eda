"""A picture -> `Condition` of soft contours, by HED or by the small network that stands in for it (hop 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.conditions.mask import crop_box
from sisgen.conditions.pictures import square_picture
from sisgen.errors import InputError, ModelNotFoundError
from sisgen.hub.download import Report
from sisgen.hub.hed import find_edges, find_hed
from sisgen.nets.edges import SMALLEST, load_edges
from sisgen.nets.hed import load_hed
from sisgen.nets.lines import luminance
from sisgen.nets.looks import mean_of_looks
from sisgen.types import Condition

DETECTORS = ("hed", "edges")
SIZES = (0.5, 1.0, 1.5)  # of a picture that is looked at carefully, relative to its own


class Contours(Protocol):
    """What finds contours in pictures."""

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Map [B, 3, H, W] in [-1, 1] to [B, 1, H, W] in [0, 1]."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """A network that finds contours, ready for use.

    Attributes:
        name: "hed", or "edges" for the small one.
        source: the same in words for the page.
        net: what reads.
        device: where it runs.
    """

    name: str
    source: str
    net: Contours
    device: torch.device

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Map pictures [B, 3, H, W] in [-1, 1] to contours [B, 1, H, W] in [0, 1], on the CPU."""
        return self.net.read(images.to(self.device)).cpu()


def read_carefully(net: Contours, images: torch.Tensor) -> torch.Tensor:
    """Look at pictures [B, 3, H, W] in `SIZES`, each as it is and mirrored (after RCF, Liu et al., CVPR 2017): the mean [B, 1, H, W].

    Sizes whose sides are too short for a network are left out. Seven times the work of one look: pages and `generate` look once, as
    mappers did when they learned.
    """
    height, width = images.shape[-2:]
    scaled = []
    for factor in SIZES:
        size = (round(factor * height), round(factor * width))
        if factor < 1 and min(size) < SMALLEST:
            continue
        scaled.append(images if factor == 1 else F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False))
    return mean_of_looks(net.read, scaled, (height, width))


def load_detector(device: torch.device | str = "cpu", *, prefer: str | None = None, report: Report | None = None) -> Detector:
    """Load what finds contours.

    Args:
        device: where it will run.
        prefer: "hed" takes the real one and may download its 30 MB; "edges" takes the small one; `None` takes HED where it
            lies on this machine already, else the small one, and touches no network.
        report: told how far a download is.

    Raises:
        InputError: `prefer` is neither.
        ModelNotFoundError: the one that was asked for is out of reach.
        CheckpointError: its files are damaged.
    """
    if prefer not in (None, *DETECTORS):
        raise InputError(f"The detector must be one of {', '.join(DETECTORS)}, but it is {prefer!r}; leave it away for the best one here.")
    device = torch.device(device)
    weights = None if prefer == "edges" else find_hed(allow_network=prefer == "hed", report=report)
    if weights is not None:
        return Detector(name="hed", source="HED (ControlNet)", net=load_hed(weights, device), device=device)
    if prefer == "hed":
        raise ModelNotFoundError("HED's weights are not on this machine and HF_HUB_OFFLINE forbids to fetch them; unset it once.")
    folder = find_edges()
    if folder is None:
        raise ModelNotFoundError("No edge network is on this machine; train one: python -m sisgen train edges --export checkpoints/edges.")
    return Detector(name="edges", source="small edge network (BSDS500)", net=load_edges(folder, device), device=device)


def hed_condition(picture: NDArray[np.uint8], size: int, detector: Contours | None, *, edges: bool = False) -> Condition:
    """Make a picture ready for the mapper of soft contours.

    Args:
        picture: uint8 RGB [H, W, 3] of any size; fitted into a square, never stretched, without contours around it.
        size: the model's picture size in pixels.
        detector: finds contours; samples went through the same network when the mapper learned. `None` with `edges`.
        edges: the picture is a map of contours already, white = contour.

    Returns:
        A condition with `map` float [1, 1, size, size] in [0, 1], 1 = contour.

    Raises:
        InputError: it is no such picture, or no detector came.
    """
    if edges:
        return Condition(kind="hed", map=luminance(square_picture(picture, size, fill=(0, 0, 0))))
    if detector is None:
        raise InputError("A picture needs a detector of contours, but none came; pass load_detector().")
    square = square_picture(picture, size)
    top, left, bottom, right = crop_box(picture.shape[0], picture.shape[1], size)
    if min(bottom - top, right - left) < SMALLEST:  # a strip too narrow to read alone
        top, left, bottom, right = 0, 0, size, size
    found = torch.zeros(1, 1, size, size)  # nothing is drawn where there is no picture
    found[..., top:bottom, left:right] = detector.read(square[..., top:bottom, left:right]).clamp(0, 1)
    return Condition(kind="hed", map=found)
