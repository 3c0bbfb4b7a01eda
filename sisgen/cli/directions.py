"""`sisgen directions`: learn named directions of a model's style space from what its own samples show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import count, number, seed
from sisgen.hub import DEFAULT_MODEL


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Learn directions such as hair-light or glasses-size, by linear classifiers on styles (InterFaceGAN)."
    parser = subparsers.add_parser("directions", help="learn named directions for `edit`", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--samples", type=count, default=2000, help="pictures to measure (default: %(default)s)")
    parser.add_argument("--accuracy", type=number(0.5, 1.0), default=0.75, help="leave out what is told apart less well (default: 0.75)")
    parser.add_argument("--seed", type=seed, default=0, help="of the samples (default: 0)")
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
