"""`sisgen evaluate`: how well a model follows masks, stage by stage, and how natural its pictures stay."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import count, number
from sisgen.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "evaluate", help="measure a model", description="Measure how a model follows masks, and how natural it stays."
    )
    parser.add_argument("--model", default="portraits", help="model name, folder or Hub id (default: %(default)s)")
    parser.add_argument("--stages", nargs="?", const="abcde", default="", metavar="abcde", help="stages to measure; alone: all")
    parser.add_argument("--samples", type=count, default=500, help="pictures a stage (default: %(default)s)")
    parser.add_argument(
        "--fd", type=count, nargs="?", const=5000, default=0, metavar="NUM", help="pictures a set of SqueezeNet-FD (alone: 5000)"
    )
    words = "pictures a kind of scribbles, lines and depth (alone: 200)"
    parser.add_argument("--conditions", type=count, nargs="?", const=200, default=0, metavar="NUM", help=words)
    words = "edge network that finds the contours of hed (default: gradients of several scales)"
    parser.add_argument("--edges", type=Path, metavar="FOLDER", help=words)
    parser.add_argument(
        "--depth", type=Path, metavar="FOLDER", help="network that gives depth and reads it back (default: the shipped one)"
    )
    words = "encoders of lines to measure beside the model, from `train drawing-baseline --export` (default: none)"
    parser.add_argument("--baselines", type=Path, metavar="FOLDER", help=words)
    words = "photographs to invert and to take shapes from (alone: 50)"
    parser.add_argument("--inversion", type=count, nargs="?", const=50, default=0, metavar="NUM", help=words)
    words = "folder of free-form masks to score where they were changed (alone: %(const)s)"
    parser.add_argument("--freeform", type=Path, nargs="?", const=Path("examples/freeform"), metavar="FOLDER", help=words)
    parser.add_argument("--readers", type=Path, help="folder with the judges a and b (default: the shipped ones, which read portraits)")
    parser.add_argument("--squeezenet", type=Path, default=Path("checkpoints/squeezenet"), help="its folder (default: %(default)s)")
    parser.add_argument("--cache", type=Path, help="cache of real pictures for --fd and --inversion (default: render them)")
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
    if not args.stages and not args.fd and not args.conditions and not args.inversion and not args.freeform:
        flags = "--stages, --fd, --conditions, --inversion, --freeform"
        raise InputError(f"evaluate must know what to measure, but none of {flags} was given; pass --stages.")
    if set(args.stages) - set("abcde"):
        raise InputError(f"--stages must be letters of abcde, but it is {args.stages!r}; pass --stages alone for all.")

    from tqdm import tqdm

    from sisgen.train.evaluation.main import EvaluationConfig, evaluate

    names = [field.name for field in dataclasses.fields(EvaluationConfig)]
    config = EvaluationConfig(**{name: getattr(args, name) for name in names})
    total = (config.samples if config.stages else 0) + 5 * config.fd + 5 * config.conditions + 2 * config.inversion
    total += len(list(config.freeform.glob("*.png"))) if config.freeform else 0
    with tqdm(total=total, unit="picture", disable=None) as bar:
        report = evaluate(config, bar.update)
    print_report(report)
    print(f"Written to {args.out}: evaluation.json and its pictures.")
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
    for kind, scores in report.get("conditions", {}).items():
        print_condition(kind, scores)
    if "inversion" in report:
        print_photos(report)
    if "freeform" in report:
        print_freeform(report["freeform"])
    if report.get("distances"):
        print("SqueezeNet-FD  " + ", ".join(f"{name} {value}" for name, value in report["distances"].items()))


def print_condition(kind: str, scores: dict[str, Any]) -> None:
    """Print how one kind of drawing is followed."""
    from sisgen.train.evaluation.meters import show_percent

    if kind == "scribble":
        print(f"{'scribble':18}{'mIoU':>7}{'acc':>7}{'of the mask':>13}{'covered':>9}   read by {scores['judged_by']}")
        for form, line in scores.items():
            if form == "judged_by":
                continue
            share = "" if line.get("of_the_mask") is None else f"{100 * line['of_the_mask']:.1f}"
            covered = show_percent(line["covered"]) if "covered" in line else ""
            print(f"  {form:16}{show_percent(line['miou']):>7}{show_percent(line['accuracy']):>7}{share:>13}{covered:>9}")
        return
    if kind == "depth":
        print(f"{'depth':18}{'error':>7}   (chance - error) / (chance - self) = {scores['ratio']:.3f}")
        for name in ("depth", "chance", "self", "proxy"):
            print(f"  {name:16}{show_percent(scores[name]['error']):>7}")
        return
    print(f"{kind:18}{'F':>7}{'prec':>7}{'recall':>7}   (F - chance) / (self - chance) = {scores['ratio']:.3f}")
    for name in ("lines", "chance", "self", "proxy", "baseline"):
        if name in scores:
            line = scores[name]
            words = f"   ratio {line['ratio']:.3f}, rows of up to {line['split']} px from the lines" if name == "baseline" else ""
            print(f"  {name:16}{show_percent(line['f']):>7}{show_percent(line['precision']):>7}{show_percent(line['recall']):>7}{words}")


def print_photos(report: dict[str, Any]) -> None:
    """Print how near photographs come, and how shapes of pictures are followed."""
    from sisgen.train.evaluation.meters import show_percent

    print(f"{'inversion':18}{'L2':>8}{'perc':>8}{'SSIM':>8}{'seconds':>9}   of {report['photos']}")
    for name, line in report["inversion"].items():
        print(f"  {name:16}{line['l2']:>8.4f}{line['perceptual']:>8.4f}{line['ssim']:>8.4f}{line['seconds']:>9.2f}")
    print(f"{'exemplar':18}{'mIoU':>7}{'acc':>7}   read by {report['exemplars']['judged_by']}")
    for name, line in report["exemplars"].items():
        if name != "judged_by":
            print(f"  {name:16}{show_percent(line['miou']):>7}{show_percent(line['accuracy']):>7}")


def print_freeform(report: dict[str, Any]) -> None:
    """Print how the changed parts of free-form masks are followed."""
    from sisgen.train.evaluation.meters import show_percent

    print(f"{'free-form':18}{'IoU':>7}{'mIoU':>7}{'acc':>7}{'whole':>7}{'seconds':>9}   changed parts of {len(report['masks'])} masks")
    for name, line in report["methods"].items():
        cells = "".join(f"{show_percent(line[key]):>7}" for key in ("iou", "miou", "accuracy", "whole"))
        print(f"  {name:16}{cells}{line['seconds']:>9.2f}")
    for line in report["masks"]:
        print(f"  {line['name']:24}" + ", ".join(f"{name} {show_percent(line[name])}" for name in report["methods"]))
