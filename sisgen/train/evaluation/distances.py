"""SqueezeNet-FD between real pictures, plain samples and mask-driven pictures of the same truncation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from sisgen.metrics.frechet import FeatureMoments, frechet_distance
from sisgen.nets.squeezenet import NUM_FEATURES, SqueezeNet
from sisgen.train.evaluation.stages import STYLE_SEEDS, TARGET_SEEDS, chunks
from sisgen.train.evaluation.subject import Subject


class RealPictures(Protocol):
    """Real pictures by place, and masks to drive others with."""

    def images(self, start: int, num: int) -> torch.Tensor:
        """Give float [B, 3, H, W] in [-1, 1] from `start` on."""
        ...

    def masks(self, start: int, num: int) -> torch.Tensor:
        """Give int64 [B, H, W] from `start` on."""
        ...


def measure_distances(
    subject: Subject, net: SqueezeNet, real: RealPictures, *, num: int, batch: int = 16, advance: Callable[[int], object]
) -> dict[str, Any]:
    """Measure all distances; plain samples and mask-driven pictures share their seeds' truncation, not their seeds.

    Args:
        subject: the method.
        net: feature network.
        real: at least 2 * num pictures; the masks are those of the first half.
        num: pictures a set.
        batch: pictures at once.
        advance: called with the number of pictures that are done.

    Returns:
        JSON-ready distances; "ratio_to_real" is FD(mask-driven, real) / FD(plain, real).
    """
    sets = {
        "real": _moments(net, (real.images(num + s, n) for s, n in chunks(num, batch)), advance),
        "real_other": _moments(net, (real.images(s, n) for s, n in chunks(num, batch)), advance),
        "plain": _moments(net, (subject.plain(_seeds(TARGET_SEEDS, s, n)) for s, n in chunks(num, batch)), advance),
        "plain_other": _moments(net, (subject.plain(_seeds(STYLE_SEEDS, s, n)) for s, n in chunks(num, batch)), advance),
        "driven": _moments(net, _driven(subject, real, num, batch), advance),
    }
    distances = {
        "real_real": ("real", "real_other"),
        "plain_plain": ("plain", "plain_other"),
        "plain_real": ("plain", "real"),
        "driven_real": ("driven", "real"),
        "driven_plain": ("driven", "plain"),
    }
    result: dict[str, Any] = {name: round(frechet_distance(sets[a], sets[b]), 2) for name, (a, b) in distances.items()}
    result["ratio_to_real"] = round(result["driven_real"] / max(result["plain_real"], 1e-9), 4)
    result["pictures"] = num
    return result


def _driven(subject: Subject, real: RealPictures, num: int, batch: int) -> Iterator[torch.Tensor]:
    """Make mask-driven pictures."""
    for start, count in chunks(num, batch):
        yield subject.from_masks(real.masks(start, count), _seeds(STYLE_SEEDS, start, count))


def _seeds(first: int, start: int, num: int) -> range:
    return range(first + start, first + start + num)


@torch.no_grad()
def _moments(net: SqueezeNet, batches: Iterator[torch.Tensor], advance: Callable[[int], object]) -> FeatureMoments:
    moments = FeatureMoments(NUM_FEATURES)
    for images in batches:
        moments.add(net.features(images))
        advance(len(images))
    return moments
