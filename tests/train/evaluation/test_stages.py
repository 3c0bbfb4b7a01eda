"""Stages, distances and report with a method that is known: it paints masks in the palette, more or less well."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.nets.squeezenet import load_squeezenet
from sisgen.train.evaluation.distances import measure_distances
from sisgen.train.evaluation.report import write_report
from sisgen.train.evaluation.stages import Judges, run_stages
from sisgen.types import LabelSet

LABELS = LabelSet(names=("sky", "sea", "sun"), colors=((20, 20, 20), (60, 60, 240), (250, 220, 60)))
COLORS = torch.tensor(LABELS.colors).float() / 127.5 - 1
SQUEEZENET = Path(__file__).parents[3] / "checkpoints" / "squeezenet"


class PaletteReader(Reader):
    """Reads the palette exactly."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -(images[:, None] - COLORS[None, :, :, None, None]).square().sum(dim=2)


def layout(seed: int) -> torch.Tensor:
    """Sea below a height that hangs on the seed, and a sun for even seeds."""
    labels = torch.zeros(16, 16, dtype=torch.int64)
    labels[4 + seed % 8 :] = 1
    if seed % 2 == 0:
        labels[1:4, 2:6] = 2
    return labels


def paint(labels: torch.Tensor) -> torch.Tensor:
    return COLORS[labels].permute(0, 3, 1, 2).contiguous()


class Painter:
    """A method that paints layouts; by a proxy it is exact, by a mask it forgets suns."""

    labels, resolution = LABELS, 16

    def plain(self, seeds: Sequence[int]) -> torch.Tensor:
        return paint(torch.stack([layout(seed) for seed in seeds]))

    def from_proxy(self, targets: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        return self.plain(targets)

    def from_masks(self, labels: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        return paint(torch.where(labels == 2, 0, labels))

    def read(self, images: torch.Tensor) -> torch.Tensor:
        labels = PaletteReader(ReaderConfig(num_labels=3, width=4)).read(images)
        return torch.where(labels == 2, 0, labels)  # it knows no sun


class Layouts:
    """Test pairs."""

    def pairs(self, start: int, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.stack([layout(seed) for seed in range(start, start + num)])
        return paint(labels), labels

    def images(self, start: int, num: int) -> torch.Tensor:
        return self.pairs(start, num)[0]

    def masks(self, start: int, num: int) -> torch.Tensor:
        return self.pairs(start, num)[1]


def judges() -> Judges:
    reader = PaletteReader(ReaderConfig(num_labels=3, width=4)).eval()
    return Judges(a=reader, b=reader)


def test_stages_find_what_the_method_forgets() -> None:
    done: list[int] = []
    results = run_stages(Painter(), judges(), Layouts(), samples=6, batch=4, advance=done.append)
    report = results.report()
    assert done == [4, 2]
    assert report["a"]["miou"] == report["b"]["miou"] == report["c"]["miou"] == report["c_by_b"]["miou"] == 100.0
    assert report["a_own"]["per_class"]["sun"] == 0.0 and report["a_own"]["per_class"]["sea"] == 100.0
    assert report["e"]["per_class"]["sun"] == 0.0 and report["e"]["per_class"]["sea"] == 100.0
    assert report["d"]["per_class"]["sun"] == 0.0
    assert report["floor_background"]["per_class"]["sea"] == 0.0
    assert report["floor_random"]["miou"] <= 100.0
    assert {name: meter["pictures"] for name, meter in report.items()}["e"] == 6


def test_only_the_stages_asked_for_run() -> None:
    results = run_stages(Painter(), judges(), Layouts(), samples=2, batch=2, stages="b", advance=lambda num: None)
    assert set(results.report()) == {"b"}


def test_distances_and_files(tmp_path: Path) -> None:
    distances = measure_distances(Painter(), load_squeezenet(SQUEEZENET), Layouts(), num=8, batch=4, advance=lambda num: None)
    assert distances["plain_plain"] < 1e-3 and distances["pictures"] == 8
    assert distances["driven_plain"] > distances["plain_real"] * 1.5
    results = run_stages(Painter(), judges(), Layouts(), samples=2, batch=2, advance=lambda num: None)
    write_report(tmp_path, {"stages": results.report(), "distances": distances}, results.rows, LABELS)
    assert json.loads((tmp_path / "evaluation.json").read_text())["stages"]["a"]["miou"] == 100.0
    assert (tmp_path / "grid.png").stat().st_size > 1000 and (tmp_path / "stages.png").stat().st_size > 1000
