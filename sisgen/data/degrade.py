"""Degradations that make a reader robust: what happens to a sample depends on its own generator alone, never on its batch.

Pictures and labels are warped together; pictures alone then lose colour, light, sharpness and bits, as a generator's samples,
a phone's photographs and a JPEG do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

BLUR_RADIUS = 4  # pixels either side that a blur kernel covers
JPEG_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DegradeConfig:
    """How often and how far; every `p_` is a chance per sample."""

    p_flip: float = 0.5
    p_warp: float = 0.6
    rotation: float = 15.0  # degrees either way
    scale: float = 0.2  # relative size change either way
    shift: float = 0.08  # share of the picture either way
    elastic: float = 0.02  # share of the picture
    p_parts: float = 0.0  # of new colours for some of the classes, each its own
    parts: float = 0.35  # share of the classes that get them
    part_color: float = 0.6  # their greatest change of light on [-1, 1]; a channel by itself changes by half of it
    p_color: float = 0.7
    color: float = 0.3  # strength of channel gains and offsets, brightness, contrast
    gamma: float = 0.4  # log-range of the exponent
    p_resize: float = 0.2
    smallest: float = 0.4  # the least size of downscale-upscale
    p_blur: float = 0.35
    blur: float = 1.8  # greatest standard deviation in pixels
    p_noise: float = 0.4
    noise: float = 0.12  # greatest standard deviation on [-1, 1]
    p_jpeg: float = 0.3
    jpeg: tuple[float, float] = (0.3, 2.0)  # factors of the standard table


def draw(generators: Sequence[torch.Generator], count: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """Draw `count` uniform numbers in [0, 1) from every sample's generator: [B, count]."""
    return torch.stack([torch.rand(count, generator=g) for g in generators]).to(device)


def spread(u: torch.Tensor, reach: float) -> torch.Tensor:
    """Map uniform [0, 1) to [-reach, reach)."""
    return (2 * u - 1) * reach


def warp(images: torch.Tensor, labels: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample pictures (bilinear) and labels (nearest) at the same places, mirrored beyond the edge.

    Args:
        images: float [B, C, H, W].
        labels: int64 [B, H, W].
        grid: float [B, H, W, 2], x and y in [-1, 1].
    """
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    read = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)
    return moved, read[:, 0].round().long()


def warp_grid(u: torch.Tensor, bumps: torch.Tensor, size: tuple[int, int], config: DegradeConfig) -> torch.Tensor:
    """Build a rotation, scale, shift and elastic sampling grid.

    Args:
        u: uniform [B, 5].
        bumps: uniform [B, 2, 5, 5], the elastic field's coarse displacements.
        size: (H, W).

    Returns:
        Float [B, H, W, 2].
    """
    angle = spread(u[:, 0], math.radians(config.rotation))
    zoom = torch.exp(spread(u[:, 1], config.scale))
    stretch = torch.exp(spread(u[:, 2], config.scale / 4))
    shift = spread(u[:, 3:5], 2 * config.shift)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = (torch.stack([cos * stretch, -sin, shift[:, 0]], dim=1), torch.stack([sin, cos / stretch, shift[:, 1]], dim=1))
    theta = torch.stack(rows, dim=1)  # [B, 2, 3]
    grid = F.affine_grid(theta, [len(u), 1, *size], align_corners=False)
    field = F.interpolate(spread(bumps, 2 * config.elastic), size=size, mode="bicubic", align_corners=True)
    return grid + field.permute(0, 2, 3, 1)  # [B, H, W, 2]


def recolor(images: torch.Tensor, u: torch.Tensor, config: DegradeConfig) -> torch.Tensor:
    """Change gains and offsets per channel, contrast, saturation and gamma; u is uniform [B, 9]."""
    x = (images + 1) / 2
    gains = torch.exp(spread(u[:, 0:3], config.color / 2))[:, :, None, None]
    offsets = spread(u[:, 3:6], config.color / 4)[:, :, None, None]
    x = x * gains + offsets + spread(u[:, 6], config.color / 2)[:, None, None, None]
    gray = x.mean(dim=1, keepdim=True)
    x = gray + (x - gray) * torch.exp(spread(u[:, 7], 2 * config.color))[:, None, None, None]
    x = x.clamp(0, 1).clamp_min(1e-4) ** torch.exp(spread(u[:, 8], config.gamma))[:, None, None, None]
    return 2 * x - 1


def recolor_parts(
    images: torch.Tensor,
    labels: torch.Tensor,
    num_labels: int,
    generators: Sequence[torch.Generator],
    config: DegradeConfig,
    strength: float = 1.0,
) -> torch.Tensor:
    """Give some classes of some pictures other light, colour and contrast, so that a reader goes by shape and place as well.

    Pictures show what samples never do: teeth as white as eyes, hats in any colour (domain randomization: Tobin et al., IROS 2017).

    Args:
        images: float [B, 3, H, W] in [-1, 1].
        labels: int64 [B, H, W]; -1 keeps its colours.
        num_labels: L.
        generators: one a sample, on the CPU.
        config: how often and how far.
        strength: factor of the chance per sample, in [0, 1].

    Returns:
        Pictures clipped to [-1, 1].
    """
    u = draw(generators, 1 + 6 * num_labels, device=images.device)
    by_class = u[:, 1:].reshape(-1, num_labels, 6)
    changes = (u[:, :1] < config.p_parts * strength) & (by_class[:, :, 0] < config.parts)  # [B, L]

    # Every class keeps its mean but for the change of light and colour; contrast is about that mean.
    index = labels.flatten(1).clamp_min(0)[:, None].expand(-1, 3, -1)  # [B, 3, HW]
    known = (labels.flatten(1) >= 0)[:, None]
    flat = images.flatten(2)
    sums, sizes = flat.new_zeros(2, len(u), 3, num_labels)
    sums.scatter_add_(2, index, flat * known)
    sizes.scatter_add_(2, index, known.expand_as(flat).to(flat))
    means = sums / sizes.clamp_min(1)  # [B, 3, L]
    shift = spread(by_class[:, :, 1:2], config.part_color) + spread(by_class[:, :, 2:5], config.part_color / 2)  # [B, L, 3]
    contrast = torch.exp(spread(by_class[:, :, 5], config.part_color))[:, None]  # [B, 1, L]
    gain = torch.where(changes[:, None], contrast, 1.0).expand_as(means)
    offset = torch.where(changes[:, None], shift.transpose(1, 2) + (1 - contrast) * means, 0.0)
    changed = flat * gain.gather(2, index) + offset.gather(2, index)
    return torch.where(known, changed, flat).view_as(images).clamp(-1, 1)


def blur(images: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Blur every picture [B, C, H, W] by a Gaussian of its own sigma [B], in pixels."""
    batch, channels, height, width = images.shape
    taps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=images.device)
    kernel = torch.exp(-taps.square() / (2 * sigmas[:, None].clamp_min(1e-2).square()))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)  # [B*C, taps]
    x = F.pad(images, (BLUR_RADIUS,) * 4, mode="reflect").reshape(1, batch * channels, height + 2 * BLUR_RADIUS, -1)
    x = F.conv2d(x, kernel[:, None, None, :], groups=batch * channels)
    x = F.conv2d(x, kernel[:, None, :, None], groups=batch * channels)
    return x.reshape(batch, channels, height, width)


