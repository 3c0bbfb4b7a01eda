"""Lines of pictures without a learned network: luminance, gradients, Canny edges and soft multi-scale edges, in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

LUMA = (0.299, 0.587, 0.114)  # of R, G, B
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
EPS = 1e-6  # below the root of a squared magnitude
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # (dy, dx), by steps of 45 degrees from +x
SCALES = (0.8, 1.6, 3.2)  # standard deviations of the soft edges, in pixels of 128


def luminance(images: torch.Tensor) -> torch.Tensor:
    """Grey of pictures: float [B, 3, H, W] in [-1, 1] -> [B, 1, H, W] in [0, 1]."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)[:, None, None]
    return ((images + 1) / 2 * weights).sum(dim=1, keepdim=True)


def gaussian_blur(maps: torch.Tensor, sigma: float, radius: int | None = None) -> torch.Tensor:
    """Blur [B, C, H, W] by a Gaussian of `sigma` pixels, mirrored at the border; `radius` is the kernel's, by default 2.5 sigma."""
    radius = max(1, round(2.5 * sigma)) if radius is None else radius
    radius = min(radius, min(maps.shape[-2:]) - 1)
    taps = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-taps.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum())[None, None, None, :]
    batch, channels, height, width = maps.shape
    x = F.pad(maps.reshape(batch * channels, 1, height, width), (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(x, kernel), kernel.transpose(2, 3)).reshape(maps.shape)


def gradients(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differentiate [B, C, H, W] by the unnormalised Sobel operator, the border repeated: along x and along y, of the same shape."""
    kernel = torch.tensor(SOBEL, dtype=maps.dtype, device=maps.device)
    kernels = torch.stack([kernel, kernel.t()])[:, None]  # [2, 1, 3, 3]
    batch, channels, height, width = maps.shape
    x = F.pad(maps.reshape(batch * channels, 1, height, width), (1, 1, 1, 1), mode="replicate")
    found = F.conv2d(x, kernels).reshape(batch, channels, 2, height, width)
    return found[:, :, 0], found[:, :, 1]


def edge_strength(maps: torch.Tensor) -> torch.Tensor:
    """Magnitude of the Sobel gradient of [B, C, H, W], with a gradient everywhere."""
    along_x, along_y = gradients(maps)
    return (along_x.square() + along_y.square() + EPS).sqrt()


def canny(
    gray: torch.Tensor, low: torch.Tensor | float = 0.1, high: torch.Tensor | float = 0.2, *, sigma: float = 1.0, rounds: int = 1000
) -> torch.Tensor:
    """Find Canny edges as `kornia.filters.canny` does, without kornia and with thresholds of each picture's own.

    Args:
        gray: float [B, 1, H, W] in [0, 1].
        low: threshold of the Sobel magnitude above which a pixel goes on from a strong one; a number, or [B, 1, 1, 1].
        high: threshold above which a pixel is strong by itself.
        sigma: of the blur before, in pixels.
        rounds: of edge tracking at most, one pixel each; kornia has no such limit.

    Returns:
        Float [B, 1, H, W], 0 or 1.
    """
    # Gradient, and which of eight neighbours it points at.
    along_x, along_y = gradients(gaussian_blur(gray, sigma, radius=max(2, round(2 * sigma))))
    strength = (along_x.square() + along_y.square() + EPS).sqrt()
    direction = (torch.atan2(along_y, along_x) * (4 / torch.pi)).round().long() % 8

    # Ridges: at least as strong as both neighbours across the edge. Of two equal ones the left or upper is kept.
    padded = F.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[-2:]
    around = torch.stack([padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in NEIGHBOURS])
    ridge = torch.ones_like(strength, dtype=torch.bool)
    for towards in (direction, (direction + 4) % 8):
        neighbour = around.gather(0, towards[None])[0]
        accepts_tie = (towards == 0) | (towards == 2)
        ridge &= (strength > neighbour) | (accepts_tie & (strength == neighbour))

    # Edges: from strong pixels along weak ones.
    weak = ridge & (strength > low)
    edges = (ridge & (strength > high)).float()
    for _ in range(rounds):
        grown = F.max_pool2d(edges, 3, stride=1, padding=1) * weak
        grown = torch.maximum(grown, edges)
        if torch.equal(grown, edges):
            break
        edges = grown
    return edges


def soft_edges(images: torch.Tensor) -> torch.Tensor:
    """Find soft edges: gradient magnitudes of several scales, each in units of its own strong edges, averaged.

    Args:
        images: float [B, 3, H, W] in [-1, 1].

    Returns:
        Float [B, 1, H, W] in [0, 1].
    """
    unit = images.shape[-1] / 128
    total = torch.zeros_like(images[:, :1])
    for sigma in SCALES:
        strength = edge_strength(gaussian_blur((images + 1) / 2, sigma * unit)).amax(dim=1, keepdim=True)
        top = strength.flatten(1).quantile(0.97, dim=1).clamp_min(0.05)
        total = total + (strength / top[:, None, None, None]).clamp(0, 1)
    return (total / len(SCALES)).pow(1.5)
