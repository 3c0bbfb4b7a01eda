"""Pictures in and out: the only place where uint8 `[H, W, 3]` and float `[B, 3, H, W]` in [-1, 1] meet."""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from sisgen.errors import InputError
from sisgen.io.files import Source, read_source, write_bytes
from sisgen.shapes import check_shape

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What Pillow's decoders raise on broken or hostile content.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """What a picture that comes from outside may measure."""

    max_bytes: int = 20_000_000  # size of the file
    max_pixels: int = 25_000_000  # width * height in the header, any format but JPEG
    max_jpeg_pixels: int = 64_000_000  # width * height of a JPEG, which is decoded reduced
    max_side: int = 2048  # longer pictures are scaled down to this; label maps never are


DEFAULT_LIMITS = ImageLimits()


def guard_decoders(limits: ImageLimits = DEFAULT_LIMITS) -> None:
    """Cap Pillow for the whole process, for libraries that open pictures before `load_image` can look at them.

    Call it once where a program starts (app, CLI): it changes `PIL.Image.MAX_IMAGE_PIXELS` and turns the warning about
    decompression bombs into an error.
    """
    Image.MAX_IMAGE_PIXELS = limits.max_jpeg_pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def load_image(source: Source, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read a picture: upright, without its metadata, transparency laid on white.

    Args:
        source: a path or the file's content; PNG, JPEG, WebP, BMP or GIF (first frame).
        limits: what it may measure; the header is checked before anything is decoded.

    Returns:
        uint8 RGB [H, W, 3], its longer side at most `limits.max_side`.

    Raises:
        InputError: it is missing, no picture, damaged, empty or too large.
    """
    image, name = open_image(source, limits)
    side = (limits.max_side, limits.max_side)
    image.draft("RGB", side)  # a large JPEG is decoded at 1/2, 1/4 or 1/8, which is cheap in time and memory
    upright = decode_image(image, name)
    rgb = _flatten(upright)
    rgb.thumbnail(side, Image.Resampling.LANCZOS)
    return np.array(rgb, dtype=np.uint8)


def open_image(source: Source, limits: ImageLimits = DEFAULT_LIMITS) -> tuple[Image.Image, str]:
    """Open a picture without decoding it, and check what its header claims.

    Returns:
        the lazy Pillow picture, and words that name it in messages.

    Raises:
        InputError: it is missing, no picture, empty or too large.
    """
    data, name = read_source(source, limits.max_bytes)
    if data.startswith(PNG_SIGNATURE) and 0 in struct.unpack(">II", data[16:24].ljust(8, b"\1")):
        raise InputError(f"{name} must have at least 1 x 1 pixels, but its width or height is 0; export it again.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name} must have at most {limits.max_pixels / 1e6:.0f} megapixels; scale it down.") from None
    except DECODE_ERRORS:
        raise InputError(f"{name} must be a PNG, JPEG, WebP, BMP or GIF picture, but it cannot be read as one; export it again.") from None
    width, height = image.size
    most = limits.max_jpeg_pixels if image.format in ("JPEG", "MPO") else limits.max_pixels
    if width * height > most:
        size = f"it has {width} x {height} pixels"
        raise InputError(f"{name} must have at most {most / 1e6:.0f} megapixels, but {size}; scale it down.")
    return image, name


def decode_image(image: Image.Image, name: str) -> Image.Image:
    """Decode a picture from `open_image` and turn it upright as its EXIF says.

    Raises:
        InputError: the content is damaged or cut off.
    """
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except DECODE_ERRORS:
        raise InputError(f"{name} is damaged or cut off; export or download it again.") from None


def to_uint8(images: torch.Tensor) -> NDArray[np.uint8]:
    """Convert generated pictures for the edge.

    Args:
        images: float [B, 3, H, W]; values outside [-1, 1] are clipped.

    Returns:
        uint8 [B, H, W, 3].
    """
    check_shape("images", images, (None, 3, None, None))
    scaled = images.detach().float().mul(127.5).add(128).clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # [B, H, W, 3]


def to_float(images: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """Convert pictures from the edge: the inverse of `to_uint8`, up to rounding.

    Args:
        images: uint8 [B, H, W, 3].

    Returns:
        float [B, 3, H, W] in [-1, 1].

    Raises:
        InputError: shape or type differs.
    """
    tensor = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    check_shape("images", tensor, (None, None, None, 3))
    if tensor.dtype != torch.uint8:
        raise InputError(f"images must be uint8 in 0..255, but they are {tensor.dtype}; convert them first.")
    return tensor.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # [B, 3, H, W]


def encode_png(image: NDArray[np.uint8], text: Mapping[str, str] | None = None) -> bytes:
    """Encode a picture as PNG.

    Args:
        image: uint8 RGB [H, W, 3].
        text: keys and values for the PNG's text chunks; `None` for none.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"image must be uint8 [H, W, 3], but it is {image.dtype} {list(image.shape)}; convert it first.")
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def save_png(path: str | os.PathLike[str], image: NDArray[np.uint8], text: Mapping[str, str] | None = None) -> None:
    """Write uint8 RGB [H, W, 3] as PNG, atomically, with `text` in its text chunks."""
    write_bytes(path, encode_png(image, text))


def read_png_text(source: Source) -> dict[str, str]:
    """Read the text chunks of a PNG, such as the settings that `save_png` put there.

    Raises:
        InputError: it is no readable picture.
    """
    image, name = open_image(source)
    decode_image(image, name)  # text may also stand behind the pixels
    texts: dict[Any, Any] = getattr(image, "text", {})
    return {str(key): str(value) for key, value in texts.items()}


def save_grid(path: str | os.PathLike[str], images: NDArray[np.uint8], columns: int | None = None) -> None:
    """Write many pictures as one PNG, row by row.

    Args:
        path: the PNG to write, atomically.
        images: uint8 [B, H, W, 3].
        columns: pictures in a row; `None` makes the grid as square as it can be.
    """
    if images.ndim != 4 or len(images) == 0:
        raise InputError(f"images must be uint8 [B, H, W, 3] with B >= 1, but they have the shape {list(images.shape)}.")
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)  # [rows, H, columns, W, 3]
    save_png(path, np.ascontiguousarray(grid.reshape(rows * height, columns * width, 3)))


def _flatten(image: Image.Image) -> Image.Image:
    # 16-bit grey has no direct way to RGB in Pillow: its conversion clips instead of scaling.
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        image = Image.fromarray((grey.clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
    return image.convert("RGB")
