import numpy as np

from sisgen.cli.main import main
from sisgen.data.cache import PortraitCache
from sisgen.data.portraits import PORTRAIT_LABELS, render
from sisgen.io.images import load_image, to_uint8
from sisgen.io.labels import read_labels


def test_portraits_with_masks(tmp_path, capsys):
    assert main(["data", "portraits", "--num", "2", "--size", "32", "--start-seed", "9", "--out", str(tmp_path)]) == 0
    wanted = render([9, 10], 32)
    assert np.array_equal(load_image(tmp_path / "images" / "00000010.png"), to_uint8(wanted.images)[1])
    assert np.array_equal(read_labels(tmp_path / "masks" / "00000009.png", PORTRAIT_LABELS), wanted.labels[0].numpy())
    assert (tmp_path / "palette.json").is_file()
    assert "2 portraits at 32 px" in capsys.readouterr().out


def test_a_cache_and_a_cache_of_pictures(tmp_path):
    assert main(["data", "portraits", "--num", "3", "--size", "16", "--cache", "--workers", "1", "--out", str(tmp_path / "c")]) == 0
    assert len(PortraitCache(tmp_path / "c")) == 3
    assert main(["data", "portraits", "--num", "2", "--size", "32", "--out", str(tmp_path / "p")]) == 0
    assert main(["data", "images", "--source", str(tmp_path / "p" / "images"), "--size", "16", "--out", str(tmp_path / "i")]) == 0
    assert len(PortraitCache(tmp_path / "i")) == 2


def test_bad_arguments_are_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for arguments in (
        ["--size", "9", "--out", str(tmp_path / "o")],
        ["--num", "0", "--out", str(tmp_path / "o")],
        ["--start-seed", str(2**32 - 1), "--num", "2", "--out", str(tmp_path / "o")],
        ["--out", str(tmp_path / "file")],
    ):
        assert main(["data", "portraits", *arguments]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
