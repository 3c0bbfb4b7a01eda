"""`sisgen release`: completes a trained model folder with defaults, seeds of rare classes, a revision and its card."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import count, number, seed


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Complete a trained model folder: defaults, seeds that show rare classes, revision, CARD.md."
    parser = subparsers.add_parser("release", help="complete a trained model and write its card", description=words)
    parser.add_argument("--model", type=Path, required=True, help="the model's folder")
    parser.add_argument("--description", required=True, help="one line about the model")
    parser.add_argument("--license", required=True, help="licence of the weights, for instance apache-2.0")
    parser.add_argument("--data", required=True, help="one line about the training data")
    parser.add_argument("--hardware", required=True, help="what it was trained on")
    parser.add_argument("--commands", nargs="*", default=(), metavar="COMMAND", help="the recipe, a command each")
    parser.add_argument("--truncation", type=number(0.0, 1.5), default=0.7, help="default truncation (default: 0.7)")
    parser.add_argument("--seed", type=seed, default=0, help="default seed (default: 0)")
    parser.add_argument("--samples", type=count, default=192, help="seeds looked through for rare classes (default: 192)")
    words = "evaluation.json of `sisgen evaluate`, or several of different measurements (default: no scores)"
    parser.add_argument("--evaluation", dest="evaluations", type=Path, nargs="+", default=[], help=words)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Complete the folder.

    Raises:
        SisgenError: the folder is no whole model.
    """
    import dataclasses

    from sisgen.train.release import ReleaseConfig, release

    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(ReleaseConfig)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    print(f"Written: {release(ReleaseConfig(**values))}")
    return 0
