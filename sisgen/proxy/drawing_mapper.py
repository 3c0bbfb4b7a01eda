"""Drawing mapper: from scribbles, sketched lines, edge maps or depth to a proxy mask (SIS-UG, sec. 3.2), one network a kind.

Scribbles have classes, as masks have: their network completes them to a whole mask, which the mask mapper reads on. So does that of depth,
which leaves open what eyes look like and whether there are glasses: a proxy mask that is a mean of all that may be there makes smeared
faces, while the likeliest class of every place makes a mask as a person would paint it. Older models' go straight to the proxy mask.

A U-net, since sparse lines mean little without a view of the whole picture: it works at a quarter of the resolution after
space-to-depth, and at an eighth, a sixteenth and a thirty-second of it, where most of the thinking is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.nets.layers import channel_softmax, channels_last, fold_conv, unfold_conv
from sisgen.shapes import check_shape
from sisgen.types import ProxyMask

SHARPNESS = 1.5  # of proxy masks: features mixed of several clusters look like none of them; chosen on validation, by FD and lines
DRAWING_KINDS = ("scribble", "sketch", "canny", "hed", "depth")  # kinds of condition that a drawing mapper reads
COMPLETED_KINDS = ("scribble", "depth")  # those that are completed to classes


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingMapperConfig:
    """Sizes of a drawing mapper."""

    channels: int = 1  # of the condition: L for scribbles, else 1
    num_clusters: int = 32  # K
    resolution: int = 128  # side of the condition
    proxy_resolution: int = 64
    width: int = 48  # channels at 1/4 of the resolution; a third more below
    blocks: int = 2  # at each of 1/8, 1/16 and 1/32 on the way down
    completes: bool = False  # for scribbles and depth: gives the classes of the whole picture, instead of its clusters
    num_labels: int = 0  # those classes; 0 = as many as channels, each of which holds the strokes of one

    def __post_init__(self) -> None:
        for name, most in (("channels", 256), ("num_clusters", 8192), ("width", 1024), ("blocks", 16)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise InputError(f"A drawing mapper's {name} must be in 1..{most}, but it is {value}; correct the config.")
        if not 0 <= self.num_labels <= 256:
            raise InputError(f"A drawing mapper's num_labels must be in 0..256, but it is {self.num_labels}; correct the config.")
        if self.resolution % 8 or self.resolution not in (self.proxy_resolution, 2 * self.proxy_resolution, 4 * self.proxy_resolution):
            sizes = f"{self.resolution} and {self.proxy_resolution}"
            raise InputError(f"A drawing mapper's resolution must be 1, 2 or 4 times its proxy's, but they are {sizes}; correct it.")

    @property
    def outputs(self) -> tuple[int, int]:
        """Channels and side of what it gives: of logits of classes, or of clusters."""
        return (self.num_labels or self.channels, self.resolution) if self.completes else (self.num_clusters, self.proxy_resolution)

    @property
    def strokes_have_classes(self) -> bool:
        """Whether what is drawn names its class."""
        return self.completes and not self.num_labels


def group_norm(width: int) -> nn.GroupNorm:
    """Normalise in up to 8 groups of at least 2 channels: at 1 x 1, a channel alone has no spread."""
    return nn.GroupNorm(math.gcd(8, max(1, width // 2)), width)


class Block(nn.Module):
    """Residual convolution of the normalised input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(F.relu(self.norm(x)))


class Up(nn.Module):
    """One step up: narrow, double, add the skip, mix."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_width, width, 1)
        self.mix = Block(width)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        raised = F.interpolate(self.narrow(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.mix(raised + skip)


class DrawingMapper(nn.Module):
    """Drawing [B, C, H, W] -> proxy logits [B, K, h, w], or logits of classes [B, L, H, W] where it completes.

    Args:
        config: sizes.
    """

    def __init__(self, config: DrawingMapperConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        below = -(-width * 4 // 3)
        self.stem = nn.Conv2d(config.channels * 16, width, 1)  # of the space-to-depth by 4
        self.local = Block(width)
        self.downs = nn.ModuleList(nn.Conv2d(width if i == 0 else below, below, 3, stride=2, padding=1) for i in range(3))
        self.levels = nn.ModuleList(nn.Sequential(*(Block(below) for _ in range(config.blocks))) for _ in range(3))
        self.context = nn.Linear(below, below)
        self.ups = nn.ModuleList([Up(below, below), Up(below, below), Up(below, width)])
        self.norm = group_norm(width)
        num, size = config.outputs
        self.scale = size * 4 // config.resolution  # sub-pixels of the head
        self.head = nn.Conv2d(width, num * self.scale**2, 1)

    def forward(self, drawing: torch.Tensor, leaning: torch.Tensor | None = None) -> torch.Tensor:
        """Give logits of every cluster at every place of the proxy grid, or of every class at every pixel.

        Args:
            drawing: float [B, C, H, W] in [0, 1]; 0 where nothing was drawn.
            leaning: [B, K], added to the logits of every place, see `leaning.py`; `None` adds nothing.

        Returns:
            Logits [B, K, h, w] or [B, L, H, W].
        """
        check_shape("drawing", drawing, (None, self.config.channels, self.config.resolution, self.config.resolution))
        # Down to a thirty-second.
        x = self.local(fold_conv(channels_last(drawing), self.stem, 4))  # [B, C, H/4, W/4]
        skips = [x]
        for down, level in zip(self.downs, self.levels):
            x = level(down(x))
            skips.append(x)

        # What the whole picture says, to every place.
        x = skips.pop()
        x = x + self.context(x.mean(dim=(2, 3)))[:, :, None, None]

        # Back up, and to the proxy grid through sub-pixels.
        for up in self.ups:
            x = up(x, skips.pop())
        return unfold_conv(F.relu(self.norm(x)), self.head, self.scale, leaning)

    def complete(self, drawing: torch.Tensor) -> torch.Tensor:
        """Complete a drawing to the classes of the whole picture; strokes that have classes are taken at their word.

        It is looked at in the mirror as well, as in training: two looks err less than one, and cost a quarter more.

        Args:
            drawing: as for `forward`.

        Returns:
            int64 [B, H, W].
        """
        seen, mirrored = self(torch.cat([drawing, drawing.flip(3)])).chunk(2)
        found = (seen + mirrored.flip(3)).argmax(dim=1)
        return torch.where(drawing.amax(dim=1) > 0.5, drawing.argmax(dim=1), found) if self.config.strokes_have_classes else found

    def read(self, drawing: torch.Tensor, leaning: torch.Tensor | None = None) -> ProxyMask:
        """Map a drawing to a proxy mask, somewhat surer than its logits; `leaning` as for `forward`."""
        return sharpened(self(drawing, leaning))


def sharpened(logits: torch.Tensor) -> ProxyMask:
    """Take logits [B, K, h, w] of a drawing mapper for a proxy mask, as pages show it."""
    return ProxyMask(probs=channel_softmax(SHARPNESS * logits))
