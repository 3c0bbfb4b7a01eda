"""`sisgen evaluate`: how well a model follows masks, stage by stage, and how natural its pictures stay."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import count, number
from sisgen.errors import InputError
from sisgen.hub import DEFAULT_MODEL


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "evaluate", help="measure a model", description="Measure how a model follows masks, and how natural it stays."
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder or Hub id (default: %(default)s)")
    parser.add_argument("--stages", nargs="?", const="abcde", default="", metavar="abcde", help="stages to measure; alone: all")
    parser.add_argument("--samples", type=count, default=500, help="pictures a stage (default: %(default)s)")
    parser.add_argument(
        "--fd", type=count, nargs="?", const=5000, default=0, metavar="NUM", help="pictures a set of SqueezeNet-FD (alone: 5000)"
    )
    parser.add_argument(
        "--readers", type=Path, default=Path("checkpoints/readers"), help="folder with the judges a and b (default: %(default)s)"
    )
    parser.add_argument("--squeezenet", type=Path, default=Path("checkpoints/squeezenet"), help="its folder (default: %(default)s)")
    parser.add_argument("--cache", type=Path, help="cache of real pictures for the FD (default: render them)")
    parser.add_argument("--truncation", type=number(0.0, 1.5), help="psi of all pictures (default: the model's)")
    parser.add_argument("--batch", type=count, default=8, help="pictures at once (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/evaluation"), help="folder for JSON, grid and plot (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, write `evaluation.json`, `grid.png` and `stages.png`, and print the table.

    Raises:
        SisgenError: the model, a judge or an argument cannot be used.
    """
    if not args.stages and not args.fd:
        raise InputError("evaluate must know what to measure, but neither --stages nor --fd was given; pass --stages.")
    if set(args.stages) - set("abcde"):
        raise InputError(f"--stages must be letters of abcde, but it is {args.stages!r}; pass --stages alone for all.")

    from tqdm import tqdm

    from sisgen.train.evaluation.main import EvaluationConfig, evaluate

    names = [field.name for field in dataclasses.fields(EvaluationConfig)]
    config = EvaluationConfig(**{name: getattr(args, name) for name in names})
    with tqdm(total=(config.samples if config.stages else 0) + 5 * config.fd, unit="picture", disable=None) as bar:
        report = evaluate(config, bar.update)
    print_report(report)
    print(f"Written to {args.out}: evaluation.json, grid.png, stages.png.")
    return 0


def print_report(report: dict[str, Any]) -> None:
    """Print the stage table and the distances."""
    from sisgen.train.evaluation.meters import show_percent

    stages = report.get("stages", {})
    if stages:
        names = list(next(iter(stages.values()))["per_class"])
        print(f"{'stage':18}{'mIoU':>7}{'acc':>7}  " + "".join(f"{name[:9]:>10}" for name in names))
    for stage, scores in stages.items():
        cells = "".join(f"{show_percent(value):>10}" for value in scores["per_class"].values())
        print(f"{stage:18}{show_percent(scores['miou']):>7}{show_percent(scores['accuracy']):>7}  {cells}")
    if report.get("distances"):
        print("SqueezeNet-FD  " + ", ".join(f"{name} {value}" for name, value in report["distances"].items()))
