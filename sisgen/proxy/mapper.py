"""Mask mapper: from a drawn mask to a proxy mask (SIS-UG, sec. 3.2), light enough to run while the pen moves.

SPADE-like: the mask enters every stage as scale and shift of normalised features. It enters by space-to-depth, so that no pixel of a
brow is lost, and the work is done at a quarter and an eighth of the picture's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.nets.layers import channel_softmax, channels_last, fold_conv, pointwise, unfold_conv
from sisgen.shapes import check_shape
from sisgen.types import ProxyMask


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskMapperConfig:
    """Sizes of a mask mapper."""

    num_labels: int = 12  # L, channels of the condition
    num_clusters: int = 32  # K
    resolution: int = 128  # side of the condition
    proxy_resolution: int = 64
    width: int = 48

    def __post_init__(self) -> None:
        for name, most in (("num_labels", 256), ("num_clusters", 8192), ("width", 1024)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise InputError(f"A mapper's {name} must be in 1..{most}, but it is {value}; correct the config.")
        if self.resolution % 8 or self.resolution not in (self.proxy_resolution, 2 * self.proxy_resolution, 4 * self.proxy_resolution):
            sizes = f"{self.resolution} and {self.proxy_resolution}"
            raise InputError(f"A mapper's resolution must be 1, 2 or 4 times its proxy's, but they are {sizes}; correct the config.")


class SpadeBlock(nn.Module):
    """Residual convolution whose normalised input is scaled and shifted by the mask (SPADE, eq. 1)."""

    def __init__(self, width: int, mask_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width, affine=False)
        self.modulation = nn.Conv2d(mask_channels, 2 * width, 1)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scale, shift = pointwise(mask, self.modulation.weight, self.modulation.bias).chunk(2, dim=1)
        return x + self.conv(F.relu(torch.addcmul(shift, self.norm(x), 1 + scale)))


class MaskMapper(nn.Module):
    """Soft one-hot mask [B, L, H, W] -> proxy logits [B, K, h, w].

    Args:
        config: sizes.
    """

    def __init__(self, config: MaskMapperConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.unpacked = config.num_labels * 16  # space-to-depth by 4
        self.stem = nn.Conv2d(self.unpacked, width, 1)
        self.local = nn.Conv2d(width, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([SpadeBlock(width, width) for _ in range(3)])
        self.context = nn.Linear(width, width)
        self.merge = nn.Conv2d(2 * width, width, 1)
        self.scale = config.proxy_resolution * 4 // config.resolution  # sub-pixels of the head
        self.head = nn.Conv2d(width, config.num_clusters * self.scale**2, 1)

    def forward(self, mask: torch.Tensor, leaning: torch.Tensor | None = None, rows: slice | None = None) -> torch.Tensor:
        """Give logits of every cluster at every place of the proxy grid.

        Args:
            mask: float [B, L, H, W] in [0, 1], the whole picture painted (sums to 1 over L).
            leaning: [B, K], added to the logits of every place, see `leaning.py`; `None` adds nothing.
            rows: of the proxy grid that are wanted, start and stop multiples of `scale`; `None` wants all h.

        Returns:
            Logits [B, K, h, w], of the wanted rows alone.
        """
        check_shape("mask", mask, (None, self.config.num_labels, self.config.resolution, self.config.resolution))
        # Fine branch, a quarter of the resolution.
        fine = fold_conv(channels_last(mask), self.stem, 4).relu_()  # [B, C, H/4, W/4]
        fine = fine + self.local(fine).relu_()

        # Coarse branch, an eighth, with a view of the whole picture.
        seen = self.down(fine).relu_()
        x = seen
        for block in self.middle:
            x = block(x, seen)
        x = x + self.context(x.mean(dim=(2, 3)))[:, :, None, None]

        # Back up, merged before it is enlarged (both are linear), and to the proxy grid through sub-pixels.
        of_fine, of_coarse = self.merge.weight.split(self.config.width, dim=1)
        up = F.interpolate(pointwise(x, of_coarse), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        x = (pointwise(fine, of_fine, self.merge.bias) + up).relu_()
        if rows is not None:
            x = x[:, :, rows.start // self.scale : rows.stop // self.scale]
        return unfold_conv(x, self.head, self.scale, leaning)

    def read(self, mask: torch.Tensor, leaning: torch.Tensor | None = None, rows: slice | None = None) -> ProxyMask:
        """Map a whole mask to a proxy mask; `leaning` and `rows` as for `forward`."""
        return ProxyMask(probs=channel_softmax(self(mask, leaning, rows)))


def whole_mask(labels: torch.Tensor, num_labels: int) -> torch.Tensor:
    """Make a mask [B, L, H, W] of the class of every pixel, int64 [B, H, W]."""
    return F.one_hot(labels, num_labels).permute(0, 3, 1, 2).float()


def fill_unpainted(mask: torch.Tensor, own_labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Complete a drawing from the style sample's own mask: unpainted means that the model decides.

    Args:
        mask: [B, L, H, W], sums to the painted share of every pixel.
        own_labels: int64 [B, H, W], the style samples' own classes.

    Returns:
        The whole mask [B, L, H, W] and the painted share [B, 1, H, W], `None` where all is painted.
    """
    painted = mask.sum(dim=1, keepdim=True)
    if float(painted.amin()) > 1 - 1e-6:  # nothing to complete, the usual case while a pen moves
        return mask, None
    painted = painted.clamp(0, 1)
    own = F.one_hot(own_labels, mask.shape[1]).permute(0, 3, 1, 2).to(mask.dtype)  # [B, L, H, W]
    return mask + (1 - painted) * own, painted


def blend_proxies(drawn: torch.Tensor, own: torch.Tensor, weight: torch.Tensor | float) -> torch.Tensor:
    """Mix proxy masks [B, K, h, w]: `weight` [B, 1, h, w] or a number of `drawn`, the rest of `own`."""
    return torch.lerp(own, drawn, weight) if isinstance(weight, torch.Tensor) else own + (drawn - own) * weight
