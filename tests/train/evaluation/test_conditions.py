"""Scores of scribbles and lines on the tiny model, whose weights are random: what must hold whatever they are."""

from pathlib import Path

import pytest
import torch

from sisgen.cli.evaluate import print_condition
from sisgen.nets.reader import Reader, ReaderConfig
from sisgen.pipeline import Pipeline
from sisgen.train.evaluation.conditions import COMPARED, COMPARED_DEPTH, ConditionResults, ScribbleTest, find_lines, measure_conditions
from sisgen.train.evaluation.report import draw_grid
from sisgen.train.evaluation.scribbles import FORMS
from sisgen.train.evaluation.subject import PipelineSubject


def bands(start: int, num: int) -> torch.Tensor:
    """Masks of bands of four classes."""
    rows = (torch.arange(32)[:, None] + 3 * torch.arange(start, start + num)[:, None, None]) // 8 % 4
    return rows.expand(-1, -1, 32).contiguous()


def scribble_test() -> ScribbleTest:
    torch.manual_seed(0)
    return ScribbleTest(masks=bands, judge=Reader(ReaderConfig(num_labels=4, width=4)).eval(), judged_by="a test")


@pytest.fixture(scope="module")
def subject(drawing_model: Path) -> PipelineSubject:
    """The tiny model with all mappers."""
    return PipelineSubject(Pipeline.from_pretrained(drawing_model, device="cpu"))


class Brightness:
    """Takes bright places for near ones."""

    def read(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1, keepdim=True) / 2 + 0.5


@pytest.fixture(scope="module")
def results(subject: PipelineSubject) -> ConditionResults:
    return measure_conditions(subject, scribble_test(), depth=Brightness(), samples=3, batch=2, advance=lambda num: None)


def test_scribbles_are_scored_beside_the_mask(results: ConditionResults) -> None:
    report = dict(results.report["scribble"])
    assert report.pop("judged_by") == "a test"
    assert set(report) == {"mask", *FORMS, "mask_half"} and all(line["pictures"] == 3 for line in report.values())
    for form in FORMS:
        full = report["mask_half" if form == "half" else "mask"]["miou"]
        assert report[form]["of_the_mask"] == pytest.approx(report[form]["miou"] / full, abs=1e-3)
        assert 1 < report[form]["covered"] < 60
    assert report["half"]["covered"] < report["strokes"]["covered"]


def test_lines_are_scored_between_chance_and_self(results: ConditionResults, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("sketch", "canny", "hed"):
        report = results.report[kind]
        followed, chance, own = (report[name]["f"] for name in ("lines", "chance", "self"))
        assert own > 99 and all(0 <= report[name]["f"] <= 100 for name in COMPARED)
        assert report["ratio"] == pytest.approx((followed - chance) / (own - chance), abs=0.01)
        print_condition(kind, report)
    print_condition("scribble", results.report["scribble"])
    printed = capsys.readouterr().out
    assert "(F - chance) / (self - chance)" in printed and "of the mask" in printed


def test_depth_is_scored_between_chance_and_self(results: ConditionResults, capsys: pytest.CaptureFixture[str]) -> None:
    report = results.report["depth"]
    followed, chance, own = (report[name]["error"] for name in ("depth", "chance", "self"))
    assert own < 0.5 < chance and all(report[name]["error"] >= 0 for name in COMPARED_DEPTH)
    assert report["ratio"] == pytest.approx((chance - followed) / (chance - own), abs=0.05)
    print_condition("depth", report)
    assert "(chance - error) / (chance - self)" in capsys.readouterr().out


def test_the_grid_shows_every_row(results: ConditionResults, subject: PipelineSubject) -> None:
    assert {"mask", "scribble: half", "by half", "shape", "lines: canny", "by canny", "depth", "by depth"} <= set(results.rows)
    assert all(len(row) == 3 for row in results.rows.values() if row.ndim == 3)
    grid = draw_grid({name: row[:3] for name, row in results.rows.items()}, subject.labels, order=tuple(results.rows))
    assert grid.shape[0] > 32 * len(results.rows)


def test_only_kinds_with_a_mapper_are_measured(subject: PipelineSubject, results: ConditionResults, tiny_pipeline: Pipeline) -> None:
    assert set(results.report) == {"scribble", "sketch", "canny", "hed", "depth"}
    without = measure_conditions(subject, scribble_test(), samples=1, batch=1, advance=lambda num: None).report
    assert set(without) == {"scribble", "sketch", "canny", "hed"}
    bare = PipelineSubject(tiny_pipeline)
    assert measure_conditions(bare, scribble_test(), samples=1, batch=1, advance=lambda num: None).report == {}


def test_the_same_lines_are_found_in_the_same_picture(subject: PipelineSubject) -> None:
    images = subject.plain([1, 2])
    for kind in ("sketch", "canny", "hed"):
        lines = find_lines(kind, images)
        assert lines.shape == (2, 1, 32, 32) and float(lines.min()) >= 0 and float(lines.max()) <= 1
        assert torch.allclose(find_lines(kind, images[1:]), lines[1:], atol=1e-5)
