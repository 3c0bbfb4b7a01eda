"""BSDS500: photographs with the contours that several people drew (Arbelaez et al., TPAMI 2011), read from one zip file.

The archive holds `{train,val,test}/ID.jpg` and `ID.png`, uint16, whose bit k is the boundary map of annotator k.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sisgen.errors import InputError
from sisgen.io.images import decode_image, load_image, open_image

SPLITS = ("train", "val", "test")


class BSDS:
    """Read pictures and boundaries by name.

    Attributes:
        path: the archive.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the archive.

        Raises:
            InputError: it is no zip file, or lacks a split or a boundary map.
        """
        self.path = Path(path)
        if not self.path.is_file() or not zipfile.is_zipfile(self.path):
            raise InputError(f"'{path}' must be a .zip of BSDS500, but it is none; check the path.")
        self._archive = zipfile.ZipFile(self.path)
        self._files = set(self._archive.namelist())

    def names(self, split: str) -> list[str]:
        """List the pictures of a split as "split/ID", sorted.

        Raises:
            InputError: no such split, or it is empty or lacks a boundary map.
        """
        if split not in SPLITS:
            raise InputError(f"A split of BSDS500 must be one of {', '.join(SPLITS)}, but it is {split!r}; choose one of these.")
        names = sorted(name.removesuffix(".jpg") for name in self._files if name.startswith(f"{split}/") and name.endswith(".jpg"))
        lacking = [name for name in names if f"{name}.png" not in self._files]
        if not names or lacking:
            came = f"it lacks {lacking[0]}.png" if lacking else "there is none"
            raise InputError(f"'{self.path}' must hold {split}/ID.jpg, each with its ID.png, but {came}; get the archive again.")
        return names

    def picture(self, name: str) -> NDArray[np.uint8]:
        """Read a photograph: uint8 RGB [H, W, 3]."""
        return load_image(self._archive.read(f"{name}.jpg"))

    def boundaries(self, name: str) -> NDArray[np.bool_]:
        """Read what every annotator drew: bool [A, H, W].

        Raises:
            InputError: the file holds no bit maps.
        """
        bits = np.asarray(decode_image(*open_image(self._archive.read(f"{name}.png")))).astype(np.int64)
        if bits.ndim != 2 or not 0 < bits.max(initial=0) < 1 << 16:
            raise InputError(f"The boundaries '{name}.png' must be a 16-bit grey picture with a bit an annotator; get the archive again.")
        count = int(bits.max()).bit_length()
        return (bits[None] >> np.arange(count)[:, None, None]) & 1 == 1
