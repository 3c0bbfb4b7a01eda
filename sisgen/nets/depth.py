"""Depth network: from one picture to how near every pixel is. Small, trained on rendered portraits, whose depth is exact.

Its body is the U-net of the readers with one output. Depth from one picture has neither unit nor zero, so that what is read is brought
to 0 for the farthest place of a picture and 1 for the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.io.configs import from_dict, read_json
from sisgen.io.weights import load_module
from sisgen.nets.reader import MULTIPLE, Reader, ReaderConfig
from sisgen.shapes import check_shape

SPAN = 0.02  # share of the pixels that may lie beyond the nearest and farthest place: noise is no landmark


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthConfig:
    """What a `DepthNet` is built from."""

    width: int = 16  # channels at 1/2 of the resolution; up to 4x below

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 256:
            raise InputError(f"A depth network's width must be in [1, 256], but it is {self.width}; correct its config.")


class DepthNet(nn.Module):
    """Reads depth from pictures.

    Args:
        config: its width.
    """

    def __init__(self, config: DepthConfig | None = None) -> None:
        super().__init__()
        self.config = config or DepthConfig()
        self.body = Reader(ReaderConfig(num_labels=1, width=self.config.width))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give depth as it was trained, larger is nearer: [B, 3, H, W], sides multiples of 16 -> [B, 1, H, W] in (0, 1)."""
        return torch.sigmoid(self.body(images))

    @torch.no_grad()
    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Read depth from pictures of any size.

        Args:
            images: float [B, 3, H, W] in [-1, 1].

        Returns:
            Float [B, 1, H, W], 0 at the farthest place of every picture, 1 at the nearest.
        """
        check_shape("images", images, (None, 3, None, None))
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        return normalise_depth(self(padded)[..., :height, :width])


def normalise_depth(depth: torch.Tensor) -> torch.Tensor:
    """Bring depth [B, 1, H, W] of any unit to [0, 1], a picture at a time; an even one becomes 0."""
    values = depth.flatten(1)
    ends = torch.quantile(values, torch.tensor([SPAN / 2, 1 - SPAN / 2], device=depth.device, dtype=depth.dtype), dim=1)
    far, near = ends[0][:, None, None, None], ends[1][:, None, None, None]
    span = near - far
    return torch.where(span > 1e-3, ((depth - far) / span.clamp_min(1e-3)).clamp(0, 1), torch.zeros_like(depth))


def load_depth(folder: str | Path, device: torch.device | str = "cpu") -> DepthNet:
    """Load a depth network for use: evaluation mode, no gradients.

    Args:
        folder: with `config.json` and `depth.safetensors`.
        device: where it will run.

    Raises:
        CheckpointError: a file is missing, altered or does not fit.
    """
    folder = Path(folder)
    content = read_json(folder / "config.json")
    config = from_dict(DepthConfig, content.get("depth", {}), where=f"The depth network in '{folder}'")
    sha256 = content.get("files", {}).get("depth.safetensors")
    net = load_module(folder / "depth.safetensors", lambda: DepthNet(config), sha256=sha256).requires_grad_(False)
    return net.to(device)
