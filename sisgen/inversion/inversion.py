"""A photograph as a generator knows it, and the way there: encoder, optional refinement, optional tuning, reading its layout."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.inversion.encoder import Encoder
from sisgen.inversion.refine import Progress, Stop, refine
from sisgen.inversion.tune import tune_tail
from sisgen.nets.reader import Reader
from sisgen.nets.squeezenet import SqueezeNet
from sisgen.proxy.clusters import FeatureClusters
from sisgen.types import ProxyMask

SURE = 0.9  # of the reader's confidence in the reconstruction, that it must have in the photograph
ALIKE = 0.5  # share of pixels on which both readings must agree


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Inversion:
    """A photograph brought into a generator.

    Attributes:
        ws: style rows [1, S, D].
        photo: the photograph as it was cut and scaled, [1, 3, H, W] in [-1, 1].
        image: what the generator makes of `ws`, [1, 3, H, W], about [-1, 1].
        proxy: arrangement of the reconstruction.
        labels: the photograph's own mask, int64 [1, H, W] of drawings' size; see `read_layout`.
        labels_from: "photo" or "reconstruction", where `labels` were read.
        tail: a generator whose blocks behind the cut were tuned to the photograph; `None` = the model's own.
        timings: stage -> milliseconds.
        key: names this inversion in caches.
    """

    ws: torch.Tensor
    photo: torch.Tensor
    image: torch.Tensor
    proxy: ProxyMask
    labels: torch.Tensor
    labels_from: str
    tail: StyleGAN2 | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_hex(8))


class InvertingParts(Protocol):
    """What taking a photograph in needs; the engine has it."""

    generator: StyleGAN2
    clusters: FeatureClusters
    reader: Reader
    encoder: Encoder | None


def invert(
    parts: InvertingParts,
    photo: torch.Tensor,
    *,
    cut: int,
    steps: int = 0,
    tune_steps: int = 0,
    squeezenet: SqueezeNet | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Inversion:
    """Bring a photograph into a generator.

    Args:
        parts: with an encoder.
        photo: [1, 3, H, W] in [-1, 1] of the generator's resolution.
        cut: resolution at which features are rearranged; what lies behind it may be tuned.
        steps: of refinement.
        tune_steps: of pivotal tuning.
        squeezenet: for perceptual distances; `None` compares pixels only.
        progress: told (steps done, steps in all).
        stop: asked after every step; once it says so, what was reached is taken.
    """
    assert parts.encoder is not None, "checked by the pipeline"
    total, timings, last = steps + tune_steps, {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        timings[name], last = (now - last) * 1000, now

    def report(before: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(before + done, total)

    with torch.no_grad():
        ws = parts.encoder.encode(parts.generator, photo)
    lap("encode")
    if steps:
        ws = refine(parts.generator, ws, photo, parts.encoder.spread, steps, squeezenet, progress=report(0), stop=stop)
        lap("refine")
    tail = None
    if tune_steps:
        tail = tune_tail(parts.generator, ws, photo, cut, tune_steps, squeezenet, progress=report(steps), stop=stop)
        lap("tune")
    found = describe(parts, ws, photo, tail)
    lap("read")
    return Inversion(timings=timings, **found)


@torch.no_grad()
def describe(parts: InvertingParts, ws: torch.Tensor, photo: torch.Tensor, tail: StyleGAN2 | None = None) -> dict[str, Any]:
    """Read arrangement and labels of style rows: everything of an `Inversion` that follows from rows, photograph and tail."""
    image, proxy = _reconstruct(parts, ws, tail)
    labels, source = read_layout(parts.reader, photo, image)
    return {"ws": ws, "photo": photo, "image": image, "proxy": proxy, "labels": labels, "labels_from": source, "tail": tail}


@torch.no_grad()
def move_rows(parts: InvertingParts, inversion: Inversion, ws: torch.Tensor) -> Inversion:
    """Give an inverted photograph other style rows: its reconstruction and its arrangement follow them.

    Its labels change where the reader sees another class in the new reconstruction than in the old one, and stay elsewhere, so that
    what only the photograph shows is not lost.

    Args:
        parts: of the model that it was made with.
        inversion: stays as it is.
        ws: the new rows, [1, S, D].
    """
    image, proxy = _reconstruct(parts, ws, inversion.tail)
    before, after = (parts.reader.read(x.to(ws.device).clamp(-1, 1)) for x in (inversion.image, image))
    labels = torch.where(before == after, inversion.labels.to(ws.device), after)
    return replace(inversion, ws=ws, image=image, proxy=proxy, labels=labels, key=secrets.token_hex(8))


def _reconstruct(parts: InvertingParts, ws: torch.Tensor, tail: StyleGAN2 | None) -> tuple[torch.Tensor, ProxyMask]:
    """What the generator makes of style rows, and how that is arranged."""
    generator = tail or parts.generator
    steps = generator.hypercolumn(ws, largest=max(parts.clusters.config.sources))
    return generator.tail(steps[-1], ws), parts.clusters({step.resolution: step.map for step in steps})


@torch.no_grad()
def read_layout(reader: Reader, photo: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, str]:
    """Read the mask of a photograph, from itself or from its reconstruction.

    The photograph shows what the reconstruction may have lost (an earring, glasses), but the reader learned on the generator's samples
    and may be lost in it. So the photograph's reading is taken where the reader is as sure of it as of the reconstruction, nearly,
    and both readings are alike; else the reconstruction's.

    Args:
        reader: the model's own.
        photo: [1, 3, H, W] in [-1, 1].
        image: its reconstruction.

    Returns:
        labels int64 [1, H, W], and "photo" or "reconstruction".
    """
    most, labels = reader.read_carefully(torch.cat([photo, image]).clamp(-1, 1)).max(dim=1)  # [2, H, W]
    sure = most.mean(dim=(1, 2))  # [2]
    alike = float((labels[0] == labels[1]).float().mean())
    at_home = float(sure[0]) >= SURE * float(sure[1]) and alike >= ALIKE
    return (labels[:1], "photo") if at_home else (labels[1:], "reconstruction")