def resize_loss(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Scale pictures down by `factor` in (0, 1] and up again."""
    height, width = images.shape[-2:]
    small = (max(1, round(height * factor)), max(1, round(width * factor)))
    x = F.interpolate(images, size=small, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)


def dct_matrix() -> torch.Tensor:
    """The orthonormal 8-point cosine transform [8, 8]."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def jpeg(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Quantise 8 x 8 blocks as JPEG does, per RGB channel.

    Args:
        images: float [B, C, H, W] in [-1, 1]; sides multiples of 8.
        factors: float [B], of the standard luminance table; 1 is about quality 50.
    """
    batch, channels, height, width = images.shape
    basis = dct_matrix().to(images)
    table = torch.tensor(JPEG_TABLE, dtype=images.dtype, device=images.device) * factors[:, None, None] / 127.5
    table = table[:, None, None, None]  # [B, 1, 1, 1, 8, 8]
    blocks = images.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)  # [B, C, H/8, W/8, 8, 8]
    coefficients = basis @ blocks @ basis.t()
    coefficients = torch.round(coefficients / table) * table
    return (basis.t() @ coefficients @ basis).transpose(3, 4).reshape(images.shape)


def add_noise(images: torch.Tensor, sigmas: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Add white noise of standard deviation sigmas [B], drawn from every sample's own generator."""
    noise = torch.stack([torch.randn(images.shape[1:], generator=g) for g in generators]).to(images)
    return images + noise * sigmas[:, None, None, None]


def degrade(
    images: torch.Tensor, labels: torch.Tensor, generators: Sequence[torch.Generator], config: DegradeConfig, strength: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Degrade a batch; a sample's result depends on its own picture and generator only.

    Args:
        images: float [B, 3, H, W] in [-1, 1]; sides multiples of 8.
        labels: int64 [B, H, W].
        generators: one a sample, on the CPU.
        config: how often and how far.
        strength: factor of all chances but the mirror's, in [0, 1].

    Returns:
        Pictures clipped to [-1, 1] and labels, of the same shapes.
    """
    u = draw(generators, 32, device=images.device)
    u[:, :6] = u[:, :6] / max(strength, 1e-6)  # the columns that decide what happens
    images, labels = images.clone(), labels.clone()
    images, labels = _move(images, labels, u, generators, config)

    def apply(column: int, chance: float, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        chosen = torch.nonzero(u[:, column] < chance)[:, 0]
        if len(chosen):
            images[chosen] = change(images[chosen], chosen)

    apply(1, config.p_color, lambda x, i: recolor(x, u[i, 10:19], config))
    for sample in torch.nonzero(u[:, 2] < config.p_resize)[:, 0].tolist():
        factor = config.smallest + (1 - config.smallest) * float(u[sample, 19])
        images[sample] = resize_loss(images[sample : sample + 1], factor)[0]
    apply(3, config.p_blur, lambda x, i: blur(x, u[i, 20] * config.blur))
    apply(4, config.p_noise, lambda x, i: add_noise(x, u[i, 21] * config.noise, [generators[k] for k in i.tolist()]))
    low, high = config.jpeg
    apply(5, config.p_jpeg, lambda x, i: jpeg(x, low + (high - low) * u[i, 22]))
    return images.clamp(-1, 1), labels


def _move(
    images: torch.Tensor, labels: torch.Tensor, u: torch.Tensor, generators: Sequence[torch.Generator], config: DegradeConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip and warp the samples whose draws say so."""
    flipped = u[:, 6] < config.p_flip
    images[flipped], labels[flipped] = images[flipped].flip(-1), labels[flipped].flip(-1)
    chosen = torch.nonzero(u[:, 0] < config.p_warp)[:, 0]
    if len(chosen):
        bumps = draw([generators[i] for i in chosen.tolist()], 50, device=u.device).reshape(-1, 2, 5, 5)
        grid = warp_grid(u[chosen, 23:28], bumps, (images.shape[-2], images.shape[-1]), config)
        images[chosen], labels[chosen] = warp(images[chosen], labels[chosen], grid)
    return images, labels
