"""Videos: what is written can be read again, and .mp4 falls back where PyAV is missing."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from sisgen.errors import InputError
from sisgen.io.video import can_write_mp4, video_path, write_video


def frames(count, *, side=32):
    for index in range(count):
        frame = np.zeros((side, side, 3), dtype=np.uint8)
        frame[:, : (index + 1) * side // count] = (240, 120, 30)
        yield frame


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_animations_hold_every_frame(tmp_path, suffix):
    path = tmp_path / "new" / f"a.{suffix}"
    assert write_video(path, frames(5), fps=10) == 5
    with Image.open(path) as picture:
        assert picture.n_frames == 5 and picture.size == (32, 32)
        assert picture.info["loop"] == 0
        picture.seek(4)
        assert np.abs(np.asarray(picture.convert("RGB"), dtype=int)[16, 28] - (240, 120, 30)).max() < 40


@pytest.mark.skipif(not can_write_mp4(), reason="PyAV is not installed")
def test_mp4_is_h264_with_even_sides(tmp_path):
    import av

    assert write_video(tmp_path / "a.mp4", frames(6, side=33), fps=12) == 6
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height, stream.pix_fmt) == ("h264", 32, 32, "yuv420p")
        assert sum(1 for _ in video.decode(video=0)) == 6
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser can begin before all is there"


def test_without_pyav_an_mp4_becomes_a_webp(monkeypatch, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else found(name, *rest))
    assert video_path("out/a.mp4").name == "a.webp"
    assert video_path("out/a.gif").name == "a.gif"
    with pytest.raises(InputError, match="needs PyAV"):
        write_video(tmp_path / "a.mp4", frames(2))


def test_refusals(tmp_path):
    with pytest.raises(InputError, match=r"must end in \.mp4"):
        video_path("a.avi")
    with pytest.raises(InputError, match="at least one frame"):
        write_video(tmp_path / "a.webp", [])
    with pytest.raises(InputError, match="frames a second"):
        write_video(tmp_path / "a.webp", frames(2), fps=0)
    with pytest.raises(InputError, match="scale them alike"):
        write_video(tmp_path / "a.webp", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)])
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
