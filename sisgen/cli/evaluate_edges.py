"""`sisgen evaluate-edges`: boundary scores of an edge network on BSDS500."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import count
from sisgen.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Measure ODS, OIS and AP of an edge network by the protocol of BSDS500."
    parser = subparsers.add_parser("evaluate-edges", help="measure an edge network on BSDS500", description=words)
    parser.add_argument("--edges", type=Path, help="folder of an edge network (default: the one beside the models)")
    parser.add_argument("--hed", action="store_true", help="measure the real HED instead, which may be downloaded")
    words = "look at three sizes of every picture and their mirror images, at seven times the work"
    parser.add_argument("--careful", action="store_true", help=words)
    parser.add_argument("--people", action="store_true", help="measure the annotators instead, each against the others")
    parser.add_argument("--data", type=Path, required=True, help="BSDS500 as a .zip with {train,val,test}/ID.jpg and ID.png")
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="its part (default: val, to choose by; test is for last figures)"
    )
    parser.add_argument("--pictures", type=count, help="score the first ones only (default: all)")
    parser.add_argument("--thresholds", type=count, default=33, help="how many, up to 99 (default: %(default)s)")
    parser.add_argument("--note", action="store_true", help="write the scores into the network's config and card")
    parser.add_argument("--out", type=Path, help="JSON file for the scores (default: none)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score every picture, then print the figures.

    Raises:
        SisgenError: an argument, the network or the archive cannot be used.
    """
    if args.thresholds > 99:
        raise InputError(f"--thresholds must be at most 99, but it is {args.thresholds}; the benchmark itself takes 99.")
    if args.hed + args.people + (args.edges is not None) > 1:
        raise InputError("--edges, --hed and --people name different things to measure; give one of them.")
    if args.note and args.edges is None:
        raise InputError("--note writes into a network's folder, but --edges names none; give its folder.")
    scores = score(args)
    for name in ("ods", "ois", "ap", "threshold", "precision", "recall"):
        print(f"{name:10}{scores[name]:.3f}")
    if args.out:
        from sisgen.io.files import write_text

        write_text(args.out, json.dumps(scores, indent=1) + "\n")
    if args.note:
        from sisgen.train.edges import note_scores

        note_scores(args.edges, scores)
    return 0


def score(args: argparse.Namespace) -> dict[str, Any]:
    """Score what the arguments name, as plain JSON."""
    import numpy as np
    from tqdm import tqdm

    from sisgen.conditions.hed import read_carefully
    from sisgen.data.bsds import BSDS
    from sisgen.io.images import to_float
    from sisgen.metrics.boundaries import BoundaryMeter, thin

    archive = BSDS(args.data)
    names = archive.names(args.split)[: args.pictures]
    net = None if args.people else _load(args)
    meter = BoundaryMeter(1 if net is None else args.thresholds)
    for name in tqdm(names, unit="picture", disable=None):
        drawn = archive.boundaries(name)
        if net is not None:
            picture = to_float(archive.picture(name)[None])
            found = read_carefully(net, picture) if args.careful else net.read(picture)
            meter.add(thin(found[0, 0].numpy()), drawn)
            continue
        for one in range(len(drawn)):
            meter.add(drawn[one].astype(np.float32), np.delete(drawn, one, axis=0))
    figures = {key: round(value, 4) for key, value in dataclasses.asdict(meter.score()).items()}
    return {**figures, "split": args.split, "careful": args.careful, "pictures": len(names), "thresholds": len(meter.thresholds)}


def _load(args: argparse.Namespace) -> Any:
    from sisgen.conditions.hed import Detector, load_detector
    from sisgen.devices import pick_device
    from sisgen.nets.edges import load_edges

    device = pick_device(args.device)
    if args.edges is None:
        return load_detector(device, prefer="hed" if args.hed else "edges")
    return Detector(name="edges", source=str(args.edges), net=load_edges(args.edges, device), device=device)
