"""Where the style of `sisgen generate` comes from: the seeds, a photograph, and for some classes other seeds."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sisgen.cli.arguments import region
from sisgen.cli.photos import read_photo
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.engines.request import GivenStyle
    from sisgen.pipeline import Pipeline


def add_style_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photograph and the regions."""
    words = "take the style of this photograph: a picture, or a file of `sisgen invert`"
    parser.add_argument("--style", type=Path, metavar="FILE", help=words)
    words = "take one class, such as hair=7, from the sample of another seed; once for every such class"
    parser.add_argument("--region", type=region, action="append", default=[], metavar="CLASS=SEED", help=words)


def collect_regions(given: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Bring the regions of the command line together: class -> seed.

    Raises:
        InputError: a class has two seeds.
    """
    regions: dict[str, int] = {}
    for name, source in given:
        if regions.setdefault(name, source) != source:
            raise InputError(f"--region must name a class once, but {name!r} has the seeds {regions[name]} and {source}; leave one out.")
    return regions


def read_style(pipe: Pipeline, photo: Path | None, regions: Mapping[str, int]) -> GivenStyle:
    """Read where the style comes from, before any drawing is read.

    Args:
        pipe: the model.
        photo: a file for `read_photo`; `None` takes the styles of the seeds.
        regions: class -> seed; all other classes keep to the photograph or the seeds.

    Raises:
        SisgenError: the photograph cannot be used, the model has no such class, or there are too many seeds.
    """
    from sisgen.engines.regions import Regions, check_regions

    if not regions:
        return None if photo is None else read_photo(pipe, photo, "--style")
    check_regions(Regions(sources=regions), pipe.labels.names)
    return Regions(sources=regions, base=None if photo is None else read_photo(pipe, photo, "--style"))
