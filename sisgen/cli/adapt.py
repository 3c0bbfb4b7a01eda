"""`sisgen adapt`: makes a generator steerable by masks, or lets all parts of a model follow its generator."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import class_number, count, number, seed
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.train.adapt import AdaptConfig, AdaptProgress
    from sisgen.types import LabelSet


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = (
        "Make a generator steerable by masks, or let a model's parts follow its generator: segmenter, clusters, rearranger, live reader "
        "and mapper, in order. The same command goes on where it stopped."
    )
    parser = subparsers.add_parser("adapt", help="make a generator steerable by masks", description=words)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="model with a generator; what else it holds goes on from there")
    source.add_argument("--generator", type=Path, help="StyleGAN2 file of another project, or a model folder to copy")
    words = "class of a conditional --generator to adapt, 0 being the first"
    parser.add_argument("--class", dest="class_number", type=class_number, metavar="N", help=words)
    parser.add_argument("--license", help="licence of a --generator's weights, as their makers give it (default: unknown, see the source)")
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument("--masks", type=Path, help="folder of painted masks SEED.png of samples, perhaps with a palette.json")
    labels.add_argument("--annotator", type=Path, help="folder of a reader that stands in for a person who paints")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the masks' classes, in the order of their numbers")
    parser.add_argument("--labels", type=count, default=16, help="samples that the annotator labels (default: %(default)s)")
    parser.add_argument("--psi", type=number(0.0, 1.5), default=0.9, help="truncation of the labelled samples (default: %(default)s)")
    parser.add_argument("--minutes", type=number(0.0), help="time for all stages together (default: as long as it takes)")
    parser.add_argument("--work", type=Path, required=True, help="folder of the run, with sample grids; an existing run there is resumed")
    parser.add_argument("--out", type=Path, help="folder of the finished model (default: the model itself)")
    parser.add_argument("--fresh", action="store_true", help="fit clusters and start the rearranger anew")
    parser.add_argument("--force", action="store_true", help="replace the model even where validation did not improve")
    parser.add_argument(
        "--adversarial",
        action=argparse.BooleanOptionalAction,
        help="train the rearranger against a discriminator, a fresh one where the model has none (default: on a GPU, or where it has one)",
    )
    words = "prototype tokens a cluster, for parts that samples may lack, as hats: 2 (default: 0, all comes from the sample)"
    parser.add_argument("--tokens", type=_tokens, default=0, help=words)
    parser.add_argument("--bf16", action="store_true", help="bfloat16, on a GPU or on a CPU with AMX")
    parser.add_argument("--seed", type=seed, default=0, help="of weights, data and noise (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Adapt, and print what came of it.

    Raises:
        SisgenError: the generator, the labels or a stage cannot be used.
    """
    from sisgen.train.adapt import adapt

    result = adapt(configure(args), report=_show)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    print(result.sentence)
    return 0 if result.finished else 1


def configure(args: argparse.Namespace) -> AdaptConfig:
    """Turn arguments into a config; a foreign generator is brought in first.

    Raises:
        InputError: a generator without --out, classes without masks, or a class of no generator.
    """
    from sisgen.train.adapt import AdaptConfig, bring_in

    if args.classes and args.masks is None:
        raise InputError("--classes names the classes of painted masks, but there are none; give --masks, or leave it to the annotator.")
    if args.generator is not None and args.out is None:
        raise InputError("--generator needs a folder for the finished model, but none came; give --out.")
    if args.generator is None and (args.class_number, args.license) != (None, None):
        raise InputError("--class and --license belong to a --generator, but only --model came; give the model as --generator.")
    label_set = name_classes(args.classes) if args.classes else None
    if args.generator is not None:
        name = args.out.resolve().name
        model = bring_in(args.generator, args.work, name, class_number=args.class_number, license=args.license)
    else:
        model = _find(args.model, args.out)
    same = ("work", "masks", "annotator", "labels", "psi", "minutes", "fresh", "force", "adversarial", "tokens", "bf16", "seed", "device")
    return AdaptConfig(model=model, out=args.out or model, label_set=label_set, **{name: getattr(args, name) for name in same})


def _tokens(text: str) -> int:
    if text not in {str(number) for number in range(9)}:
        raise argparse.ArgumentTypeError(f"must be a whole number in 0..8, but it is {text!r}")
    return int(text)


def _find(model: Path, out: Path | None) -> Path:
    """Find a model by its folder or, where the outcome goes elsewhere, by its name."""
    from sisgen.hub import find_model

    if (model / "config.json").is_file() or model.is_dir():
        return model
    if out is None:
        raise InputError(f"There is no model folder '{model}' to adapt in place; name a folder, or give --out.")
    return find_model(str(model)).path


def name_classes(names: list[str]) -> LabelSet:
    """Give classes colours that are well apart.

    Raises:
        InputError: a name is not plain or stands twice.
    """
    from sisgen.data.portraits import PORTRAIT_LABELS
    from sisgen.io.labels import check_label_set
    from sisgen.types import LabelSet

    colors = list(PORTRAIT_LABELS.colors)[: len(names)]
    steps = range(24, 240, 24)
    grid = [(red, green, blue) for red in steps for green in steps for blue in steps]
    while len(colors) < len(names):  # whatever is farthest from all before
        colors.append(max(grid, key=lambda color: min(math.dist(color, other) for other in colors)))
    return check_label_set(LabelSet(names=tuple(names), colors=tuple(colors)))


def _show(progress: AdaptProgress) -> None:
    sys.stderr.write(f"\r{progress.line}\x1b[K" if sys.stderr.isatty() else f"{progress.line}\n")
    sys.stderr.flush()
