"""How near held-out photographs come: the encoder alone, and after steps of refinement, through the pipeline's own door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from sisgen.data.cache import PortraitCache
from sisgen.data.portraits import PORTRAIT_LABELS
from sisgen.errors import InputError
from sisgen.inversion.inversion import Inversion
from sisgen.io.images import to_uint8
from sisgen.metrics.ssim import ssim
from sisgen.nets.squeezenet import SqueezeNet, perceptual_distance
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.sources import RenderedPairs

STEPS = (0, 20, 100)  # of refinement
SHOWN = 8


class Photos(Protocol):
    """Held-out pictures by place."""

    def photos(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Give float [B, 3, H, W] in [-1, 1], and their exact labels int64 [B, H, W] where there are any."""
        ...


class RenderedPhotos:
    """Test portraits, rendered, with their labels; see `RenderedPairs`."""

    def __init__(self, pairs: RenderedPairs) -> None:
        self.pairs = pairs

    def photos(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """See `Photos`."""
        return self.pairs.pairs(start, num)


class CachePhotos:
    """The pictures of a cache; `labelled` = its labels, where it has any, are of the model's classes."""

    def __init__(self, cache: PortraitCache, *, least: int, labelled: bool) -> None:
        if len(cache) < least:
            raise InputError(f"The cache {cache.path} must hold at least {least} pictures, but it holds {len(cache)}; lower --inversion.")
        self.cache, self.labelled = cache, labelled and cache.has_labels

    def photos(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """See `Photos`."""
        indices = range(start, start + num)
        return self.cache.images(indices), self.cache.labels(indices) if self.labelled else None


def open_photos(pipe: Pipeline, cache: PortraitCache | None, num: int) -> Photos:
    """Open held-out pictures: those of a cache, else rendered test portraits.

    Raises:
        InputError: the cache has too few or of another size, or a model of other classes comes without one.
    """
    if cache is None:
        if pipe.labels.names != PORTRAIT_LABELS.names:
            raise InputError(f"The model {pipe.name!r} needs held-out pictures to invert, but none came; pass --cache FOLDER.")
        return RenderedPhotos(RenderedPairs(pipe.resolution, pipe.labels))
    if cache.size != pipe.resolution:
        raise InputError(f"The cache {cache.path} must hold pictures of {pipe.resolution} px, but they have {cache.size}; write another.")
    return CachePhotos(cache, least=num, labelled=pipe.labels.names == PORTRAIT_LABELS.names)


def measure_inversion(
    pipe: Pipeline, photos: Photos, net: SqueezeNet, *, num: int, advance: Callable[[int], object]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Invert pictures one by one, as a visitor would.

    Args:
        pipe: a model with an encoder.
        photos: held-out pictures.
        net: SqueezeNet.
        num: how many.
        advance: called with 1 after every picture.

    Returns:
        name -> scores ("l2", "perceptual", "ssim", mean over pictures, and "seconds" a picture), "mean picture" being the floor;
        and rows of pictures for the grid.
    """
    sums: dict[str, dict[str, float]] = {}
    rows: dict[str, list[torch.Tensor]] = {}
    generator = pipe.engine.generator
    mean = generator.mapping.w_avg[None, None].repeat(1, generator.config.num_ws, 1)
    with torch.no_grad():
        floor = generator(mean).clamp(-1, 1)
    for i in range(num):
        photo = photos.photos(i, 1)[0].to(pipe.device)
        found = {_name(steps): pipe.invert(to_uint8(photo)[0], steps=steps) for steps in STEPS}
        pictures = {"mean picture": floor} | {name: one.image.clamp(-1, 1) for name, one in found.items()}
        for name, picture in pictures.items():
            scores = _compare(picture, photo, net) | {"seconds": _seconds(found.get(name))}
            for key, value in scores.items():
                sums.setdefault(name, {}).setdefault(key, 0.0)
                sums[name][key] += value / num
        if i < SHOWN:
            for name, picture in {"photo": photo, **pictures}.items():
                if name != "mean picture":
                    rows.setdefault(name, []).append(picture.cpu())
        advance(1)
    report = {name: {key: round(value, 4) for key, value in line.items()} for name, line in sums.items()}
    return report, {name: torch.cat(pictures) for name, pictures in rows.items()}


def _name(steps: int) -> str:
    return f"+{steps} steps" if steps else "encoder"


@torch.no_grad()
def _compare(picture: torch.Tensor, photo: torch.Tensor, net: SqueezeNet) -> dict[str, float]:
    return {
        "l2": float((picture - photo).square().mean()),
        "perceptual": float(perceptual_distance(net, picture, photo)),
        "ssim": float(ssim(picture, photo)[0]),
    }


def _seconds(inversion: Inversion | None) -> float:
    return 0.0 if inversion is None else sum(inversion.timings.values()) / 1000
