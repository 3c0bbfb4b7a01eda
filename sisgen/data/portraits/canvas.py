"""The canvas that parts are painted on, back to front, and the small operations that all parts share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in half picture sides

FAR = -1.0  # depth of the backdrop


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of canvas cells, aligned to whole pictures cells."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def empty(self) -> bool:
        """Whether it holds no cell."""
        return self.bottom <= self.top or self.right <= self.left

    def view(self, tensor: Tensor) -> Tensor:
        """The part of a `[..., H, W]` canvas tensor."""
        return tensor[..., self.top : self.bottom, self.left : self.right]

    def inside(self, outer: Window) -> Window:
        """This window cut to `outer` and counted from its corner."""
        top, left = max(self.top, outer.top), max(self.left, outer.left)
        return Window(
            top=top - outer.top,
            bottom=min(self.bottom, outer.bottom) - outer.top,
            left=left - outer.left,
            right=min(self.right, outer.right) - outer.left,
        )


class Canvas:
    """Picture, labels and depth of a batch at the supersampled size.

    Attributes:
        image: float [B, 3, H, W] in [0, 1].
        labels: uint8 [B, H, W].
        depth: float [B, H, W].
        x, y: coordinates of the cell centres, [1, 1, W] and [1, H, 1].
        cell: side of a cell in half picture sides.
        step: cells a picture pixel, the stride of coarse fields.
    """

    def __init__(self, batch: int, size: int, supersample: int, device: torch.device) -> None:
        side = size * supersample
        self.side, self.step, self.cell = side, supersample, 2.0 / side
        self.image = torch.zeros(batch, 3, side, side, device=device)
        self.labels = torch.zeros(batch, side, side, dtype=torch.uint8, device=device)
        self.depth = torch.full((batch, side, side), FAR, device=device)
        centres = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) * self.cell - 1.0
        self.x, self.y = centres[None, None, :], centres[None, :, None]

    def window(self, boxes: Iterable[Box]) -> Window:
        """The smallest aligned window that holds every box."""
        x0, y0, x1, y1 = zip(*boxes)
        return Window(top=self._floor(min(y0)), bottom=self._ceil(max(y1)), left=self._floor(min(x0)), right=self._ceil(max(x1)))

    def _floor(self, value: float) -> int:
        cells = int((value + 1.0) / self.cell) // self.step * self.step
        return min(max(cells, 0), self.side)

    def _ceil(self, value: float) -> int:
        cells = -(-int((value + 1.0) / self.cell + 1) // self.step) * self.step
        return min(max(cells, 0), self.side)

    def cover(self, distance: Tensor) -> Tensor:
        """Turn a signed distance (negative inside) into coverage in [0, 1], in place."""
        return distance.mul_(-1.0 / self.cell).add_(0.5).clamp_(0.0, 1.0)

    def paint(self, window: Window, alpha: Tensor, color: Tensor, label: int | None = None, depth: Tensor | None = None) -> None:
        """Lay `color` ([B, 3, 1, 1] or [B, 3, h, w]) over a window; label and depth follow where it covers more than half."""
        window.view(self.image).lerp_(color, alpha[:, None])
        if label is None:
            return
        mask = alpha > 0.5
        window.view(self.labels).masked_fill_(mask, label)
        if depth is not None:
            view = window.view(self.depth)
            view.copy_(torch.where(mask, depth, view))

    def darken(self, window: Window, amount: Tensor) -> None:
        """Multiply a window by 1 - amount ([B, h, w] in [0, 1]), a little less in red so that shadows stay warm."""
        view = window.view(self.image)
        view[:, 0].mul_(1.0 - 0.86 * amount)
        view[:, 1:].mul_((1.0 - amount)[:, None])

    def refine(self, coarse: Tensor) -> Tensor:
        """Bring a coarse field [B, h, w] or [B, C, h, w] up to canvas cells."""
        if self.step == 1:
            return coarse
        planes = coarse if coarse.ndim == 4 else coarse[:, None]
        fine = F.interpolate(planes, scale_factor=self.step, mode="bilinear", align_corners=False)
        return fine if coarse.ndim == 4 else fine[:, 0]


def bell(du: Tensor, dv: Tensor, su: Tensor | float, sv: Tensor | float) -> Tensor:
    """The Gaussian exp(-(du/su)^2 - (dv/sv)^2)."""
    across = du / su
    along = dv / sv
    return across.mul_(across).addcmul_(along, along).clamp_(max=30.0).neg_().exp_()  # denormal results are slow


def fade(x: Tensor) -> Tensor:
    """The Gaussian exp(-x^2), in place of `x`."""
    return x.square_().clamp_(max=30.0).neg_().exp_()


def smooth_step(x: Tensor) -> Tensor:
    """3t^2 - 2t^3 of x clamped to [0, 1], in place."""
    x.clamp_(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
