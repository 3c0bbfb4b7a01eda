"""Masks in and out: indexed PNG, label PNG or coloured PNG <-> a map of class ids, and palettes for painting programs."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisgen.errors import InputError
from sisgen.io.files import Source, read_source, write_bytes, write_text
from sisgen.io.images import DEFAULT_LIMITS, ImageLimits, decode_image, open_image
from sisgen.shapes import UNPAINTED
from sisgen.types import LabelSet

UNPAINTED_INDEX = 255  # what unpainted pixels hold in a file
FAR = 20.0  # RGB distance from which a colour belongs to no class; palettes keep their colours 40 apart
WHITE = 248  # least channel of white paper
SOLID_SHARE = 0.05  # a foreign colour with this share of the painted pixels is no soft edge
MAX_PALETTE_BYTES = 100_000
CLASS_NAME = re.compile(r"\w[\w -]{0,23}")


def check_label_set(label_set: LabelSet) -> LabelSet:
    """Check class names and palette, which may come from a stranger's file.

    Returns:
        the same label set.

    Raises:
        InputError: no class, too many, a name that is not plain, a name or colour twice, or colours that are no RGB.
    """
    names, colors = label_set.names, label_set.colors
    if not 1 <= len(names) < UNPAINTED_INDEX or len(names) != len(colors):
        raise InputError(f"A label set needs 1 to 254 names and as many colours, but it has {len(names)} and {len(colors)}.")
    for name in names:
        if not CLASS_NAME.fullmatch(name):
            raise InputError(f"A class name is 1 to 24 letters, digits, spaces or hyphens, but one is {name!r}; rename it.")
    if len(set(names)) != len(names) or len(set(colors)) != len(colors):
        raise InputError("Class names and colours must be unique, but one of them stands twice; change it.")
    if any(len(color) != 3 or not all(0 <= value <= 255 for value in color) for color in colors):
        raise InputError("Class colours must be three numbers in 0..255 each; correct the palette.")
    return label_set


def read_labels(
    source: Source, label_set: LabelSet, *, limits: ImageLimits = DEFAULT_LIMITS, allow_blank: bool = False, paper: bool = False
) -> NDArray[np.int64]:
    """Read a mask from an indexed PNG, a grey label PNG or a coloured PNG in the model's palette.

    An indexed picture whose palette is another one is read by its colours where these are the model's, else by its indices.
    Transparent pixels and the value 255 are unpainted.

    Args:
        source: a path or the file's content.
        label_set: the model's classes.
        limits: what it may measure; a mask is never scaled here.
        allow_blank: accept a mask in which nothing is painted (a canvas may be blank, a file may not).
        paper: take white for unpainted in coloured pictures, as under scribbles, unless a class is that bright.

    Returns:
        int64 [H, W] of class ids, -1 where nothing is painted.

    Raises:
        InputError: it cannot be read, holds unknown labels or colours, is a photograph, or holds no label.
    """
    image, name = open_image(source, limits)
    image = decode_image(image, name)
    if image.mode == "P":
        labels = _from_indexed(image, label_set, name)
    elif image.mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        rgba = np.array(image.convert("RGBA"))
        if paper and max(min(color) for color in label_set.colors) < WHITE:
            rgba[(rgba[..., :3] >= WHITE).all(axis=2), 3] = 0
        labels = _from_colors(rgba, label_set, name)
    else:
        labels = _from_ids(_grey_values(image), label_set, name)
    if not allow_blank and not (labels != UNPAINTED).any():
        raise InputError(f"{name} must hold at least one painted pixel, but all of it is unpainted; paint something first.")
    return labels


def encode_labels(labels: NDArray[np.integer], label_set: LabelSet) -> bytes:
    """Encode class ids as an indexed PNG that carries the palette.

    Args:
        labels: integers [H, W] in -1..L-1; -1 (or 255) becomes the transparent index 255.
        label_set: the classes and their colours.

    Raises:
        InputError: not two-dimensional, empty, or a label that is no class.
    """
    if labels.ndim != 2 or labels.size == 0:
        raise InputError(f"labels must be [H, W], but they have the shape {list(labels.shape)}; pass one map at a time.")
    checked = _from_ids(labels.astype(np.int64), label_set, "The label map")
    indices = np.where(checked == UNPAINTED, UNPAINTED_INDEX, checked).astype(np.uint8)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(label_set)] = label_set.colors
    palette[UNPAINTED_INDEX] = 255
    image = Image.fromarray(indices, mode="L")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=bytes([255] * 255 + [0]))
    return buffer.getvalue()


def write_labels(path: str | os.PathLike[str], labels: NDArray[np.integer], label_set: LabelSet) -> None:
    """Write class ids [H, W] as an indexed PNG, atomically; see `encode_labels`."""
    write_bytes(path, encode_labels(labels, label_set))


def color_labels(labels: NDArray[np.integer], label_set: LabelSet) -> NDArray[np.uint8]:
    """Paint class ids in the palette.

    Args:
        labels: integers [..., H, W]; unpainted pixels become white.

    Returns:
        uint8 RGB [..., H, W, 3].
    """
    palette = np.full((256, 3), 255, dtype=np.uint8)
    palette[: len(label_set)] = label_set.colors
    return palette[np.where(labels == UNPAINTED, UNPAINTED_INDEX, labels)]


def palette_json(label_set: LabelSet) -> str:
    """Describe the palette for programs: a list of `{"id", "name", "rgb"}`."""
    rows = [{"id": i, "name": name, "rgb": list(color)} for i, (name, color) in enumerate(zip(label_set.names, label_set.colors))]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def read_palette(path: str | os.PathLike[str]) -> LabelSet:
    """Read classes and colours as `palette_json` writes them.

    Raises:
        InputError: the file cannot be read, is no such list, or its classes cannot be used.
    """
    data, name = read_source(path, MAX_PALETTE_BYTES)
    try:
        rows = sorted(json.loads(data.decode("utf-8")), key=lambda row: row["id"])
        ids = [row["id"] for row in rows]
        names = tuple(str(row["name"]) for row in rows)
        red_green_blue = [tuple(int(value) for value in row["rgb"]) for row in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f'{name} must be a list of {{"id", "name", "rgb"}}, but it is not; export the palette again.') from None
    if ids != list(range(len(rows))) or any(len(color) != 3 for color in red_green_blue):
        raise InputError(f"{name} must number its classes from 0 on and give three numbers as colour, but it does not; correct it.")
    return check_label_set(LabelSet(names=names, colors=tuple((color[0], color[1], color[2]) for color in red_green_blue)))


def palette_gpl(label_set: LabelSet, title: str) -> str:
    """Describe the palette for GIMP, Krita and Inkscape."""
    rows = [f"{red:3d} {green:3d} {blue:3d}\t{name}" for name, (red, green, blue) in zip(label_set.names, label_set.colors)]
    return "\n".join(["GIMP Palette", f"Name: sisgen {title}", "Columns: 4", "#", *rows]) + "\n"


def write_palettes(folder: str | os.PathLike[str], label_set: LabelSet, title: str) -> None:
    """Write `palette.json` and `TITLE.gpl` into a folder, atomically."""
    write_text(Path(folder) / "palette.json", palette_json(label_set))
    write_text(Path(folder) / f"{title}.gpl", palette_gpl(label_set, title))


def _grey_values(image: Image.Image) -> NDArray[np.int64]:
    """Values of a one-channel picture, 255 where its alpha channel says transparent."""
    if image.mode == "LA":
        values, alpha = (np.asarray(band).astype(np.int64) for band in image.split())
        return np.where(alpha >= 128, values, UNPAINTED_INDEX)
    values = np.asarray(image).astype(np.int64)
    return np.where(values == 65535, UNPAINTED_INDEX, values) if image.mode.startswith("I") else values


def _from_indexed(image: Image.Image, label_set: LabelSet, name: str) -> NDArray[np.int64]:
    indices = np.asarray(image).astype(np.int64)
    rgba = np.asarray(image.convert("RGBA"))
    opaque = rgba[..., 3] >= 128
    used = np.unique(indices[opaque & (indices != UNPAINTED_INDEX)])
    own = np.array(image.getpalette("RGB"), dtype=np.int64).reshape(-1, 3)
    ids_are_known = bool((used < len(label_set)).all())
    if ids_are_known:
        same = np.array_equal(own[used], np.array(label_set.colors)[used])
        grey = np.array_equal(own[used], np.repeat(used[:, None], 3, axis=1))
        if same or grey:
            return _from_ids(np.where(opaque, indices, UNPAINTED_INDEX), label_set, name)
    try:
        return _from_colors(rgba, label_set, name)
    except InputError:
        if not ids_are_known:
            raise
        return _from_ids(np.where(opaque, indices, UNPAINTED_INDEX), label_set, name)


def _from_ids(values: NDArray[np.int64], label_set: LabelSet, name: str) -> NDArray[np.int64]:
    found = np.unique(values)
    unknown = found[((found < 0) | (found >= len(label_set))) & (found != UNPAINTED_INDEX) & (found != UNPAINTED)]
    if len(unknown) > 32:
        raise InputError(f"{name} must be a mask, but it looks like a photograph ({len(found)} grey levels); choose a mask.")
    if len(unknown):
        known = f"the labels 0 to {len(label_set) - 1}, or 255 for unpainted"
        raise InputError(f"{name} must hold {known}, but it holds {_listed(unknown)}; paint it with the model's classes.")
    return np.where(values == UNPAINTED_INDEX, UNPAINTED, values)


def _from_colors(rgba: NDArray[np.uint8], label_set: LabelSet, name: str) -> NDArray[np.int64]:
    painted = rgba[..., 3] >= 128
    labels = np.full(painted.shape, UNPAINTED, dtype=np.int64)
    pixels = rgba[..., :3][painted].astype(np.int64)  # [P, 3]
    if len(pixels) == 0:
        return labels
    packed, inverse, counts = np.unique(pixels @ np.array([65536, 256, 1]), return_inverse=True, return_counts=True)
    colors = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=1)  # [U, 3]
    squared = np.stack([((colors - color) ** 2).sum(axis=1) for color in np.array(label_set.colors)], axis=1)  # [U, L]
    _check_colors(colors, np.sqrt(squared.min(axis=1)), counts, name)
    labels[painted] = squared.argmin(axis=1)[inverse]
    return labels


def _check_colors(colors: NDArray[np.int64], distances: NDArray[np.float64], counts: NDArray[np.int64], name: str) -> None:
    """Refuse a picture that is not painted in the palette; soft edges and light compression noise pass."""
    far = distances > FAR
    shares = np.where(far, counts, 0) / counts.sum()
    worst = int(shares.argmax())
    if shares.sum() > 0.5 and far.sum() > 256:
        words = f"it looks like a photograph ({shares.sum():.0%} of its pixels are in no class's colour)"
        raise InputError(f"{name} must be a mask in the model's palette, but {words}; choose a mask.")
    if shares.sum() > 0.5 or shares[worst] > SOLID_SHARE:
        words = "the colour #{:02x}{:02x}{:02x}".format(*colors[worst])
        covers = f"{words} ({shares[worst]:.0%} of it) belongs to no class"
        raise InputError(f"{name} must be painted in the model's palette, but {covers}; repaint it with the palette.")


def _listed(values: NDArray[np.int64]) -> str:
    shown = ", ".join(str(value) for value in values[:4])
    return f"{shown}, ..." if len(values) > 4 else shown
