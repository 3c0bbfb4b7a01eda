"""Scores results that were labelled by hand against the masks that drove them; `--pictures DIR` writes the results for labelling.

Run `python -m benchmarks.hand_labels`. Mask i is what the model's reader sees in the sample of seed 4,000,001,000 + i; the result is
that mask drawn in the style of seed 4,100,001,000 + i. Whoever labels sees the results alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sisgen.conditions.mask import mask_condition
from sisgen.io.images import save_png, to_uint8
from sisgen.io.labels import read_labels
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.meters import StageMeter

MASK_SEEDS = 4_000_001_000
STYLE_SEEDS = 4_100_001_000


def main() -> None:
    """Score, or write the pictures to label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="cats")
    parser.add_argument("--labels", type=Path, default=Path("examples/cats/results"))
    parser.add_argument("--pictures", type=Path, help="write the first 20 results here, and score nothing")
    args = parser.parse_args()

    pipe = Pipeline.from_pretrained(args.model)
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
        for i in range(20):
            mask = pipe.sample_labels([MASK_SEEDS + i])[0].numpy()
            image = pipe(mask_condition(mask, pipe.labels, pipe.resolution), seeds=[STYLE_SEEDS + i]).images
            save_png(args.pictures / f"{i}.png", to_uint8(image.clamp(-1, 1))[0])
        return
    meter = StageMeter(pipe.labels.names)
    for path in sorted(args.labels.glob("*.png")):
        drawn = pipe.sample_labels([MASK_SEEDS + int(path.stem)])
        meter.add(drawn, torch.from_numpy(read_labels(path, pipe.labels)).long()[None])
    report = meter.report()
    print(f"{report['pictures']} results, mIoU {report['miou']:.1f}, accuracy {report['accuracy']:.1f}")
    print("  ".join(f"{name} {value:.1f}" for name, value in report["per_class"].items()))


if __name__ == "__main__":
    main()
