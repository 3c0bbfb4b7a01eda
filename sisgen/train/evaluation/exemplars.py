"""Shape from one picture, style from another: are the labels of the result those of the shape source?

| row | shape source | how |
|---|---|---|
| generated | a plain sample | its own proxy mask |
| generated, mask | a plain sample | what judge A reads in it, through the mask mapper |
| generated, mixing | a plain sample | baseline: encoder, coarse style rows of the source, fine ones of the style |
| photo | a held-out picture | inverted by the encoder, then its shape as `Pipeline.exemplar` gives it |
| photo, mask | a held-out picture | its exact labels through the mask mapper: the mask tab |
| photo, mixing | a held-out picture | the baseline, from the encoder's rows |

Judge B reads the results. The references are what A reads in samples, and the exact labels of pictures; where there are no judges or
no exact labels, the model's own reader stands in, which is told. The baseline's split is the best of `mixing.SPLITS`, chosen on the same
pictures, which favours it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sisgen.generators.latents import latents
from sisgen.io.images import to_uint8
from sisgen.nets.reader import Reader
from sisgen.train.evaluation.inversion import Photos
from sisgen.train.evaluation.meters import StageMeter
from sisgen.train.evaluation.mixing import mix_pictures, splits_of
from sisgen.train.evaluation.stages import STYLE_SEEDS, TARGET_SEEDS, Judges
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.types import Condition

SHOWN = 8


def measure_exemplars(
    subject: PipelineSubject, photos: Photos, judges: Judges | None, *, num: int, advance: Callable[[int], object]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Measure all rows of the table.

    Args:
        subject: a model with an encoder.
        photos: held-out pictures.
        judges: readers A and B; `None` has the model's own reader stand in for both.
        num: pictures a row.
        advance: called with the number of pictures that are done.

    Returns:
        row -> the report of its `StageMeter`, and rows of pictures for the grid.
    """
    own = subject.pipe.engine.reader
    bench = _Bench(subject, judges.a if judges else own, judges.b if judges else own)
    for i in range(num):
        photo, labels = photos.photos(i, 1)
        bench.measure_sample(i)
        bench.measure_photo(i, photo.to(subject.pipe.device), labels)
        advance(1)
    report: dict[str, Any] = {name: meter.report() for name, meter in bench.best().items()}
    report["judged_by"] = "judge B" if judges else "the model's own reader"
    return report, {name: torch.cat(pictures) for name, pictures in bench.rows.items()}


class _Bench:
    """What one measurement adds up."""

    def __init__(self, subject: PipelineSubject, a: Reader, b: Reader) -> None:
        self.subject, self.pipe, self.a, self.b = subject, subject.pipe, a, b
        self.meters: dict[str, StageMeter] = {}
        self.rows: dict[str, list[torch.Tensor]] = {}

    @torch.no_grad()
    def measure_sample(self, i: int) -> None:
        """Take the shape of a plain sample."""
        target, style = TARGET_SEEDS + i, STYLE_SEEDS + i
        source = self.subject.plain([target])
        wanted = self.a.read(source.to(self.pipe.device))
        result = self._follow(self.pipe.exemplar(target, self.subject.truncation), style)
        self._add("generated", wanted, result)
        self._add("generated, mask", wanted, self.subject.from_masks(wanted, [style]))
        self._mix("generated", wanted, source.to(self.pipe.device), style)

    @torch.no_grad()
    def measure_photo(self, i: int, photo: torch.Tensor, labels: torch.Tensor | None) -> None:
        """Take the shape of a held-out picture."""
        style = STYLE_SEEDS + i
        wanted = self.a.read(photo) if labels is None else labels
        inversion = self.pipe.invert(to_uint8(photo)[0])
        result = self._follow(self.pipe.exemplar(inversion), style)
        self._add("photo", wanted, result)
        self._add("photo, mask", wanted, self.subject.from_masks(wanted, [style]))
        mixed = self._mix("photo", wanted, photo, style)
        if i < SHOWN:
            plain = self.subject.plain([style])
            shown = {"shape": photo, "inverted": inversion.image.clamp(-1, 1), "style": plain, "exemplar": result, "mixing": mixed}
            for name, picture in shown.items():
                self.rows.setdefault(name, []).append(picture.cpu())

    def best(self) -> dict[str, StageMeter]:
        """The meters, of every baseline the best split only."""
        chosen = {name: meter for name, meter in self.meters.items() if "mixing" not in name}
        for kind in ("generated", "photo"):
            splits = [self.meters[f"{kind}, mixing {size}"] for size in splits_of(self.pipe.engine.generator)]
            chosen[f"{kind}, mixing"] = max(splits, key=lambda meter: meter.report()["miou"] or 0.0)
        return chosen

    def _follow(self, shape: Condition, style: int) -> torch.Tensor:
        return self.pipe(shape, seeds=[style], truncation=self.subject.truncation).images.clamp(-1, 1)

    def _mix(self, kind: str, wanted: torch.Tensor, source: torch.Tensor, style: int) -> torch.Tensor:
        """Mix style rows at every split; the picture of the middle one."""
        engine = self.pipe.engine
        assert engine.encoder is not None, "checked by the pipeline"
        shape = engine.encoder.encode(engine.generator, source)
        z = latents([style], engine.generator.config.z_dim).to(self.pipe.device)
        fine = engine.generator.map(z, psi=self.subject.truncation)
        pictures = mix_pictures(engine.generator, shape, fine)
        for size, mixed in pictures.items():
            self._add(f"{kind}, mixing {size}", wanted, mixed)
        return list(pictures.values())[len(pictures) // 2]

    def _add(self, name: str, wanted: torch.Tensor, picture: torch.Tensor) -> None:
        read = self.b.read(picture.to(self.pipe.device))
        self.meters.setdefault(name, StageMeter(self.subject.labels.names)).add(wanted.cpu(), read.cpu())
