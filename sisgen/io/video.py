"""Frames into a video: H.264 through PyAV where it is installed (`sisgen[video]`), else an animated WebP or GIF through Pillow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisgen.errors import InputError
from sisgen.io.files import replace_file

SUFFIXES = (".mp4", ".webp", ".gif")
MOST_FPS = 60

Frame = NDArray[np.uint8]


def can_write_mp4() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def video_path(path: str | Path) -> Path:
    """Name the file that a video can be written to here: an .mp4 becomes a .webp where PyAV is missing.

    Raises:
        InputError: the name ends in none of .mp4, .webp and .gif.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"A video's name must end in {', '.join(SUFFIXES)}, but it is '{path.name}'; rename it.")
    return path.with_suffix(".webp") if path.suffix.lower() == ".mp4" and not can_write_mp4() else path


def write_video(path: str | Path, frames: Iterable[Frame], fps: int = 24) -> int:
    """Write a video atomically; animated WebP and GIF play for ever.

    Args:
        path: as `video_path` gave it; its folder is made.
        frames: uint8 RGB [H, W, 3], all of one size; taken one by one for .mp4.
        fps: frames a second, 1..60.

    Returns:
        How many frames were written.

    Raises:
        InputError: there are none, they differ in size, or the name or the rate cannot be used.
    """
    path = Path(path)
    if video_path(path) != path:
        raise InputError(f"'{path.name}' needs PyAV, but it is not installed; pip install 'sisgen[video]', or write a .webp.")
    if not 1 <= fps <= MOST_FPS:
        raise InputError(f"A video must have 1..{MOST_FPS} frames a second, but {fps} were asked for; choose another rate.")
    checked = _checked(frames)
    first = next(checked, None)
    if first is None:
        raise InputError("A video needs at least one frame, but none came.")
    with replace_file(path) as temporary:
        write = _write_mp4 if path.suffix.lower() == ".mp4" else _write_animation
        return write(temporary, path.suffix.lower()[1:], first, checked, fps)


def _checked(frames: Iterable[Frame]) -> Iterator[Frame]:
    shape = None
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or shape not in (None, frame.shape):
            wanted = "uint8 [H, W, 3]" if shape is None else f"uint8 {list(shape)}"
            raise InputError(f"Frames must be {wanted}, but one is {frame.dtype} {list(frame.shape)}; scale them alike.")
        shape = frame.shape
        yield frame


def _write_mp4(file: Path, _: str, first: Frame, others: Iterator[Frame], fps: int) -> int:
    import av

    height, width = (side - side % 2 for side in first.shape[:2])  # yuv420p takes even sides only
    count = 0
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"crf": "17"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in chain([first], others):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode())
    return count


def _write_animation(file: Path, kind: str, first: Frame, others: Iterator[Frame], fps: int) -> int:
    pictures = [Image.fromarray(frame) for frame in others]
    options: dict[str, Any] = {"quality": 90, "method": 4} if kind == "webp" else {"optimize": False}
    options |= {"save_all": True, "append_images": pictures, "duration": round(1000 / fps), "loop": 0}
    Image.fromarray(first).save(file, format=kind.upper(), **options)
    return 1 + len(pictures)
