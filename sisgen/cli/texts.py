"""What `edit` and `directions` share: the text that a direction is found for, and the search itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sisgen.cli.arguments import count
from sisgen.hub.bar import download_bar
from sisgen.hub.clip import CLIP_ID

if TYPE_CHECKING:
    from sisgen.editing.text import TextDirection
    from sisgen.pipeline import Pipeline

NEUTRAL = "a face"  # that of `sisgen.editing.text`, whose import would bring torch


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--text`, `--neutral`, `--clip` and `--steps`."""
    words = "find the direction towards this text with CLIP ('a face with a big smile'); needs `pip install 'sisgen[text]'`"
    parser.add_argument("--text", help=words)
    words = "what the model's pictures show anyway, worded alike (default: %(default)r)"
    parser.add_argument("--neutral", default=NEUTRAL, metavar="TEXT", help=words)
    words = "CLIP model in the format of transformers, as safetensors: user/model on the Hub or a folder (default: %(default)s)"
    parser.add_argument("--clip", default=CLIP_ID, metavar="NAME", help=words)
    parser.add_argument("--steps", type=count, default=60, help="of the search for the text's direction (default: %(default)s)")


def find_text(pipe: Pipeline, args: argparse.Namespace, *, seed: int = 0) -> TextDirection:
    """Find the direction of `--text`, on samples of this seed, and tell how well pictures follow it.

    Raises:
        SisgenError: CLIP is not at hand, or a text cannot be used.
    """
    from tqdm import tqdm

    with download_bar() as report, tqdm(unit="step", delay=0.1, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        how = {"neutral": args.neutral, "clip": args.clip, "steps": args.steps, "seed": seed}
        found = pipe.text_direction(args.text, **how, report=report, progress=progress)
    print(f"{found.direction.name}: pictures change with the text to a cosine of {found.alignment:.2f} (0 = unrelated, 1 = exactly).")
    return found
