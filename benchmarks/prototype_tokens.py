"""What the prototype tokens bring: stages (c) and (e) with them and with their attention switched off.

    python -m benchmarks.prototype_tokens --model portraits --samples 200

Prints one JSON line: reader B's mIoU and the IoU of the classes that many samples lack. The tokens are switched off by their bias, in
the trained rearranger; a rearranger trained without them could make up for a part of the difference.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from sisgen.devices import keep_freed_memory
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.main import load_judges, shipped_folder
from sisgen.train.evaluation.sources import RenderedPairs
from sisgen.train.evaluation.stages import run_stages
from sisgen.train.evaluation.subject import PipelineSubject

OFF = -1e4  # bias of a token that no query shall see


def main() -> int:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="portraits")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--classes", nargs="+", default=["glasses", "hat"])
    parser.add_argument("--readers", type=Path)
    parser.add_argument("--device")
    args = parser.parse_args()
    keep_freed_memory()
    result = {name: measure(args, tokens) for name, tokens in (("with tokens", True), ("without tokens", False))}
    print(json.dumps({"model": args.model, "samples": args.samples} | result))
    return 0


def measure(args: argparse.Namespace, tokens: bool) -> dict[str, Any]:
    """Score stages (c) and (e) of a freshly loaded model."""
    pipe = Pipeline.from_pretrained(args.model, device=args.device)
    if not tokens:
        with torch.no_grad():
            pipe.engine.rearranger.token_bias.fill_(OFF)
    subject = PipelineSubject(pipe, None)
    judges = load_judges(args.readers or shipped_folder("readers"), subject, pipe.device)
    test = RenderedPairs(subject.resolution, subject.labels)
    stages = run_stages(subject, judges, test, samples=args.samples, batch=8, stages="ce", advance=lambda num: None).report()
    shown = ["miou", *args.classes]
    rows = {name: {"miou": scores["miou"], **scores["per_class"]} for name, scores in stages.items() if name in ("c", "e")}
    return {name: {key: row[key] for key in shown} for name, row in rows.items()}


if __name__ == "__main__":
    raise SystemExit(main())
