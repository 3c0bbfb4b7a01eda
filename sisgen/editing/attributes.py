"""What a picture shows, in numbers: its light and colours, and for every class how large, light and warm it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from sisgen.editing.unsupervised import draw_w
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.nets.lines import luminance
from sisgen.nets.reader import Reader
from sisgen.types import LabelSet

SHOWN = 0.004  # share of the picture from which a class has a light and a colour


def measure_attributes(images: torch.Tensor, labels: torch.Tensor, label_set: LabelSet) -> dict[str, torch.Tensor]:
    """Measure pictures.

    Args:
        images: float [B, 3, H, W] in [-1, 1].
        labels: int64 [B, H, W], what they show.
        label_set: the classes.

    Returns:
        Name -> float [B], NaN where a picture does not show the class: "light", "contrast", "warm", "colorful", and
        "CLASS-size", "CLASS-light", "CLASS-warm" for every class.
    """
    grey = luminance(images)[:, 0]  # [B, H, W]
    warmth = (images[:, 0] - images[:, 2]) / 2
    colors = (images.amax(dim=1) - images.amin(dim=1)) / 2
    found = {"light": grey.mean(dim=(1, 2)), "contrast": grey.flatten(1).std(dim=1)}
    found |= {"warm": warmth.mean(dim=(1, 2)), "colorful": colors.mean(dim=(1, 2))}
    masks = F.one_hot(labels.clamp_min(0), len(label_set)).permute(0, 3, 1, 2).float() * (labels >= 0)[:, None]  # [B, L, H, W]
    sizes = masks.mean(dim=(2, 3))  # [B, L]
    for index, name in enumerate(label_set.names):
        area = sizes[:, index].clamp_min(1e-9)
        shown = sizes[:, index] >= SHOWN
        found[f"{name}-size"] = sizes[:, index]
        for word, values in (("light", grey), ("warm", warmth)):
            mean = (values * masks[:, index]).mean(dim=(1, 2)) / area
            found[f"{name}-{word}"] = torch.where(shown, mean, torch.full_like(mean, torch.nan))
    return {name.lower(): values for name, values in found.items()}


@torch.no_grad()
def sample_attributes(
    generator: StyleGAN2,
    reader: Reader,
    label_set: LabelSet,
    count: int,
    *,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Generate pictures and measure them.

    Args:
        generator, reader, label_set: the model's.
        count: pictures, without truncation.
        seed: of their latents.
        report: told (pictures done, in all).

    Returns:
        w [N, D], and attribute name -> [N], both on the CPU.
    """
    w = draw_w(generator, count, seed)
    parts: list[dict[str, torch.Tensor]] = []
    for rows in w.split(generator.config.at_once):
        images = generator(rows[:, None].expand(-1, generator.config.num_ws, -1)).clamp(-1, 1)
        labels = reader.read(images)
        parts.append(measure_attributes(F.adaptive_avg_pool2d(images, labels.shape[-1]), labels, label_set))
        if report is not None:
            report(min(len(parts) * generator.config.at_once, count), count)
    return w.cpu(), {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
