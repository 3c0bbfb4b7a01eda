"""Photographs on the command line: a picture, or a file that `sisgen invert` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline


def read_photo(pipe: Pipeline, path: Path, flag: str) -> Inversion:
    """Bring a photograph in: an inversion is read, a picture is encoded.

    Args:
        pipe: the model.
        path: a .safetensors file of `sisgen invert`, or a picture.
        flag: which argument it came from, for messages.

    Raises:
        SisgenError: the file is missing or cannot be used, or the model has no encoder.
    """
    from sisgen.io.images import load_image

    if not path.is_file():
        raise InputError(f"{flag} must be a picture or a file of `sisgen invert`, but '{path}' is no file; check the path.")
    if path.suffix.lower() == ".safetensors":
        return pipe.load_inversion(path)
    return pipe.invert(load_image(path))
