"""Image-space semantic reader: from a picture to the class of every pixel.

A small U-net that works at half resolution and below: space-to-depth carries every pixel into the stem, and a sub-pixel head
gives full-resolution logits back, so that thin parts (brows, rims) survive at a fraction of the usual cost. It serves as the
judges of `evaluate` and as the distilled reader inside a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.nets.looks import mean_of_looks
from sisgen.shapes import check_shape

MAX_WIDTH = 512
MULTIPLE = 16
SIZES = (1.0, 1.125, 1.25)  # of a picture that is looked at carefully, relative to its own; chosen on validation among wider ranges


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderConfig:
    """What a `Reader` is built from."""

    num_labels: int  # outputs L
    width: int = 32  # channels at 1/2 resolution; 2x at 1/4, 4x at 1/8 and 1/16
    depth: int = 1  # residual blocks on each level of the way down
    most: int | None = None  # larger pictures are brought to this side, and their labels have it; None reads them as they come

    def __post_init__(self) -> None:
        for name, value, most in (("num_labels", self.num_labels, 256), ("width", self.width, MAX_WIDTH), ("depth", self.depth, 8)):
            if not 1 <= value <= most:
                raise InputError(f"A reader's {name} must be in [1, {most}], but it is {value}; correct its config.")
        if self.most is not None and (self.most < MULTIPLE or self.most % MULTIPLE):
            raise InputError(f"A reader's most must be a multiple of {MULTIPLE}, but it is {self.most}; correct its config.")


PRESETS: Mapping[str, Mapping[str, int]] = {
    "a": {"width": 28, "depth": 1},
    "b": {"width": 32, "depth": 1},
    "live": {"width": 24, "depth": 1},
}


def preset(name: str, num_labels: int) -> ReaderConfig:
    """Look up a named size: "a" and "b" are the two judges, "live" the light one inside a model.

    Raises:
        InputError: no preset goes by this name.
    """
    if name not in PRESETS:
        raise InputError(f"A reader preset must be one of {', '.join(PRESETS)}, but it is {name!r}; choose one of these.")
    return ReaderConfig(num_labels=num_labels, **PRESETS[name])


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels, momentum=0.05),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels, momentum=0.05))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to the same shape."""
        return F.relu(x + self.second(self.first(x)))


class Context(nn.Module):
    """Adds what the whole picture says to every place (the image pooling of DeepLab)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels)
        self.excite = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to the same shape."""
        pooled = self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3)))))  # [B, C]
        return x + pooled[:, :, None, None]


class Up(nn.Module):
    """One step up: narrow, double, add the skip, mix."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_channels, out_channels, 1)
        self.mix = ConvNorm(out_channels, out_channels)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Bring [B, C', h/2, w/2] and the skip [B, C, h, w] to [B, C, h, w]."""
        raised = F.interpolate(self.narrow(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.mix(raised + skip)


class SubPixelHead(nn.Module):
    """Logits at twice the resolution: what the four sub-pixels share, plus what sets them apart.

    The shared part gets the gradient of all four, so that thin classes do not come as combs early on.
    """

    def __init__(self, in_channels: int, num_labels: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(in_channels, num_labels, 1)
        self.apart = nn.Conv2d(in_channels, 4 * num_labels, 1)
        nn.init.zeros_(self.apart.weight)
        nn.init.zeros_(self.apart.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, L, 2h, 2w]."""
        return F.pixel_shuffle(self.apart(x) + self.shared(x).repeat_interleave(4, dim=1), 2)


class Reader(nn.Module):
    """Reads classes from pictures."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width, 2 * config.width, 4 * config.width, 4 * config.width]  # at 1/2, 1/4, 1/8, 1/16
        levels = []
        for i, width in enumerate(widths):
            enter = ConvNorm(12, width) if i == 0 else ConvNorm(widths[i - 1], width, stride=2)
            levels.append(nn.Sequential(enter, *(Residual(width) for _ in range(config.depth))))
        self.levels = nn.ModuleList(levels)
        self.context = Context(widths[-1])
        self.ups = nn.ModuleList(Up(widths[i + 1], widths[i]) for i in reversed(range(len(widths) - 1)))
        self.head = SubPixelHead(config.width, config.num_labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the logits of every class at every pixel.

        Args:
            images: float [B, 3, H, W] in [-1, 1]; H and W multiples of 16.

        Returns:
            Float logits [B, L, H, W]; of square pictures larger than `config.most` [B, L, most, most].

        Raises:
            InputError: channels or sides do not fit.
        """
        return self._logits(self.shrink(images))

    def shrink(self, images: torch.Tensor) -> torch.Tensor:
        """Bring square pictures [B, 3, H, W] that are larger than `config.most` to that side.

        Raises:
            InputError: channels or sides do not fit.
        """
        check_shape("images", images, (None, 3, None, None))
        most = self.config.most
        if most is not None and images.shape[-1] == images.shape[-2] > most:
            images = F.adaptive_avg_pool2d(images, most)
        if images.shape[-1] % MULTIPLE or images.shape[-2] % MULTIPLE:
            sides = " x ".join(map(str, images.shape[-2:]))
            raise InputError(f"A reader's pictures must have sides that are multiples of {MULTIPLE}, but they are {sides}; resize first.")
        return images

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        # Down: every pixel enters through space-to-depth.
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)  # [B, 12, H/2, W/2]
        skips = []
        for level in self.levels:
            x = level(x)
            skips.append(x)

        # Up, and back to full resolution through sub-pixels.
        x = self.context(skips.pop())
        for up in self.ups:
            x = up(x, skips.pop())
        return self.head(x).float()  # [B, L, H, W]

    @torch.no_grad()
    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Give the most likely class of every pixel.

        Args:
            images: float [B, 3, H, W] in [-1, 1].

        Returns:
            int64 [B, H, W], at most `config.most` a side.
        """
        return self(images).argmax(dim=1)

    @torch.no_grad()
    def read_carefully(self, images: torch.Tensor) -> torch.Tensor:
        """Give the probability of every class at every pixel, the mean of pictures and mirror images in sizes of `SIZES`.

        It takes about eight times as long as one look.

        Args:
            images: float [B, 3, H, W] in [-1, 1].

        Returns:
            float [B, L, H, W], at most `config.most` a side.
        """
        images = self.shrink(images)
        height, width = images.shape[-2:]
        scaled = []
        for factor in SIZES:
            size = [round(side * factor / MULTIPLE) * MULTIPLE for side in (height, width)]
            scaled.append(F.interpolate(images, size=size, mode="bicubic", align_corners=False).clamp(-1, 1))
        return mean_of_looks(lambda seen: self._logits(seen).softmax(dim=1), scaled, (height, width))


def count_macs(reader: nn.Module, size: int) -> int:
    """Count the multiply-accumulates of a network's convolutions for one picture of `size` x `size`."""
    total = 0

    def add(module: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * out.shape[-1] * out.shape[-2]

    hooks = [m.register_forward_hook(add) for m in reader.modules() if isinstance(m, nn.Conv2d)]
    training = reader.training
    with torch.no_grad():
        reader.eval()(torch.zeros(1, 3, size, size))
    reader.train(training)
    for hook in hooks:
        hook.remove()
    return total
