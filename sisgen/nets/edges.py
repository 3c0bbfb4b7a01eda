"""Edge network: from a picture to the probability of a contour at every pixel (the task of HED, Xie & Tu, ICCV 2015).

SqueezeNet's stages say what belongs together, a light stem at full resolution says exactly where it ends, and a way down from
coarse to fine joins them; every level is supervised. It stands in for HED where no download is possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.io.configs import from_dict, read_json
from sisgen.io.weights import load_module, read_weights
from sisgen.nets.reader import Context, ConvNorm, Residual, Up
from sisgen.nets.squeezenet import FIRES, MEAN_BGR, Fire
from sisgen.shapes import check_shape

MULTIPLE = 16  # sides that fit every level
SMALLEST = 16  # least side that can be mirrored at its edges
SMALL = 192  # pictures up to this side are read at twice their size: photographs of 480 px taught what a contour looks like
LEVELS = {  # reduction -> its stages, whose typical size brings them to the same range
    2: {"conv1": 32.0},
    4: {"fire2": 128.0, "fire3": 192.0, "fire4": 192.0},
    8: {"fire5": 256.0, "fire6": 128.0, "fire7": 96.0, "fire8": 32.0},
    16: {"fire9": 32.0},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeConfig:
    """What an `EdgeNet` is built from."""

    full: int = 16  # channels at full resolution
    half: int = 32  # at 1/2
    quarter: int = 48  # at 1/4
    deep: int = 64  # at 1/8 and 1/16

    def __post_init__(self) -> None:
        for name, value in (("full", self.full), ("half", self.half), ("quarter", self.quarter), ("deep", self.deep)):
            if not 1 <= value <= 512:
                raise InputError(f"An edge network's {name} must be in [1, 512], but it is {value}; correct its config.")


class Trunk(nn.Module):
    """SqueezeNet without its classifier, padded so that the cells of every level lie over the picture."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        for name, sizes in FIRES.items():
            self.add_module(name, Fire(*sizes))
        self.register_buffer("mean", torch.tensor(MEAN_BGR).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Map [B, 3, H, W] in [-1, 1] to reduction -> the stages there side by side, [B, C, H / reduction, W / reduction].

        Cells of 1/2 and 1/4 lie half a pixel off, those of 1/8 one and a half, those of 1/16 two and a half.
        """
        x = F.pad((images.flip(1) + 1) * 127.5 - self.mean, (3, 3, 3, 3), mode="reflect")
        x = F.relu(self.conv1(x.contiguous(memory_format=torch.channels_last)))
        levels = {2: x / LEVELS[2]["conv1"]}
        for reduction in (4, 8, 16):
            x = F.max_pool2d(x, 3, stride=2, padding=1) if reduction == 8 else F.max_pool2d(x, 3, stride=2, ceil_mode=True)
            stages = []
            for name, size in LEVELS[reduction].items():
                x = self.get_submodule(name)(x)
                stages.append(x / size)
            levels[reduction] = torch.cat(stages, dim=1)
        return levels


class EdgeNet(nn.Module):
    """Contours from pictures.

    Args:
        config: its widths.
    """

    def __init__(self, config: EdgeConfig | None = None) -> None:
        super().__init__()
        self.config = sizes = config or EdgeConfig()
        self.trunk = Trunk()
        self.stem1 = nn.Sequential(ConvNorm(3, sizes.full), ConvNorm(sizes.full, sizes.full))
        self.stem2 = ConvNorm(sizes.full, sizes.half, stride=2)
        self.lateral2 = ConvNorm(96, sizes.half, kernel=1)
        self.lateral4 = ConvNorm(512, sizes.quarter, kernel=1)
        self.lateral8 = ConvNorm(1536, sizes.deep, kernel=1)
        self.deep = nn.Sequential(ConvNorm(512, sizes.deep, kernel=1), Context(sizes.deep), Residual(sizes.deep))
        self.up8, self.up4 = Up(sizes.deep, sizes.deep), Up(sizes.deep, sizes.quarter)
        self.up2, self.up1 = Up(sizes.quarter, sizes.half), Up(sizes.half, sizes.full)
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in (sizes.full, sizes.half, sizes.quarter, sizes.deep))
        for head in self.heads:
            nn.init.constant_(head.bias, -2.0)  # type: ignore[arg-type]  # contours are rare

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Give the logits of every level.

        Args:
            images: float [B, 3, H, W] in [-1, 1]; sides multiples of 16.

        Returns:
            Four times [B, 1, H, W]: first the one that counts, then those at 1/2, 1/4 and 1/8, enlarged.
        """
        levels = self.trunk(images)
        full = self.stem1(images.contiguous(memory_format=torch.channels_last))
        half = self.stem2(full) + self.lateral2(levels[2])

        # From coarse to fine.
        x8 = self.up8(self.deep(levels[16]), self.lateral8(levels[8]))
        x4 = self.up4(x8, self.lateral4(levels[4]))
        x2 = self.up2(x4, half)
        x1 = self.up1(x2, full)
        logits = [head(x) for head, x in zip(self.heads, (x1, x2, x4, x8))]
        size = images.shape[-2:]
        return logits[:1] + [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in logits[1:]]

    @torch.no_grad()
    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Find contours in pictures of any size.

        Args:
            images: float [B, 3, H, W] in [-1, 1], sides of at least 16.

        Returns:
            Float [B, 1, H, W], probabilities in [0, 1].

        Raises:
            InputError: a side is too short.
        """
        check_shape("images", images, (None, 3, None, None))
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST:
            raise InputError(f"A picture must have sides of at least {SMALLEST} pixels, but it has {width} x {height}; take a larger one.")
        images, fold = enlarge_small(images)
        padded = F.pad(images, (0, -images.shape[-1] % MULTIPLE, 0, -images.shape[-2] % MULTIPLE), mode="reflect")
        found = torch.sigmoid(self(padded)[0].float())[..., : images.shape[-2], : images.shape[-1]]
        return F.max_pool2d(found, fold)


def enlarge_small(images: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Double pictures [B, 3, H, W] of up to 192 px: the pictures to read, and how often they are larger."""
    if max(images.shape[-2:]) > SMALL:
        return images, 1
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False), 2


def start_from_squeezenet(net: EdgeNet, folder: str | Path) -> None:
    """Fill the trunk with SqueezeNet's weights from its folder.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    have = read_weights(Path(folder) / "squeezenet.safetensors")
    net.trunk.load_state_dict({name: have[name].float() for name in net.trunk.state_dict()})


def load_edges(folder: str | Path, device: torch.device | str = "cpu") -> EdgeNet:
    """Load an edge network for use: evaluation mode, no gradients.

    Args:
        folder: with `config.json` and `edges.safetensors`.
        device: where it will run.

    Raises:
        CheckpointError: a file is missing, altered or does not fit.
    """
    folder = Path(folder)
    content = read_json(folder / "config.json")
    config = from_dict(EdgeConfig, content.get("edges", {}), where=f"The edge network in '{folder}'")
    sha256 = content.get("files", {}).get("edges.safetensors")
    net = load_module(folder / "edges.safetensors", lambda: EdgeNet(config), sha256=sha256).requires_grad_(False)
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
