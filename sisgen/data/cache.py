"""Memory-mapped caches of training pictures: written once by several processes, read by index while training.

A cache is a folder with `images.npy` (uint8 [N, H, W, 3]), where there is ground truth `labels.npy` (uint8 [N, H, W]) and `depth.npy`
(float16 [N, H, W]), and `meta.json`, which is written last: a folder without it is unfinished, and the same command goes on from there.
"""

from __future__ import annotations

import json
import multiprocessing
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sisgen.data.portraits import render
from sisgen.errors import InputError
from sisgen.io.files import write_text
from sisgen.io.images import load_image, to_float, to_uint8

BLOCK = 100  # pictures that one job renders; progress is kept a block
FORMAT = 1
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

Indices = Sequence[int] | NDArray[np.integer] | torch.Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheMeta:
    """What a cache holds; the content of `meta.json`."""

    kind: str  # "portraits" or "images"
    num: int
    size: int
    start_seed: int | None = None  # of portraits
    supersample: int | None = None
    format: int = FORMAT


class PortraitCache:
    """Read a cache by index; it serves rendered portraits and caches of pictures alone.

    Attributes:
        meta: what the cache holds.
        size: side of the pictures.
    """

    def __init__(self, path: Path | str) -> None:
        """Open a finished cache.

        Raises:
            InputError: the folder is no finished cache, or a file does not fit its `meta.json`.
        """
        self.path = Path(path)
        if not (self.path / "meta.json").is_file():
            raise InputError(f"{self.path} must be a finished cache with meta.json, but it has none; run `python -m sisgen data` again.")
        self.meta = _read_meta(self.path / "meta.json")
        self.size = self.meta.size
        self._images = self._open("images.npy", (3,))
        self._labels = self._open("labels.npy") if (self.path / "labels.npy").exists() else None
        self._depth = self._open("depth.npy") if (self.path / "depth.npy").exists() else None

    def _open(self, name: str, tail: tuple[int, ...] = ()) -> NDArray[np.generic]:
        wanted = (self.meta.num, self.size, self.size, *tail)
        array = np.load(self.path / name, mmap_mode="r")
        if array.shape != wanted:
            raise InputError(f"{name} must hold {list(wanted)}, but it holds {list(array.shape)}; delete {self.path} and write it again.")
        return array

    def __len__(self) -> int:
        return self.meta.num

    @property
    def has_labels(self) -> bool:
        """Whether there is ground truth."""
        return self._labels is not None

    def images(self, indices: Indices) -> torch.Tensor:
        """Pictures float [B, 3, H, W] in [-1, 1]."""
        return to_float(self._images[np.asarray(indices)]).contiguous()

    def labels(self, indices: Indices) -> torch.Tensor:
        """Label maps int64 [B, H, W].

        Raises:
            InputError: the cache has pictures only.
        """
        return torch.from_numpy(self._need(self._labels, "labels")[np.asarray(indices)]).long()

    def depth(self, indices: Indices) -> torch.Tensor:
        """Depth float [B, H, W] in half picture sides, larger is nearer.

        Raises:
            InputError: the cache has pictures only.
        """
        return torch.from_numpy(self._need(self._depth, "depth")[np.asarray(indices)]).float()

    def _need(self, array: NDArray[np.generic] | None, what: str) -> NDArray[np.generic]:
        if array is None:
            raise InputError(f"{self.path} must hold {what}, but it holds pictures only; use a cache of rendered portraits.")
        return array


def write_cache(
    out: Path, seeds: range, size: int, *, workers: int = 1, supersample: int = 2, report: Callable[[int, int], None] | None = None
) -> PortraitCache:
    """Render portraits into a cache; after a kill the same call goes on from the blocks that are done.

    Args:
        out: the cache's folder.
        seeds: a range with step 1, one seed a picture.
        size: side of the pictures.
        workers: processes that render; each uses one thread.
        supersample: cells a pixel and axis.
        report: called with (pictures done, pictures in all) after every block.

    Raises:
        InputError: the range is empty or has gaps, or `out` holds another cache.
    """
    if not len(seeds) or seeds.step != 1:
        raise InputError(f"seeds must be a range with step 1 and at least one seed, but it is {seeds}; pass range(0, 1000).")
    if workers < 1:
        raise InputError(f"workers must be at least 1, but it is {workers}; pass the number of processor cores.")
    meta = CacheMeta(kind="portraits", num=len(seeds), size=size, start_seed=seeds.start, supersample=supersample)
    out = Path(out)
    if _claim(out, meta):
        return PortraitCache(out)
    done = _done_blocks(out)
    jobs = [(out, meta, first) for first in range(0, meta.num, BLOCK) if first not in done]
    finished = sum(min(BLOCK, meta.num - first) for first in done)
    for first in _work(jobs, workers):
        with (out / "progress.txt").open("a") as log:
            log.write(f"{first}\n")
        finished += min(BLOCK, meta.num - first)
        if report is not None:
            report(finished, meta.num)
    _finish(out, meta)
    return PortraitCache(out)


