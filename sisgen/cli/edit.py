"""`sisgen edit`: styles moved along named directions or mixed with others, while shapes stay on the drawing."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.cli.arguments import number, seed
from sisgen.cli.drawings import KINDS, DrawingReader, add_drawing_arguments
from sisgen.cli.photos import read_photo
from sisgen.cli.texts import add_text_arguments, find_text
from sisgen.errors import InputError
from sisgen.hub import DEFAULT_MODEL
from sisgen.hub.bar import download_bar

if TYPE_CHECKING:
    from sisgen.cli.drawings import Box
    from sisgen.editing.directions import Direction
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition


@dataclass(frozen=True, kw_only=True, slots=True)
class Edited:
    """One style and its edits.

    Attributes:
        name: of the style, for file names: "seed3", or the photograph's.
        source: what is edited.
    """

    name: str
    source: int | Inversion


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Move styles along directions, or mix them. With a drawing, shapes stay on it and the rest changes."
    parser = subparsers.add_parser("edit", help="edit styles: lighter hair, other colours", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="list the model's directions, and do nothing else")
    add_drawing_arguments(parser)
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0], metavar="SEED", help="styles to edit, one a row (default: 0)")
    parser.add_argument("--style", type=Path, metavar="FILE", help="edit this photograph instead: a picture, or a file of `sisgen invert`")
    parser.add_argument("--direction", metavar="NAME", help="where to go; --list tells the names")
    add_text_arguments(parser)
    words = "how far, in standard deviations; one picture each (default: -3 0 3)"
    parser.add_argument("--strength", type=number(-10.0, 10.0), nargs="+", default=[-3.0, 0.0, 3.0], metavar="S", help=words)
    words = "move or mix only these style rows, coarse to fine: the first, and one past the last (default: all)"
    parser.add_argument("--rows", type=int, nargs=2, metavar=("FIRST", "END"), help=words)
    parser.add_argument(
        "--mix", type=seed, nargs="+", metavar="SEED", help="take the rows of --rows from these seeds instead of a direction"
    )
    parser.add_argument("--truncation", type=number(0.0, 1.5), help="0 typical .. 1 varied (default: the model's)")
    parser.add_argument("--out", type=Path, default=Path("out/edit"), help="folder for the pictures (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write one picture a style and strength, and all of them as `grid.png`.

    Raises:
        SisgenError: the model, a drawing, a photograph or the direction cannot be used.
    """
    ways = sum(way is not None for way in (args.direction, args.text, args.mix))
    if not args.list and ways != 1:
        raise InputError(f"edit needs one of --direction, --text and --mix, but {ways} came; give one, --list tells the directions.")

    from sisgen.io.images import guard_decoders, save_grid
    from sisgen.pipeline import Pipeline

    guard_decoders()
    with download_bar() as report:
        pipe = Pipeline.from_pretrained(args.model, device=args.device, report=report)
    if args.list:
        print("\n".join(direction.name for direction in pipe.directions()))
        return 0
    conditions, (top, left, bottom, right) = read_drawings(pipe, args)
    direction = pick_direction(pipe, args)
    sources = [Edited(name=f"seed{one}", source=one) for one in dict.fromkeys(args.seeds)]
    if args.style is not None:
        sources = [Edited(name=args.style.stem, source=read_photo(pipe, args.style, "--style"))]
    pictures = [make(pipe, conditions, one, direction, args)[..., top:bottom, left:right, :] for one in sources]
    save_grid(args.out / "grid.png", np.concatenate(pictures), len(pictures[0]))
    for one, row in zip(sources, pictures):
        write_row(args.out, one.name, row, direction, args)
    print(f"{sum(map(len, pictures))} pictures written to {args.out}, and all of them as grid.png.")
    return 0


def read_drawings(pipe: Pipeline, args: argparse.Namespace) -> tuple[list[Condition], Box]:
    """Read one file a kind: the conditions, and the part of the square picture that the first one covers.

    Raises:
        SisgenError: a file cannot be used.
    """
    low, high = args.canny_thresholds
    reader = DrawingReader(pipe, low=low, high=high)
    found: list[Condition] = []
    box = (0, 0, pipe.resolution, pipe.resolution)
    for kind in KINDS:
        path = getattr(args, kind)
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"--{kind} must be one file here, but '{path}' is a folder; name one of its files.")
        condition, part = reader.read(kind, path)
        box = part if not found else box
        found.append(condition)
    return found, box


def pick_direction(pipe: Pipeline, args: argparse.Namespace) -> Direction | None:
    """Find the direction that was named, or that of the text; `None` where styles are mixed.

    Raises:
        SisgenError: there is none of that name, or none can be found for the text.
    """
    from sisgen.editing.directions import find_direction

    if args.mix is not None:
        return None
    direction = find_text(pipe, args).direction if args.text is not None else find_direction(args.direction, pipe.directions())
    return replace(direction, rows=(0, pipe.config.generator.num_ws) if args.rows is None else tuple(args.rows))


def make(pipe: Pipeline, conditions: list[Condition], one: Edited, direction: Direction | None, args: argparse.Namespace) -> np.ndarray:
    """Make the pictures of one style: uint8 [N, H, W, 3], one a strength, or one a seed that is mixed in."""
    from sisgen.editing.styles import StyleRows
    from sisgen.io.images import to_uint8

    styles: list[Any] = []
    if direction is None:
        rows = (0, pipe.config.generator.num_ws) if args.rows is None else tuple(args.rows)
        own = pipe.style_rows([one.source], args.truncation) if isinstance(one.source, int) else one.source.ws
        styles = [StyleRows(ws=_mixed(own, pipe.style_rows([other], args.truncation), rows)) for other in args.mix]
    else:
        styles = [pipe.edit(one.source, direction, strength, truncation=args.truncation) for strength in args.strength]
    weights = args.weights if conditions else None
    made = [pipe(conditions or None, seeds=[0], style=style, weights=weights).images for style in styles]
    return np.concatenate([to_uint8(images) for images in made])


def write_row(out: Path, name: str, pictures: np.ndarray, direction: Direction | None, args: argparse.Namespace) -> None:
    """Write the pictures of one style, each with what was done to it in the PNG's text."""
    from sisgen.io.images import save_png

    mixed = [f"mix{other}" for other in args.mix or ()]
    steps = mixed if direction is None else [f"{direction.name}_{strength:+g}" for strength in args.strength]
    words = {} if args.text is None else {"text": args.text, "neutral": args.neutral, "clip": args.clip}
    for step, picture in zip(steps, pictures):
        settings = {"model": args.model, "style": name, "edit": step, "rows": args.rows, "truncation": args.truncation, **words}
        save_png(out / f"{name}_{step.replace(' ', '-')}.png", picture, {"sisgen": json.dumps(settings)})


def _mixed(own: Any, other: Any, rows: tuple[int, int]) -> Any:
    from sisgen.editing.styles import mix_rows

    return mix_rows(mix_rows(own, other, rows[0]), own, rows[1])
