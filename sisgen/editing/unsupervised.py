"""Directions that need no labels: SeFa (Shen & Zhou, CVPR 2021, eq. 5) and GANSpace (Haerkoenen et al., NeurIPS 2020, sec. 2)."""

from __future__ import annotations

import torch

from sisgen.editing.directions import Direction, scale_to_deviation
from sisgen.errors import InputError
from sisgen.generators.stylegan2 import StyleGAN2

SAMPLES = 4096  # latents that standard deviations are taken from


@torch.no_grad()
def draw_w(generator: StyleGAN2, count: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """Draw w [N, D] without truncation, the same for the same seed."""
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.config.z_dim, generator=source).to(generator.mapping.w_avg.device)
    return torch.cat([generator.map(part)[:, 0] for part in z.split(1024)])


@torch.no_grad()
def sefa_directions(generator: StyleGAN2, count: int = 8, *, rows: tuple[int, int] | None = None) -> list[Direction]:
    """Take the directions that change the styles of the convolutions most: eigenvectors of the modulation weights, in closed form.

    Args:
        generator: any.
        count: how many, the strongest first.
        rows: first and one past the last style row that counts and is moved; `None` takes all.

    Returns:
        "sefa-1", "sefa-2", ...

    Raises:
        InputError: the rows or the count do not fit the generator.
    """
    first, last = rows or (0, generator.config.num_ws)
    if not 0 <= first < last <= generator.config.num_ws or not 1 <= count <= generator.config.w_dim:
        wanted = f"rows within 0..{generator.config.num_ws} and at most {generator.config.w_dim} directions"
        raise InputError(f"SeFa needs {wanted}, but it got {first}..{last} and {count}; correct them.")
    weights: list[torch.Tensor] = []
    for resolution in generator.config.resolutions:
        block, row = generator.synthesis.block(resolution), generator.synthesis.first_row(resolution)
        layers = [block.conv1] if block.first else [block.conv0, block.conv1]
        weights += [layer.affine.weight for i, layer in enumerate(layers) if first <= row + i < last]
    if not weights:
        raise InputError(f"The style rows {first}..{last} move no convolution; take more rows.")
    stacked = torch.cat(weights).float()  # [channels, D]
    stacked = stacked / stacked.norm(dim=0, keepdim=True).clamp_min(1e-12)
    _, vectors = torch.linalg.eigh(stacked.t() @ stacked)  # ascending
    w = draw_w(generator)
    found = [scale_to_deviation(vectors[:, -1 - i], w) for i in range(count)]
    return [Direction(name=f"sefa-{i + 1}", vector=vector.cpu(), rows=rows) for i, vector in enumerate(found)]


@torch.no_grad()
def ganspace_directions(generator: StyleGAN2, count: int = 8, *, samples: int = SAMPLES, seed: int = 0) -> list[Direction]:
    """Take the principal components of w, the largest first: "pca-1", "pca-2", ...

    Args:
        generator: any.
        count: how many.
        samples: w drawn for it.
        seed: of these.

    Raises:
        InputError: more were asked for than w has dimensions.
    """
    if not 1 <= count <= generator.config.w_dim:
        raise InputError(f"w has {generator.config.w_dim} dimensions, but {count} components were asked for; take 1 or more of them.")
    w = draw_w(generator, samples, seed)
    _, vectors = torch.linalg.eigh(torch.cov(w.t()))  # ascending
    found = [scale_to_deviation(vectors[:, -1 - i], w) for i in range(count)]
    return [Direction(name=f"pca-{i + 1}", vector=vector.cpu()) for i, vector in enumerate(found)]
