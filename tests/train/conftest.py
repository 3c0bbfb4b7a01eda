"""What the tests of trainers share."""

import argparse
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sisgen.io.configs import read_json, to_dict
from sisgen.nets.depth import DepthConfig, DepthNet
from sisgen.nets.segmenter import Segmenter, SegmenterConfig
from sisgen.train.checkpoints import export_parts

Parse = Callable[[Callable[[argparse.ArgumentParser], None], list[str]], argparse.Namespace]


@pytest.fixture
def parse() -> Parse:
    """Parse a trainer's words as `sisgen train NAME` does, on the CPU and with seed 0."""

    def read(add_arguments: Callable[[argparse.ArgumentParser], None], words: list[str]) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        for name, kind in (("--images", int), ("--batch", int), ("--out", Path)):
            parser.add_argument(name, type=kind)
        parser.set_defaults(seed=0, minutes=None, device="cpu", dry_run=False)
        add_arguments(parser)
        return parser.parse_args(words)

    return read


@pytest.fixture(scope="module")
def complete(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a random segmenter, which tells classes apart by the features all the same; a random depth network beside it."""
    folder = tmp_path_factory.mktemp("complete") / "model"
    shutil.copytree(tiny_model, folder)
    content = read_json(folder / "config.json")
    channels = tuple(content["generator"]["channels"][size] for size in ("4", "8", "16", "32"))
    torch.manual_seed(3)
    segmenter = Segmenter(SegmenterConfig(num_labels=len(content["labels"]["names"]), channels=channels, width=8))
    export_parts(folder, {"segmenter": segmenter}, {"training": {"segmenter": {"config": to_dict(segmenter.config)}}})
    net = DepthNet(DepthConfig(width=4))
    export_parts(folder.parent / "depth", {"depth": net}, {"depth": to_dict(net.config)})
    return folder


@pytest.fixture(scope="session")
def tiny_gan() -> dict[str, Any]:
    """The names of the program `tiny_gan.py`, which tests of killed and of several processes start as such."""
    return runpy.run_path(str(Path(__file__).with_name("tiny_gan.py")))


@pytest.fixture(scope="session")
def start_tiny_gan() -> Callable[..., subprocess.Popen[str]]:
    """Start that program: `start_tiny_gan(out, images, **environment)`."""

    def start(out: Path, images: int, **environment: str) -> subprocess.Popen[str]:
        root = Path(__file__).parents[2]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(root), **environment}
        words = [sys.executable, str(Path(__file__).with_name("tiny_gan.py")), str(out), str(images)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    return start
