"""`sisgen data`: render portraits with their masks, or make a training cache of portraits or of a folder of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sisgen.cli.arguments import MAX_SEED, count, seed
from sisgen.errors import InputError

PICTURES_AT_ONCE = 8


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Render portraits with exact masks, or make a training cache."
    kinds = subparsers.add_parser("data", help="render portraits, make training caches", description=words)
    kinds = kinds.add_subparsers(title="what to make", dest="what", metavar="WHAT", required=True)
    words = "Render portraits with exact masks and depth."
    portraits = kinds.add_parser("portraits", help="render portraits with masks", description=words)
    portraits.add_argument("--num", type=count, default=1000, help="how many (default: %(default)s)")
    portraits.add_argument("--size", type=_size, default=128, help="side in pixels, 16 to 1024 (default: %(default)s)")
    portraits.add_argument("--out", type=Path, required=True, help="folder to write into")
    portraits.add_argument("--start-seed", type=seed, default=0, help="seed of the first one (default: %(default)s)")
    portraits.add_argument("--cache", action="store_true", help="write a memory-mapped training cache instead of PNG files")
    portraits.add_argument("--workers", type=_workers, default=2, help="processes that render a cache (default: %(default)s)")
    portraits.set_defaults(run=run_portraits)
    words = "Make a training cache of a folder of pictures."
    images = kinds.add_parser("images", help="make a cache of your pictures", description=words)
    images.add_argument("--source", type=Path, required=True, help="folder or .zip of pictures")
    images.add_argument("--size", type=_size, default=128, help="side in pixels, 16 to 1024 (default: %(default)s)")
    images.add_argument("--out", type=Path, required=True, help="folder of the cache")
    images.set_defaults(run=run_images)


def run_portraits(args: argparse.Namespace) -> int:
    """Render portraits into PNG files or a cache.

    Raises:
        InputError: the seeds run past the largest one, or the folder cannot be used.
    """
    seeds = range(args.start_seed, args.start_seed + args.num)
    if seeds.stop - 1 > MAX_SEED:
        raise InputError(f"Seeds must end at {MAX_SEED}, but they would end at {seeds.stop - 1}; lower --num or --start-seed.")
    _check_out(args.out)
    if args.cache:
        from sisgen.data.cache import write_cache

        with _progress(len(seeds)) as report:
            write_cache(args.out, seeds, args.size, workers=args.workers, report=report)
        print(f"A cache of {len(seeds)} portraits at {args.size} px is in {args.out}.")
    else:
        write_pictures(args.out, seeds, args.size)
        print(f"{len(seeds)} portraits at {args.size} px are in {args.out / 'images'}, their masks in {args.out / 'masks'}.")
    return 0


def run_images(args: argparse.Namespace) -> int:
    """Make a cache of pictures alone."""
    from sisgen.data.cache import write_picture_cache

    _check_out(args.out)
    with _progress(None) as report:
        cache = write_picture_cache(args.out, args.source, args.size, report=report)
    print(f"A cache of {len(cache)} pictures at {args.size} px is in {args.out}.")
    return 0


def write_pictures(out: Path, seeds: range, size: int) -> None:
    """Write `images/SEED.png`, `masks/SEED.png` (indexed, with the palette) and the palette's own files."""
    from sisgen.data.portraits import PORTRAIT_LABELS, render
    from sisgen.io.images import save_png, to_uint8
    from sisgen.io.labels import write_labels, write_palettes

    write_palettes(out, PORTRAIT_LABELS, "portraits")
    with _progress(len(seeds)) as report:
        for start in range(0, len(seeds), PICTURES_AT_ONCE):
            chosen = seeds[start : start + PICTURES_AT_ONCE]
            portraits = render(chosen, size)
            for one, image, labels in zip(chosen, to_uint8(portraits.images), portraits.labels.numpy()):
                save_png(out / "images" / f"{one:08d}.png", image)
                write_labels(out / "masks" / f"{one:08d}.png", labels, PORTRAIT_LABELS)
            report(start + len(chosen), len(seeds))


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but '{out}' is a file; choose another name.")


def _size(text: str) -> int:
    value = count(text)
    if not 16 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"a size from 16 to 1024 pixels was expected, but it is {value}")
    return value


def _workers(text: str) -> int:
    value = count(text)
    if value > 256:
        raise argparse.ArgumentTypeError(f"at most 256 workers were expected, but it is {value}")
    return value


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, as the callback (done, in all) that the writers report to."""
    from tqdm import tqdm

    with tqdm(total=total, unit="picture", disable=None) as bar:

        def report(done: int, in_all: int) -> None:
            bar.total = in_all
            bar.update(done - bar.n)

        yield report
