"""`sisgen train gan|reader|segmenter|rearranger|mapper|...`: hands over to the trainer of that name in `sisgen.train`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import Parser, count, number, seed

TRAINERS = {
    "warmup": "a warm start of the generator, by decoding pictures",
    "prior": "the mapping of a warm start, on the latents that pictures have",
    "tail": "the blocks behind the cut, so that pictures are sharp, rearranged ones too",
    "gan": "the unconditional generator and its discriminator",
    "reader": "a segmenter of rendered pictures, for labels and for judging",
    "segmenter": "the few-shot segmenter, from a handful of labelled samples",
    "rearranger": "the attention that moves features to follow a proxy mask",
    "mapper": "the way from a drawn mask to a proxy mask",
    "drawing-mapper": "the way from a scribble, a sketch, an edge map or depth to a proxy mask",
    "drawing-baseline": "an encoder of lines into the generator, beside which drawing mappers are measured",
    "depth": "the network that reads depth from a picture",
    "edges": "the edge network that stands in for HED",
    "encoder": "the way from a photograph into the generator",
}


def add_parser(subparsers: Any) -> None:
    """Add the verb; a trainer's own arguments are added when that trainer is chosen, since importing it takes seconds."""
    parser = subparsers.add_parser("train", help="train a part of a model", description="Train a part of a model.")
    trainers = parser.add_subparsers(title="trainers", dest="trainer", metavar="TRAINER", required=True, parser_class=Parser)
    for name, words in TRAINERS.items():
        trainer = trainers.add_parser(name, help=words, description=f"Train {words}. The same command resumes a stopped run.")
        trainer.fill = add_arguments
        trainer.set_defaults(run=run, trainer=name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all trainers share, then what the chosen one adds: `sisgen.train.NAME.add_arguments(parser)`."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an existing run there is resumed")
    parser.add_argument("--images", type=count, help="images to see in all, for instance 400k (default: the trainer's)")
    parser.add_argument("--batch", type=count, help="images a step, over all processes (default: the trainer's)")
    parser.add_argument("--minutes", type=number(0.0), help="stop after this time, whole; the same command goes on (default: no limit)")
    parser.add_argument("--seed", type=seed, default=0, help="of weights, data and noise (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.add_argument("--dry-run", action="store_true", help="check everything, print the resolved settings, train nothing")
    module(parser.get_default("trainer")).add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train: `sisgen.train.NAME.main(args)`."""
    return int(module(args.trainer).main(args) or 0)


def module(name: str) -> Any:
    """Import a trainer."""
    return importlib.import_module(f"sisgen.train.{name.replace('-', '_')}")
