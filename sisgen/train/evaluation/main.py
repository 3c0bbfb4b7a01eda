"""One evaluation from its settings to its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sisgen import hub
from sisgen.data.cache import PortraitCache
from sisgen.data.portraits import PORTRAIT_LABELS
from sisgen.devices import pick_device
from sisgen.errors import InputError, ModelNotFoundError
from sisgen.io.configs import to_dict
from sisgen.io.images import save_png
from sisgen.nets.depth import load_depth
from sisgen.nets.edges import load_edges
from sisgen.nets.squeezenet import load_squeezenet
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.conditions import ConditionResults, ScribbleTest, measure_conditions
from sisgen.train.evaluation.distances import RealPictures, measure_distances
from sisgen.train.evaluation.exemplars import measure_exemplars
from sisgen.train.evaluation.freeform import draw_freeform, measure_freeform, read_freeform
from sisgen.train.evaluation.inversion import measure_inversion, open_photos
from sisgen.train.evaluation.mixing import load_baselines
from sisgen.train.evaluation.report import draw_grid, write_report
from sisgen.train.evaluation.sources import FD_SEEDS, CachePictures, RenderedPairs
from sisgen.train.evaluation.stages import Judges, run_stages, seeds_of
from sisgen.train.evaluation.subject import PipelineSubject
from sisgen.train.judges import load_reader


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """What is measured, and on what."""

    model: str
    out: Path
    stages: str = "abcde"  # empty = none
    samples: int = 500  # pictures a stage
    fd: int = 0  # pictures a set; 0 = no distances
    conditions: int = 0  # pictures a kind of scribbles, lines and depth; 0 = none
    edges: Path | None = None  # folder of the network that finds the contours of "hed"; None takes gradients
    depth: Path | None = None  # folder of the network that gives depth and reads it back; None takes the shipped one
    baselines: Path | None = None  # folder of encoders of lines, measured beside the mappers; None = none
    inversion: int = 0  # photographs to invert, and to take shapes from; 0 = none
    freeform: Path | None = None  # folder of free-form masks; None = none
    readers: Path | None = None  # folder of the judges a and b; None takes the shipped ones
    squeezenet: Path | None = None  # its folder; None takes the shipped one
    cache: Path | None = None  # real pictures for the distances, held-out ones for the inversion; None renders them
    truncation: float | None = None  # None = the model's own
    batch: int = 8
    device: str | None = None


def evaluate(config: EvaluationConfig, advance: Callable[[int], object] = lambda num: None) -> dict[str, Any]:
    """Measure a model and write `evaluation.json`, `grid.png`, `stages.png` and a picture a further measurement.

    Args:
        config: what is measured.
        advance: called with the number of pictures that are done.

    Returns:
        The content of `evaluation.json`.

    Raises:
        SisgenError: the model, a judge, SqueezeNet or the cache cannot be used.
    """
    device = pick_device(config.device)
    pipe = Pipeline.from_pretrained(config.model, device=config.device)
    subject = PipelineSubject(pipe, config.truncation)
    report: dict[str, Any] = {
        "model": pipe.name,
        "revision": pipe.revision,
        "settings": {**to_dict(config), "truncation": subject.truncation, "device": str(device)},
    }
    rows = {}

    # Stages.
    if config.stages:
        judges = load_judges(config.readers or shipped_folder("readers"), subject, device)
        test = RenderedPairs(subject.resolution, subject.labels) if set(config.stages) & set("ae") else None
        results = run_stages(subject, judges, test, samples=config.samples, batch=config.batch, stages=config.stages, advance=advance)
        report["stages"], rows = results.report(), results.rows

    # Scribbles, lines and depth.
    if config.conditions:
        drawn = _measure_conditions(config, subject, device, advance)
        report["conditions"] = drawn.report
        if drawn.rows:
            save_png(config.out / "conditions.png", draw_grid(drawn.rows, subject.labels, order=tuple(drawn.rows)))

    # Photographs.
    if config.inversion:
        report |= _measure_photos(config, subject, device, advance)

    # Free-form masks.
    if config.freeform:
        report["freeform"] = _measure_freeform(config, subject, device, advance)

    # Distances.
    if config.fd:
        net = load_squeezenet(config.squeezenet or shipped_folder("squeezenet"), device)
        report["distances"] = measure_distances(subject, net, real_pictures(config, subject), num=config.fd, advance=advance)
    write_report(config.out, report, rows, subject.labels)
    return report


def _measure_conditions(
    config: EvaluationConfig, subject: PipelineSubject, device: Any, advance: Callable[[int], object]
) -> ConditionResults:
    """Measure scribbles, lines and depth."""
    network = None if config.edges is None else load_edges(config.edges)
    baselines, pipe = None, subject.pipe
    depth = load_depth(config.depth or shipped_folder("depth")) if "depth" in pipe.kinds else None
    if config.baselines is not None:
        baselines = load_baselines(config.baselines, pipe.engine.generator, pipe.config.generator_sum)
    networks: dict[str, Any] = {"network": network, "depth": depth, "baselines": baselines}
    sizes: dict[str, Any] = {"samples": config.conditions, "batch": config.batch, "advance": advance}
    return measure_conditions(subject, _scribble_test(config, subject, device), **networks, **sizes)


def _scribble_test(config: EvaluationConfig, subject: PipelineSubject, device: Any) -> ScribbleTest:
    """Scribble over the exact masks of rendered portraits; where classes are others, over samples as judge A reads them.

    Where the judges do not know the classes, the model's own reader stands in for both.
    """
    judges = _judges_of_classes(config, subject, device)
    own = subject.pipe.engine.reader
    a, b, judged_by = (judges.a, judges.b, "judge B") if judges else (own, own, "the model's own reader")
    rendered = subject.labels.names == PORTRAIT_LABELS.names
    pairs = RenderedPairs(subject.resolution, subject.labels) if rendered else None

    def masks(start: int, num: int) -> torch.Tensor:
        if pairs is not None:
            return pairs.pairs(start, num)[1]
        targets, _ = seeds_of(start, num)
        return a.read(subject.plain(targets).to(device)).cpu()

    return ScribbleTest(masks=masks, judge=b, judged_by=judged_by)


def _measure_photos(config: EvaluationConfig, subject: PipelineSubject, device: Any, advance: Callable[[int], object]) -> dict[str, Any]:
    """Measure how near photographs come, and how the shape of pictures is followed."""
    net = load_squeezenet(config.squeezenet or shipped_folder("squeezenet"), device)
    cache = None if config.cache is None else PortraitCache(config.cache)
    photos = open_photos(subject.pipe, cache, config.inversion)
    judges = _judges_of_classes(config, subject, device)
    report: dict[str, Any] = {"photos": "rendered test portraits" if cache is None else str(cache.path)}
    report["inversion"], inverted = measure_inversion(subject.pipe, photos, net, num=config.inversion, advance=advance)
    report["exemplars"], shaped = measure_exemplars(subject, photos, judges, num=config.inversion, advance=advance)
    for name, rows in (("inversion", inverted), ("exemplars", shaped)):
        save_png(config.out / f"{name}.png", draw_grid(rows, subject.labels, order=tuple(rows)))
    return report


def _measure_freeform(config: EvaluationConfig, subject: PipelineSubject, device: Any, advance: Callable[[int], object]) -> dict[str, Any]:
    """Measure how free-form masks are followed where they were changed, beside latent optimisation."""
    assert config.freeform is not None
    masks = read_freeform(config.freeform, subject.labels, subject.resolution)
    judges = load_judges(config.readers or shipped_folder("readers"), subject, device)
    report, rows = measure_freeform(subject, judges, masks, advance=advance)
    save_png(config.out / "freeform.png", draw_freeform(rows, subject.labels))
    return report


def load_judges(folder: Path, subject: PipelineSubject, device: Any) -> Judges:
    """Load both judges and check that they name the model's classes.

    Raises:
        InputError: a judge reads other classes than the model's.
    """
    readers = {}
    for name in ("a", "b"):
        readers[name], labels = load_reader(folder / name, device)
        if labels.names != subject.labels.names:
            raise InputError(
                f"The judge '{folder / name}' must read the model's classes, but it reads {', '.join(labels.names)}; train another."
            )
    return Judges(a=readers["a"], b=readers["b"])


def _judges_of_classes(config: EvaluationConfig, subject: PipelineSubject, device: Any) -> Judges | None:
    """The judges, or `None` where there are none or they read other classes than the model's."""
    folder = config.readers or hub.shipped_folder("readers")
    if folder is None or load_reader(folder / "b", device)[1].names != subject.labels.names:
        return None
    return load_judges(folder, subject, device)


def real_pictures(config: EvaluationConfig, subject: PipelineSubject) -> RealPictures:
    """Open the real pictures of the distances."""
    if config.cache is None:
        return RenderedPairs(subject.resolution, subject.labels, FD_SEEDS)
    return CachePictures(PortraitCache(config.cache), subject.pipe, first=FD_SEEDS, least=2 * config.fd)


def shipped_folder(name: str) -> Path:
    """Find a folder that ships beside the models.

    Raises:
        ModelNotFoundError: nowhere; the message lists the places that were tried.
    """
    found = hub.shipped_folder(name)
    if found is not None:
        return found
    tried = ", ".join(words for words, _ in hub.local_places())
    raise ModelNotFoundError(f"The folder '{name}' was expected in {tried}, but it is in none of them; pass --{name} FOLDER.")
