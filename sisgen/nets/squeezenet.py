"""SqueezeNet v1.0 of ImageNet: features for Frechet distances and perceptual losses where Inception or VGG cannot be had.

The original Deep Compression release in Caffe's conventions: a 7x7 stride-2 stem without padding, ceil-mode 3x3 stride-2
max-pools after conv1, fire4 and fire8, input BGR in 0..255 minus the mean colour. It is not the v1.1 that LPIPS is made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from sisgen.io.weights import load_weights
from sisgen.shapes import check_shape

MEAN_BGR = (104.0, 117.0, 123.0)
INPUT_SIZE = 224
NUM_FEATURES = 512
FIRES = {  # name -> (input channels, squeeze channels, channels of each expansion)
    "fire2": (96, 16, 64),
    "fire3": (128, 16, 64),
    "fire4": (128, 32, 128),
    "fire5": (256, 32, 128),
    "fire6": (256, 48, 192),
    "fire7": (384, 48, 192),
    "fire8": (384, 64, 256),
    "fire9": (512, 64, 256),
}
PERCEPTUAL_STAGE = "fire4"  # the deepest one that perceptual distances compare
PERCEPTUAL_STRIDE = 4  # pixels between its places
POOLED_AFTER = ("conv1", "fire4", "fire8")


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3 side by side."""

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, 2 * expand, h, w]."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


class SqueezeNet(nn.Module):
    """The classifier of 1,000 ImageNet classes, with its stages laid open."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        for name, sizes in FIRES.items():
            self.add_module(name, Fire(*sizes))
        self.conv_final = nn.Conv2d(NUM_FEATURES, 1000, 1)
        self.register_buffer("mean", torch.tensor(MEAN_BGR).reshape(1, 3, 1, 1), persistent=False)

    def stages(self, images: torch.Tensor, last: str = "fire9") -> dict[str, torch.Tensor]:
        """Give the activations after conv1 and every fire module, before pooling.

        Args:
            images: float [B, 3, H, W] RGB in [-1, 1], taken at their own size.
            last: the stage to stop at.

        Returns:
            "conv1", "fire2", ..., `last` -> [B, C, h, w].
        """
        check_shape("images", images, (None, 3, None, None))
        x = (images.flip(1) + 1) * 127.5 - self.mean  # RGB in [-1, 1] to centred BGR
        stages = {}
        x = F.relu(self.conv1(x.contiguous(memory_format=torch.channels_last)))
        stages["conv1"] = x
        for name in FIRES:
            if last in stages:
                break
            if list(stages)[-1] in POOLED_AFTER:
                x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
            x = self.get_submodule(name)(x)
            stages[name] = x
        return stages

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give class logits [B, 1000] for RGB pictures [B, 3, H, W] in [-1, 1]."""
        return F.relu(self.conv_final(self.stages(images)["fire9"])).mean(dim=(2, 3))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Give what SqueezeNet-FD compares: fire9 averaged over the picture, read at 224 x 224.

        Args:
            images: float [B, 3, H, W] in [-1, 1]; values outside are clipped as a saved picture would be.

        Returns:
            Float [B, 512].
        """
        check_shape("images", images, (None, 3, None, None))
        size = (INPUT_SIZE, INPUT_SIZE)
        resized = F.interpolate(images.clamp(-1, 1), size=size, mode="bilinear", antialias=True, align_corners=False)
        return self.stages(resized)["fire9"].mean(dim=(2, 3))


def perceptual_distance(net: SqueezeNet, a: torch.Tensor, b: torch.Tensor, last: str = PERCEPTUAL_STAGE) -> torch.Tensor:
    """Compare pictures by early features of unit length a place (SqueezeNet-perceptual; not LPIPS, whose heads fit v1.1).

    Args:
        net: frozen.
        a: float [B, 3, H, W] in [-1, 1], takes gradients.
        b: the reference, takes none.
        last: the deepest stage that counts.

    Returns:
        A number, the mean over stages.
    """
    with torch.no_grad():
        wanted = net.stages(b, last)
    return compare_stages(net.stages(a, last), wanted, last)


def crop_alike(a: torch.Tensor, b: torch.Tensor, source: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut pictures [B, 3, H, W] of one size to H - 3, W - 3, both at one place, which `source` draws.

    What learns from perceptual distances then sees every phase of their stride. That alone does not keep it from painting fur as a
    lattice: such a distance asks how much texture there is, not where; a critic and a low weight help (`train warmup --perceptual`).
    """
    y, x = torch.randint(PERCEPTUAL_STRIDE, (2,), generator=source).tolist()
    height, width = (side - PERCEPTUAL_STRIDE + 1 for side in a.shape[-2:])
    place = (..., slice(y, y + height), slice(x, x + width))
    return a[place], b[place]


def compare_stages(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor], last: str = PERCEPTUAL_STAGE) -> torch.Tensor:
    """Compare what `SqueezeNet.stages` gave, up to and with `last`; see `perceptual_distance`."""
    parts = []
    for name, x in a.items():
        difference = F.normalize(x, dim=1) - F.normalize(b[name], dim=1)
        parts.append(difference.square().sum(dim=1).mean())
        if name == last:
            break
    return torch.stack(parts).mean()


def load_squeezenet(folder: str | Path, device: torch.device | str = "cpu") -> SqueezeNet:
    """Load the frozen network from its folder (`squeezenet.safetensors`).

    Raises:
        CheckpointError: the file is missing or does not fit.
    """
    net = SqueezeNet()
    load_weights(Path(folder) / "squeezenet.safetensors", net)
    net.eval().requires_grad_(False)
    return net.to(device)
