"""Scores results that were labelled by hand against the masks that drove them; `--pictures DIR` writes the results for labelling.

Run `python -m benchmarks.hand_labels`. Mask i is what the model's reader sees in the sample of seed 4,000,001,000 + i; the result is
that mask drawn in the style of seed 4,100,001,000 + i. With `--freeform` they are the pictures of `sisgen evaluate --freeform`, of which
the changed parts count, as they do there. Whoever labels sees the results alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from sisgen.conditions.mask import mask_condition
from sisgen.io.images import save_png, to_uint8
from sisgen.io.labels import read_labels
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.freeform import read_freeform
from sisgen.train.evaluation.meters import StageMeter
from sisgen.train.evaluation.stages import STYLE_SEEDS as FREEFORM_SEEDS
from sisgen.train.evaluation.subject import PipelineSubject

MASK_SEEDS = 4_000_001_000
STYLE_SEEDS = 4_100_001_000
NUM = 20
FREEFORM = Path("examples/freeform")


def main() -> None:
    """Score, or write the pictures to label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: cats, or portraits with --freeform")
    parser.add_argument("--freeform", action="store_true", help="the forty free-form masks instead of the masks of samples")
    parser.add_argument("--labels", type=Path, help="default: examples/cats/results, or examples/freeform/results")
    parser.add_argument("--pictures", type=Path, help="write the results here, and score nothing")
    args = parser.parse_args()
    model = args.model or ("portraits" if args.freeform else "cats")
    folder = args.labels or (FREEFORM if args.freeform else Path("examples/cats")) / "results"

    pipe = Pipeline.from_pretrained(model)
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
        for name, image in draw_freeform(pipe) if args.freeform else draw_samples(pipe):
            save_png(args.pictures / f"{name}.png", to_uint8(image.clamp(-1, 1))[0])
        return
    if args.freeform:
        score_freeform(pipe, folder)
    else:
        score_samples(pipe, folder)


def draw_samples(pipe: Pipeline) -> Iterator[tuple[str, torch.Tensor]]:
    """Draw the masks of samples in other styles; name and picture [1, 3, H, W] of each."""
    for i in range(NUM):
        mask = pipe.sample_labels([MASK_SEEDS + i])[0].numpy()
        yield str(i), pipe(mask_condition(mask, pipe.labels, pipe.resolution), seeds=[STYLE_SEEDS + i]).images


def draw_freeform(pipe: Pipeline) -> Iterator[tuple[str, torch.Tensor]]:
    """Draw the free-form masks as `sisgen evaluate` does; name and picture [1, 3, H, W] of each."""
    subject = PipelineSubject(pipe)
    for i, mask in enumerate(read_freeform(FREEFORM, pipe.labels, pipe.resolution)):
        yield mask.name, subject.from_masks(mask.labels[None], [FREEFORM_SEEDS + i])


def score_samples(pipe: Pipeline, folder: Path) -> None:
    """Print how well labels in `folder` agree with the masks of samples."""
    meter = StageMeter(pipe.labels.names)
    for path in sorted(folder.glob("*.png")):
        drawn = pipe.sample_labels([MASK_SEEDS + int(path.stem)])
        meter.add(drawn, torch.from_numpy(read_labels(path, pipe.labels)).long()[None])
    report = meter.report()
    print(f"{report['pictures']} results, mIoU {report['miou']:.1f}, accuracy {report['accuracy']:.1f}")
    print("  ".join(f"{name} {value:.1f}" for name, value in report["per_class"].items()))


def score_freeform(pipe: Pipeline, folder: Path) -> None:
    """Print how well labels in `folder` agree with the changed parts of the free-form masks, and with the whole of them."""
    whole, values = StageMeter(pipe.labels.names), []
    for mask in read_freeform(FREEFORM, pipe.labels, pipe.resolution):
        read = torch.from_numpy(read_labels(folder / f"{mask.name}.png", pipe.labels)).long()[None]
        whole.add(mask.labels[None], read)
        values.append(100 * mask.agreement(read))
        print(f"{mask.name} {values[-1]:.1f}")
    changed = sum(values) / len(values)
    print(f"{len(values)} results, IoU of the changed parts {changed:.1f}, mIoU of the whole {whole.report()['miou']:.1f}")


if __name__ == "__main__":
    main()
