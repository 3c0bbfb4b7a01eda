"""`sisgen directions`: learn named directions of a model's style space from what its own samples show, or from a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import count, number, seed
from sisgen.cli.texts import add_text_arguments, find_text
from sisgen.hub import DEFAULT_MODEL

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Learn directions such as hair-light or glasses-size, by linear classifiers on styles (InterFaceGAN), or one for a text."
    parser = subparsers.add_parser("directions", help="learn named directions for `edit`", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--samples", type=count, default=2000, help="pictures to measure (default: %(default)s)")
    parser.add_argument("--accuracy", type=number(0.5, 1.0), default=0.75, help="leave out what is told apart less well (default: 0.75)")
    parser.add_argument("--seed", type=seed, default=0, help="of the samples (default: 0)")
    add_text_arguments(parser)
    parser.add_argument("--export", type=Path, help="model folder to write them to (default: only list them)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Learn, list, and perhaps write the directions.

    Raises:
        SisgenError: the model cannot be used, or nothing can be learned.
    """
    from tqdm import tqdm

    from sisgen.pipeline import Pipeline
    from sisgen.train.directions import export_directions, learn_directions

    pipe = Pipeline.from_pretrained(args.model, device=args.device)
    if args.text is not None:
        return learn_text(pipe, args)
    with tqdm(total=args.samples, unit="picture", disable=None) as bar:
        found = learn_directions(
            pipe, args.samples, accuracy=args.accuracy, seed=args.seed, report=lambda done, _: bar.update(done - bar.n) and None
        )
    for one in found:
        print(f"{one.direction.name:24}{one.accuracy:.2f}")
    if args.export is not None:
        export_directions(args.export, found, samples=args.samples, seed=args.seed)
        print(f"{len(found)} directions written to {args.export}.")
    return 0


def learn_text(pipe: Pipeline, args: argparse.Namespace) -> int:
    """Find, tell, and perhaps write the direction of a text.

    Raises:
        SisgenError: CLIP is not at hand, or the text cannot be used.
    """
    from sisgen.train.directions import export_text_direction

    found = find_text(pipe, args, seed=args.seed)
    if args.export is not None:
        words = {"text": args.text, "neutral": args.neutral, "clip": args.clip, "steps": args.steps, "seed": args.seed}
        export_text_direction(args.export, found, words)
        print(f"The direction {found.direction.name!r} was written to {args.export}; `edit --direction` and `video` take it.")
    return 0
