"""`sisgen video`: a folder of drawings frame by frame, a walk between seeds on one drawing, or a style that moves along a direction."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.cli.arguments import count, number, seed
from sisgen.cli.drawings import KINDS, DrawingReader, add_drawing_arguments
from sisgen.errors import InputError
from sisgen.hub import DEFAULT_MODEL
from sisgen.hub.bar import download_bar

if TYPE_CHECKING:
    import torch

    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Make a video: one frame a drawing of a folder, or a walk between seeds on a single drawing."
    parser = subparsers.add_parser("video", help="make a video of drawings or of a walk between seeds", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    add_drawing_arguments(parser)
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0], metavar="SEED", help="styles to walk between (default: 0)")
    parser.add_argument("--frames", type=count, default=24, help="frames from seed to seed on a single drawing (default: %(default)s)")
    parser.add_argument("--loop", action="store_true", help="walk back to the first seed")
    parser.add_argument("--direction", metavar="NAME", help="also move along this direction; `sisgen edit --list` tells the names")
    words = "first and last strength on that direction (default: -3 3)"
    parser.add_argument("--strength", type=number(-10.0, 10.0), nargs=2, default=(-3.0, 3.0), metavar=("FROM", "TO"), help=words)
    parser.add_argument("--truncation", type=number(0.0, 1.5), help="0 typical .. 1 varied (default: the model's)")
    parser.add_argument("--fps", type=count, default=24, help="frames a second, up to 60 (default: %(default)s)")
    parser.add_argument("--size", type=count, default=512, help="longer side of the video in pixels (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/video.mp4"), help=".mp4, .webp or .gif (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the video.

    Raises:
        SisgenError: the model or a drawing cannot be used, or there is nothing that moves.
    """
    from sisgen.io.video import video_path, write_video

    path = video_path(args.out)
    files = list_frames(args)
    if not files and len(args.seeds) < 2 and args.direction is None:
        raise InputError("A video needs something that moves, but one drawing and one seed came; give a folder, more seeds or a direction.")
    if not 16 <= args.size <= 4096:
        raise InputError(f"--size must lie in 16..4096 pixels, but it is {args.size}; choose another one.")

    from tqdm import tqdm

    from sisgen.io.images import guard_decoders
    from sisgen.pipeline import Pipeline

    guard_decoders()
    with download_bar() as report:
        pipe = Pipeline.from_pretrained(args.model, device=args.device, report=report)
    rows = walk_styles(pipe, args, len(files))
    with tqdm(total=len(rows), unit="frame", disable=None) as bar:
        written = write_video(path, _counted(frames(pipe, args, files, rows), bar), args.fps)
    note = "" if path == args.out else f" ({args.out.name} would need PyAV: pip install 'sisgen[video]')"
    print(f"{written} frames written to {path}{note}.")
    return 0


def list_frames(args: argparse.Namespace) -> list[dict[str, Path]]:
    """List the drawings of every frame, kind -> file; empty where no folder came.

    Raises:
        InputError: a folder holds no pictures, or two hold different numbers.
    """
    folders = {kind: path for kind in KINDS if (path := getattr(args, kind)) is not None and path.is_dir()}
    lists: dict[str, list[Path]] = {}
    for kind, folder in folders.items():
        lists[kind] = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
        if not lists[kind]:
            raise InputError(f"The folder '{folder}' must hold pictures for --{kind}, but it holds none; check the path.")
    if len({len(found) for found in lists.values()}) > 1:
        sizes = ", ".join(f"{len(found)} for --{kind}" for kind, found in lists.items())
        raise InputError(f"Folders of one video must hold equally many drawings, but they hold {sizes}; make them alike.")
    return [dict(zip(lists, together)) for together in zip(*lists.values())]


def walk_styles(pipe: Pipeline, args: argparse.Namespace, count_of_drawings: int) -> torch.Tensor:
    """Style rows of every frame [F, S, D]: on the great circles between the latents of the seeds, and along the direction."""
    import torch

    from sisgen.editing.directions import find_direction
    from sisgen.editing.styles import walk

    generator = pipe.engine.generator
    psi = pipe.config.defaults.truncation if args.truncation is None else args.truncation
    legs = max(1, len(args.seeds) - (not args.loop))
    each = -(-count_of_drawings // legs) if count_of_drawings else args.frames
    stops = list(walk(pipe.latents(args.seeds), each, spherical=True, loop=args.loop))
    z = torch.stack(stops[:count_of_drawings] if count_of_drawings else stops)
    ws = generator.map(z, psi=psi)
    if args.direction is None:
        return ws
    direction = find_direction(args.direction, pipe.directions())
    low, high = args.strength
    strengths = [low + (high - low) * i / max(len(ws) - 1, 1) for i in range(len(ws))]
    return torch.cat([direction.apply(row[None], strength) for row, strength in zip(ws, strengths)])


def frames(pipe: Pipeline, args: argparse.Namespace, files: Sequence[dict[str, Path]], rows: torch.Tensor) -> Iterator[np.ndarray]:
    """Make the frames, one by one: uint8 [H, W, 3].

    Raises:
        SisgenError: a drawing cannot be used.
    """
    from sisgen.editing.styles import StyleRows
    from sisgen.io.images import to_uint8

    low, high = args.canny_thresholds
    reader = DrawingReader(pipe, low=low, high=high)
    single = {kind: reader.read(kind, path) for kind in KINDS if (path := getattr(args, kind)) is not None and not path.is_dir()}
    box = next((part for _, part in single.values()), (0, 0, pipe.resolution, pipe.resolution))
    for index, row in enumerate(rows):
        moving = {kind: reader.read(kind, path) for kind, path in files[index].items()} if files else {}
        if index == 0:
            box = next((part for _, part in moving.values()), box)  # the first frame decides the size of all
        conditions: list[Condition] = [read[0] for kind in KINDS if (read := moving.get(kind) or single.get(kind)) is not None]
        weights = args.weights if conditions else None
        image = pipe(conditions or None, seeds=[0], style=StyleRows(ws=row[None]), weights=weights).images
        top, left, bottom, right = box
        yield enlarge(to_uint8(image[..., top:bottom, left:right])[0], args.size)


def enlarge(picture: np.ndarray, size: int) -> np.ndarray:
    """Scale a picture so that its longer side has `size` pixels, by Lanczos."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = size / max(height, width)
    wanted = (max(2, round(width * scale)), max(2, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(wanted, Image.Resampling.LANCZOS))


def _counted(frames: Iterator[np.ndarray], bar: Any) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
        bar.update(1)
