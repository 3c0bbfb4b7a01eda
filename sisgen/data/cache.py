"""Memory-mapped caches of training pictures: written once by several processes, read by index while training.

A cache is a folder with `images.npy` (uint8 [N, H, W, 3]), where there is ground truth `labels.npy` (uint8 [N, H, W]) and `depth.npy`
(float16 [N, H, W]), and `meta.json`, which is written last: a folder without it is unfinished, and the same command goes on from there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from sisgen.data.portraits import NUM_CLASSES, render
from sisgen.errors import InputError

BLOCK = 100  # pictures that one job renders; progress is kept a block
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheMeta:
    """What a cache holds; the content of `meta.json`."""

    kind: str  # "portraits" or "images"
    num: int
    size: int
    start_seed: int | None = None  # of portraits
    supersample: int | None = None
    format: int = _FORMAT


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
        self.meta = CacheMeta(**json.loads((self.path / "meta.json").read_text()))
        self.size = self.meta.size
        self._images = self._open("images.npy", (3,))
        self._labels = self._open("labels.npy") if (self.path / "labels.npy").exists() else None
        self._depth = self._open("depth.npy") if (self.path / "depth.npy").exists() else None

    def _open(self, name: str, tail: tuple[int, ...] = ()) -> np.ndarray:
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

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        """Pictures float [B, 3, H, W] in [-1, 1]."""
        pixels = torch.from_numpy(self._images[np.asarray(indices)])  # [B, H, W, 3]
        return pixels.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1.0)

    def labels(self, indices: Sequence[int]) -> torch.Tensor:
        """Label maps int64 [B, H, W].

        Raises:
            InputError: the cache has pictures only.
        """
        return torch.from_numpy(self._need(self._labels, "labels")[np.asarray(indices)]).long()

    def depth(self, indices: Sequence[int]) -> torch.Tensor:
        """Depth float [B, H, W] in half picture sides, larger is nearer.

        Raises:
            InputError: the cache has pictures only.
        """
        return torch.from_numpy(self._need(self._depth, "depth")[np.asarray(indices)]).float()

    def _need(self, array: np.ndarray | None, what: str) -> np.ndarray:
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
            there = CacheMeta(**json.loads((out / name).read_text()))
            if there != meta:
                raise InputError(f"{out} must be empty or hold this cache ({meta}), but it holds {there}; choose another folder.")
            return name == "meta.json"
    out.mkdir(parents=True, exist_ok=True)
    cells = (meta.num, meta.size, meta.size)
    for name, dtype, shape in (("images", np.uint8, (*cells, 3)), ("labels", np.uint8, cells), ("depth", np.float16, cells)):
        np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
    _write_json(out / "plan.json", meta)
    return False


def _done_blocks(out: Path) -> set[int]:
    log = out / "progress.txt"
    lines = log.read_text().split("\n")[:-1] if log.is_file() else []  # the last piece may be half a line
    if log.is_file():
        log.write_text("".join(f"{line}\n" for line in lines))
    return {int(line) for line in lines}


def _work(jobs: list[tuple[Path, CacheMeta, int]], workers: int) -> object:
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
    pixels = pictures.images.add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    arrays = {"images": pixels, "labels": pictures.labels.to(torch.uint8), "depth": pictures.depth.half()}
    for name, values in arrays.items():
        memory = np.load(out / f"{name}.npy", mmap_mode="r+")
        memory[first:last] = values.numpy()
        memory.flush()
    return first


def _finish(out: Path, meta: CacheMeta) -> None:
    _write_json(out / "meta.json", meta)
    for name in ("plan.json", "progress.txt"):
        (out / name).unlink(missing_ok=True)


def _write_json(path: Path, meta: CacheMeta) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(meta), indent=1) + "\n")
    os.replace(part, path)
