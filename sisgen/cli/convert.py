"""`sisgen convert`: turns a StyleGAN2 file of another project into a model folder, without running anything in it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import class_number

if TYPE_CHECKING:
    from sisgen.generators.convert import Converted

PRECISIONS = ("fp16", "fp32")


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = (
        "Convert a StyleGAN2: official pickles (PyTorch, TensorFlow), rosinality .pt, safetensors with official names, or a model folder. "
        "No code in the file is run."
    )
    parser = subparsers.add_parser("convert", help="bring in a StyleGAN2 of another project", description=words)
    parser.add_argument("source", type=Path, metavar="SRC", help="the file, or a model folder to copy")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model to make")
    parser.add_argument("--name", help="of the model (default: the folder's)")
    parser.add_argument("--license", help="licence of the weights, as their makers give it (default: unknown, see the source)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16", help="of the files (default: %(default)s)")
    words = "of a conditional generator: keep this one, 0 being the first, which makes the generator unconditional (default: keep all)"
    parser.add_argument("--class", dest="class_number", type=class_number, metavar="N", help=words)
    parser.add_argument("--overwrite", action="store_true", help="replace the folder when it holds another model, with all its parts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert, and print what was found.

    Raises:
        SisgenError: the file is refused, or the folder cannot be used.
    """
    import dataclasses

    from sisgen.generators.convert import ConvertConfig, convert

    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(ConvertConfig)}
    report(convert(ConvertConfig(**values)), args.out)
    return 0


def report(found: Converted, out: Path) -> None:
    """Print sizes, what came of the parts, and where they lie."""
    sizes = found.generator
    classes = f"{sizes.c_dim} classes, of which an adaptation takes one: --class N" if sizes.c_dim else "no classes"
    print(f"Found: {found.kind}, {sizes.resolution} px, {found.parameters:,} parameters.")
    print(f"Latents: z {sizes.z_dim}, w {sizes.w_dim} x {sizes.num_ws}, {sizes.num_mapping_layers} mapping layers, {classes}.")
    print("Channels: " + ", ".join(f"{size} px: {width}" for size, width in sizes.channels.items()) + ".")
    for note in found.notes:
        print(note)
    weights = sum((out / name).stat().st_size for name in found.files) / 1e6
    print(f"Written to {out} ({found.precision}, {weights:.1f} MB): {', '.join(found.files)}.")
