"""BSDS500's archive: names, pictures, and one boundary map an annotator."""

import zipfile

import numpy as np
import pytest

from sisgen.data.bsds import BSDS
from sisgen.errors import InputError


def test_pictures_and_the_maps_of_every_annotator(tiny_bsds):
    archive = BSDS(tiny_bsds)
    assert archive.names("train") == ["train/0", "train/1", "train/2"]
    picture, drawn = archive.picture("train/0"), archive.boundaries("train/0")
    assert picture.shape == (48, 64, 3)
    assert drawn.shape == (3, 48, 64) and drawn.dtype == np.bool_
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    assert drawn[0, 24, 26 + 12] and not drawn[2, 24, 26 + 12] and drawn[2, 24, 26 + 13]


def test_refusals(tiny_bsds, tmp_path):
    with pytest.raises(InputError, match="must be one of train, val, test"):
        BSDS(tiny_bsds).names("trian")
    with pytest.raises(InputError, match=r"must be a \.zip"):
        BSDS(tmp_path / "none.zip")
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        archive.writestr("val/1.jpg", b"")
    with pytest.raises(InputError, match=r"it lacks val/1\.png"):
        BSDS(tmp_path / "half.zip").names("val")
