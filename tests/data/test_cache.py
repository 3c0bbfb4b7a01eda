import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch

from sisgen.data import cache as cache_module
from sisgen.data.cache import PortraitCache, write_cache, write_picture_cache
from sisgen.data.portraits import render
from sisgen.errors import InputError
from sisgen.io.images import save_png, to_uint8


def test_a_cache_holds_what_is_rendered(tmp_path):
    done = []
    cache = write_cache(tmp_path / "c", range(100, 106), 32, report=lambda *counts: done.append(counts))
    wanted = render([103, 100], 32)
    assert len(cache) == 6 and cache.size == 32 and cache.has_labels and done == [(6, 6)]
    assert (cache.images([3, 0]) - wanted.images).abs().max() <= 1 / 127.5
    assert torch.equal(cache.labels(torch.tensor([3, 0])), wanted.labels)
    assert (cache.depth(np.array([3, 0])) - wanted.depth).abs().max() < 1e-3
    assert cache.images([1]).dtype == torch.float32 and cache.labels([1]).dtype == torch.int64


def test_an_unfinished_cache_is_refused_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "BLOCK", 2)
    out, seen = tmp_path / "c", []

    def stop(done, in_all):
        seen.append(done)
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cache(out, range(6), 16, report=stop)
    with pytest.raises(InputError, match="finished cache"):
        PortraitCache(out)
    with (out / "progress.txt").open("a") as log:
        log.write("4")  # a line that a kill cut short
    resumed = []
    cache = write_cache(out, range(6), 16, report=lambda done, _: resumed.append(done))
    assert seen == [2, 4] and resumed == [6]
    whole = write_cache(tmp_path / "whole", range(6), 16)
    for name in ("images", "labels", "depth"):
        assert np.array_equal(np.load(out / f"{name}.npy"), np.load(tmp_path / "whole" / f"{name}.npy"))
    assert len(cache) == len(whole) == 6
    assert sorted(path.name for path in out.iterdir()) == ["depth.npy", "images.npy", "labels.npy", "meta.json"]


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_goes_on(tmp_path):
    command = ["-m", "sisgen", "data", "portraits", "--num", "400", "--size", "16", "--cache", "--workers", "1", "--out"]
    process = subprocess.Popen([sys.executable, *command, str(tmp_path / "c")], env=os.environ | {"OMP_NUM_THREADS": "1"})
    for _ in range(600):
        if (tmp_path / "c" / "progress.txt").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "c" / "meta.json").exists()
    counts = []
    cache = write_cache(tmp_path / "c", range(400), 16, report=lambda done, _: counts.append(done))
    assert len(counts) < 4
    assert torch.equal(cache.images(range(400)), write_cache(tmp_path / "w", range(400), 16).images(range(400)))


@pytest.mark.slow
def test_two_processes_write_the_same_cache(tmp_path):
    two = write_cache(tmp_path / "two", range(250), 16, workers=2)
    one = write_cache(tmp_path / "one", range(250), 16)
    assert torch.equal(two.images(range(250)), one.images(range(250)))


def test_another_cache_is_not_overwritten(tmp_path):
    write_cache(tmp_path / "c", range(2), 16)
    assert len(write_cache(tmp_path / "c", range(2), 16)) == 2
    with pytest.raises(InputError, match="choose another folder"):
        write_cache(tmp_path / "c", range(3), 16)


@pytest.mark.parametrize(("seeds", "workers", "words"), [(range(0), 1, "step 1"), (range(0, 9, 2), 1, "step 1"), (range(3), 0, "workers")])
def test_bad_arguments(tmp_path, seeds, workers, words):
    with pytest.raises(InputError, match=words):
        write_cache(tmp_path / "c", seeds, 16, workers=workers)
    assert not (tmp_path / "c").exists()


def test_a_damaged_cache_says_so(tmp_path):
    write_cache(tmp_path / "c", range(2), 16)
    np.save(tmp_path / "c" / "images.npy", np.zeros((2, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"\[2, 16, 16, 3\]"):
        PortraitCache(tmp_path / "c")
    (tmp_path / "c" / "meta.json").write_text(json.dumps({"size": "x"}))
    with pytest.raises(InputError, match="delete the folder"):
        PortraitCache(tmp_path / "c")


def test_pictures_alone_from_a_folder_and_a_zip(tmp_path):
    pictures = to_uint8(render([0, 1], 32).images)
    (tmp_path / "p").mkdir()
    save_png(tmp_path / "p" / "b.png", pictures[1])
    save_png(tmp_path / "p" / "a.png", np.pad(pictures[0], ((0, 0), (4, 4), (0, 0))))
    (tmp_path / "p" / "notes.txt").write_text("no picture")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in ("b.png", "a.png"):
            archive.write(tmp_path / "p" / name, name)
    for source, out in (("p", "c1"), ("p.zip", "c2")):
        cache = write_picture_cache(tmp_path / out, tmp_path / source, 32)
        assert np.array_equal(to_uint8(cache.images([0, 1])), pictures)
        assert not cache.has_labels
        with pytest.raises(InputError, match="pictures only"):
            cache.labels([0])
    assert write_picture_cache(tmp_path / "c3", tmp_path / "p", 16).images([0]).shape == (1, 3, 16, 16)


def test_sources_without_pictures(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds none"):
        write_picture_cache(tmp_path / "c", tmp_path / "empty", 16)
    with pytest.raises(InputError, match="neither"):
        write_picture_cache(tmp_path / "c", tmp_path / "nothing", 16)