def _claim(out: Path, meta: CacheMeta) -> bool:
    """Make the folder and its arrays, or check that what is there is the same cache; true when it is finished."""
    for name in ("meta.json", "plan.json"):
        if (out / name).is_file():
            there = _read_meta(out / name)
            if there != meta:
                raise InputError(f"{out} must be empty or hold this cache ({meta}), but it holds {there}; choose another folder.")
            return name == "meta.json"
    cells = (meta.num, meta.size, meta.size)
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {"images": (np.uint8, (*cells, 3))}
    if meta.kind == "portraits":
        shapes |= {"labels": (np.uint8, cells), "depth": (np.float16, cells)}
    out.mkdir(parents=True, exist_ok=True)
    for name, (dtype, shape) in shapes.items():
        np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
    _write_meta(out / "plan.json", meta)
    return False


def _done_blocks(out: Path) -> set[int]:
    log = out / "progress.txt"
    lines = log.read_text().split("\n")[:-1] if log.is_file() else []  # the last piece may be half a line
    if log.is_file():
        log.write_text("".join(f"{line}\n" for line in lines))
    return {int(line) for line in lines}


def _work(jobs: list[tuple[Path, CacheMeta, int]], workers: int) -> Iterator[int]:
    if workers == 1 or len(jobs) < 2:
        yield from map(_render_block, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.imap_unordered(_render_block, jobs)


def _render_block(job: tuple[Path, CacheMeta, int]) -> int:
    out, meta, first = job
    last = min(first + BLOCK, meta.num)
    assert meta.start_seed is not None and meta.supersample is not None
    pictures = render(range(meta.start_seed + first, meta.start_seed + last), meta.size, supersample=meta.supersample)
    labels, depth = pictures.labels.to(torch.uint8).numpy(), pictures.depth.half().numpy()
    for name, values in (("images", to_uint8(pictures.images)), ("labels", labels), ("depth", depth)):
        memory = np.load(out / f"{name}.npy", mmap_mode="r+")
        memory[first:last] = values
        memory.flush()
    return first


def write_picture_cache(out: Path, source: Path, size: int, *, report: Callable[[int, int], None] | None = None) -> PortraitCache:
    """Write a cache of pictures alone, cut to their middle square and scaled to `size`.

    Args:
        out: the cache's folder; a finished cache of the same pictures is kept.
        source: a folder or a .zip of pictures, taken in the order of their names.
        size: side of the pictures.
        report: called with (pictures done, pictures in all).

    Raises:
        InputError: the source holds no picture, one cannot be read, or `out` holds another cache.
    """
    names, read = _list_pictures(Path(source))
    out = Path(out)
    if _claim(out, CacheMeta(kind="images", num=len(names), size=size)):
        return PortraitCache(out)
    memory = np.load(out / "images.npy", mmap_mode="r+")
    for index, name in enumerate(names):
        memory[index] = _middle_square(load_image(read(name)), size)
        if report is not None:
            report(index + 1, len(names))
    memory.flush()
    _finish(out, CacheMeta(kind="images", num=len(names), size=size))
    return PortraitCache(out)


def _list_pictures(source: Path) -> tuple[list[str], Callable[[str], bytes]]:
    if source.is_dir():
        names, read = [path.name for path in source.iterdir() if path.is_file()], lambda name: (source / name).read_bytes()
    elif source.is_file() and zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        names, read = archive.namelist(), archive.read
    else:
        raise InputError(f"'{source}' must be a folder or a .zip of pictures, but it is neither; check the path.")
    names = sorted(name for name in names if name.lower().endswith(PICTURE_SUFFIXES) and not Path(name).name.startswith("."))
    if not names:
        raise InputError(f"'{source}' must hold pictures ({', '.join(PICTURE_SUFFIXES)}), but it holds none; check the path.")
    return names, read


def _middle_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(image[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None]  # [1, 3, side, side]
    if side == size:
        return image[top : top + side, left : left + side]
    scaled = torch.nn.functional.interpolate(square.float(), size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    return scaled[0].round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def _finish(out: Path, meta: CacheMeta) -> None:
    _write_meta(out / "meta.json", meta)
    for name in ("plan.json", "progress.txt"):
        (out / name).unlink(missing_ok=True)


def _read_meta(path: Path) -> CacheMeta:
    try:
        return CacheMeta(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise InputError(f"{path} must describe a cache, but it cannot be read as that; delete the folder and write it again.") from None


def _write_meta(path: Path, meta: CacheMeta) -> None:
    write_text(path, json.dumps(asdict(meta), indent=1) + "\n")
