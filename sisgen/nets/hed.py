"""HED as ControlNet's authors trained it anew: VGG's five blocks, each with a side output (Xie & Tu, ICCV 2015; Zhang et al., ICCV 2023).

The weights are theirs (Apache-2.0) and are not part of this project; names and sizes follow their file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.errors import CheckpointError
from sisgen.io.stored import StoredTensor
from sisgen.io.torch_files import read_foreign
from sisgen.nets.edges import enlarge_small
from sisgen.shapes import check_shape

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions of VGG-16's blocks


class SideBlock(nn.Module):
    """Convolutions at one resolution, and one number a place for the contour."""

    def __init__(self, in_channels: int, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels if i else in_channels, channels, 3, padding=1) for i in range(count))
        self.projection = nn.Conv2d(channels, 1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [B, C', h, w] to features [B, C, h, w] and logits [B, 1, h, w]."""
        for conv in self.convs:
            x = F.relu(conv(x))
        return x, self.projection(x)


class HED(nn.Module):
    """Contours from pictures; see `read`.

    Args:
        blocks: channels and convolutions of every block; tests take small ones.
    """

    def __init__(self, blocks: tuple[tuple[int, int], ...] = BLOCKS) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.num_blocks = len(blocks)
        before = 3
        for number, (channels, count) in enumerate(blocks, start=1):
            self.add_module(f"block{number}", SideBlock(before, channels, count))
            before = channels

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map RGB [B, 3, H, W] in 0..255 to the side logits [B, 1, H / 2^i, W / 2^i]."""
        x = images - self.norm
        logits = []
        for number in range(1, self.num_blocks + 1):
            x = F.max_pool2d(x, 2) if number > 1 else x
            x, side = self.get_submodule(f"block{number}")(x)
            logits.append(side)
        return logits

    @torch.no_grad()
    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Find contours.

        Args:
            images: float [B, 3, H, W] in [-1, 1], sides of at least 16.

        Returns:
            Float [B, 1, H, W], probabilities in [0, 1].
        """
        check_shape("images", images, (None, 3, None, None))
        images, fold = enlarge_small(images)
        sides = self((images.clamp(-1, 1) + 1) * 127.5)
        raised = [F.interpolate(side, size=images.shape[-2:], mode="bilinear", align_corners=False) for side in sides]
        return F.max_pool2d(torch.sigmoid(torch.stack(raised).mean(dim=0)), fold)


def load_hed(path: str | Path, device: torch.device | str = "cpu", *, blocks: tuple[tuple[int, int], ...] = BLOCKS) -> HED:
    """Load `ControlNetHED.pth` for use; nothing in the file is run.

    Args:
        path: the file.
        device: where it will run.
        blocks: as of `HED`.

    Raises:
        CheckpointError: the file is missing, refused, or not HED's.
    """
    content = read_foreign(path)
    content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    with torch.device("meta"):
        net = HED(blocks)
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    stored = {name: value for name, value in content.items() if isinstance(value, StoredTensor)}
    if {name: tuple(value.shape) for name, value in stored.items()} != wanted:
        raise CheckpointError(f"The file '{path}' must hold ControlNet's HED, but its tensors are others; get ControlNetHED.pth again.")
    net.load_state_dict({name: value.load().float() for name, value in stored.items()}, assign=True)
    net.eval().requires_grad_(False)
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
