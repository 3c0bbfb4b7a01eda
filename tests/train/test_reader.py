"""Training of readers: it learns, it resumes bit for bit, it exports what it averaged, and it refuses wrong arguments."""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.data.degrade import DegradeConfig
from sisgen.errors import CheckpointError, TrainingError
from sisgen.nets.reader import ReaderConfig
from sisgen.train.judges import export_reader, load_reader
from sisgen.train.loop import LoopConfig, StepInfo, run_loop
from sisgen.train.pairs import CachedPairs
from sisgen.train.reader import ReaderTask, ReaderTrainConfig, add_arguments, main
from sisgen.types import LabelSet

Parse = Callable[..., argparse.Namespace]
LABELS = LabelSet(names=("sky", "disc", "bar"), colors=((0, 0, 0), (250, 80, 80), (80, 80, 250)))


class Shapes:
    """A cache of discs and bars, 32 px."""

    def __init__(self, num: int = 24) -> None:
        y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
        centres = torch.randint(8, 24, (num, 2), generator=torch.Generator().manual_seed(0))
        self.maps = torch.zeros(num, 32, 32, dtype=torch.int64)
        for i, (cy, cx) in enumerate(centres.tolist()):
            self.maps[i][(y - cy) ** 2 + (x - cx) ** 2 < 30] = 1
            self.maps[i][(y - cy - 9).abs() < 2] = 2

    def __len__(self) -> int:
        return len(self.maps)

    def images(self, indices: list[int]) -> torch.Tensor:
        colors = torch.tensor(LABELS.colors).float() / 127.5 - 1
        return colors[self.maps[indices]].permute(0, 3, 1, 2).contiguous()

    def labels(self, indices: list[int]) -> torch.Tensor:
        return self.maps[indices]


def task(lr: float = 1e-2, p_color: float = 0.7) -> ReaderTask:
    degrade = DegradeConfig(p_warp=0.2, p_color=p_color)
    config = ReaderTrainConfig(reader=ReaderConfig(num_labels=3, width=6), lr=lr, warmup=16, ema=100.0, degrade=degrade)
    return ReaderTask(config, CachedPairs(Shapes(), seed=0, hold=8), LABELS)


def test_learns_held_out_shapes(tmp_path: Path) -> None:
    trained = task()
    run_loop(trained, LoopConfig(out=tmp_path, images=8 * 30, batch=8))
    assert trained.validate().miou > 0.6
    assert list(tmp_path.glob("samples-*.png"))


class Faded(Shapes):
    """The same shapes, pale and tinted: pictures whose labels no training sees."""

    def images(self, indices: list[int]) -> torch.Tensor:
        return super().images(indices) * 0.35 + torch.tensor([0.3, -0.25, 0.2])[:, None, None]


def test_pictures_without_labels_bring_it_over_to_them(tmp_path: Path) -> None:
    faded = Faded()
    read = {}
    for name, pictures in (("alone", None), ("pictures", faded)):
        trained = task(p_color=0.3)
        trained.pictures = pictures
        run_loop(trained, LoopConfig(out=tmp_path / name, images=8 * 60, batch=8))
        read[name] = (trained.average.read(faded.images(list(range(24)))) == faded.maps).float().mean()
        assert trained.validate().miou > 0.6
    assert read["pictures"] > read["alone"] + 0.2


def test_only_sure_pixels_of_pictures_count(tmp_path: Path) -> None:
    unsure = task()
    unsure.pictures = Faded()
    late = StepInfo(step=9, sample_ids=(4, 5, 6, 7), batch_size=4, images_seen=36, total_images=40, seed=0)
    images, labels = unsure._data(late)  # untrained: it is sure of nothing
    assert images.shape == (4, 3, 32, 32) and bool((labels[2:] == -1).all()) and bool((labels[:2] >= 0).all())
    assert bool((unsure._data(replace(late, images_seen=0))[1] >= 0).all())  # early on there are pairs alone


def test_parts_change_their_colours_where_pictures_are_to_be_read() -> None:
    late = StepInfo(step=9, sample_ids=(4, 5, 6, 7), batch_size=4, images_seen=36, total_images=40, seed=0)
    painted = task()
    painted.config = replace(painted.config, degrade=DegradeConfig(p_parts=1, parts=1))
    flat, labels = painted._data(late)
    assert torch.equal(flat, painted.source.train(late.sample_ids)[0])
    painted.pictures = Faded()
    images, held = painted._data(late)
    assert torch.equal(held[:2], labels[2:]) and not bool(torch.isclose(images[:2], flat[2:], atol=1e-3).all(dim=(1, 2, 3)).any())
    early, _ = painted._data(replace(late, images_seen=0))
    assert torch.equal(early, flat)  # they come in with the other degradations


def test_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole, first, second = task(), task(), task()
    run_loop(whole, LoopConfig(out=tmp_path / "whole", images=16, batch=4))
    stop_after = LoopConfig(out=tmp_path / "parts", images=16, batch=4, minutes=0.0)
    assert run_loop(first, stop_after) < 16
    run_loop(second, LoopConfig(out=tmp_path / "parts", images=16, batch=4))
    for a, b in zip(whole.average.state_dict().values(), second.average.state_dict().values()):
        assert torch.equal(a, b)


def test_export_and_load(tmp_path: Path) -> None:
    trained = task()
    export_reader(tmp_path / "a", trained.average, LABELS, {"seed": 0})
    reader, labels = load_reader(tmp_path / "a")
    assert labels == LABELS and json.loads((tmp_path / "a" / "config.json").read_text())["training"] == {"reader": {"seed": 0}}
    images = torch.zeros(1, 3, 32, 32)
    assert torch.allclose(reader(images), trained.average(images), atol=1e-2)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_reader(tmp_path / "b")


def test_the_command_trains_from_a_cache(tmp_path: Path, parse: Parse) -> None:
    shapes = Shapes(4)
    cache = tmp_path / "cache"
    cache.mkdir()
    np.save(cache / "images.npy", shapes.images([0, 1, 2, 3]).add(1).mul(127.5).permute(0, 2, 3, 1).to(torch.uint8).numpy())
    np.save(cache / "labels.npy", shapes.maps.to(torch.uint8).numpy())
    (cache / "meta.json").write_text(json.dumps({"kind": "portraits", "num": 4, "size": 32}))
    common = ["--images", "4", "--batch", "2", "--out", str(tmp_path / "run")]
    args = parse(add_arguments, ["--data", str(cache), "--preset", "live", "--export", str(tmp_path / "live"), *common])
    assert main(args) == 0
    assert load_reader(tmp_path / "live")[0].config.width == 24
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["config"]["fade"] == 0  # the judges were trained without
    assert "--preset live --seed 0 --images 4" in (tmp_path / "live" / "CARD.md").read_text()
    again = ["--data", str(cache), "--preset", "live", "--start", str(tmp_path / "live"), "--images", "2", "--batch", "2"]
    assert main(parse(add_arguments, [*again, "--out", str(tmp_path / "warm")])) == 0
    with pytest.raises(TrainingError, match="either --data or --model"):
        main(parse(add_arguments, common))
    with pytest.raises(TrainingError, match="has labels already"):
        main(parse(add_arguments, ["--data", str(cache), "--pictures", str(cache), *common]))
