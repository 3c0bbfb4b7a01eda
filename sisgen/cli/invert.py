"""`sisgen invert`: brings a photograph into a model, so that its mask can be edited and its style or shape taken."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import number
from sisgen.errors import InputError
from sisgen.hub import DEFAULT_MODEL
from sisgen.hub.bar import download_bar

if TYPE_CHECKING:
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Find style rows of a generator that show a photograph; `generate --style` and `generate --exemplar` take what it writes."
    parser = subparsers.add_parser("invert", help="bring a photograph into a model", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--revision", help="commit, tag or branch of a model on the Hub (default: the newest)")
    parser.add_argument("--photo", type=Path, required=True, help="the picture")
    parser.add_argument(
        "--box", type=int, nargs=4, metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"), help="square to cut out, in pixels (default: the middle)"
    )
    parser.add_argument("--steps", type=number(0, 1000), default=20, help="of refinement; 0 = the encoder alone (default: %(default)s)")
    parser.add_argument("--tune", action="store_true", help="also tune a copy of the generator's tail to the photograph (slower, closest)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Invert, and write the reconstruction, the labels and the inversion.

    Raises:
        SisgenError: the model or the photograph cannot be used.
    """
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out must be a folder, but '{args.out}' is a file; choose another name.")
    if args.steps != int(args.steps):
        raise InputError(f"--steps must be a whole number, but it is {args.steps:g}; round it.")

    from tqdm import tqdm

    from sisgen.io.images import guard_decoders, load_image
    from sisgen.pipeline import Pipeline

    guard_decoders()
    picture = load_image(args.photo)
    with download_bar() as report:
        pipe = Pipeline.from_pretrained(args.model, device=args.device, revision=args.revision, report=report)
    box = None if args.box is None else tuple(args.box)
    with tqdm(unit="step", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        inversion = pipe.invert(picture, box=box, steps=int(args.steps), tune=args.tune, progress=show)
    write(pipe, inversion, args.out, args.photo.stem)
    return 0


def write(pipe: Pipeline, inversion: Inversion, out: Path, stem: str) -> None:
    """Write `STEM.safetensors`, the reconstruction, the photograph as it was cut, and its labels as an indexed PNG."""
    from sisgen.io.images import save_png, to_uint8
    from sisgen.io.labels import write_labels

    out.mkdir(parents=True, exist_ok=True)
    notes = {"model": pipe.name, "revision": pipe.revision, "labels_from": inversion.labels_from}
    pipe.save_inversion(out / f"{stem}.safetensors", inversion)
    save_png(out / f"{stem}_reconstruction.png", to_uint8(inversion.image)[0], {"sisgen": json.dumps(notes)})
    save_png(out / f"{stem}_photo.png", to_uint8(inversion.photo)[0])
    write_labels(out / f"{stem}_labels.png", inversion.labels[0].cpu().numpy(), pipe.labels)
    error = float((inversion.image.clamp(-1, 1) - inversion.photo).square().mean())
    seconds = sum(inversion.timings.values()) / 1000
    print(f"Inverted in {seconds:.1f} s, mean squared error {error:.4f}; labels read from the {inversion.labels_from}.")
    print(f"Written to {out}: {stem}.safetensors, {stem}_reconstruction.png, {stem}_photo.png, {stem}_labels.png.")
