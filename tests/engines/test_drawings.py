"""Several drawings of one request: checks, weights, and the blend in proxy space."""

import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from sisgen.engines.drawings import blend_drawings, check_drawings
from sisgen.engines.regions import Regions
from sisgen.errors import CheckpointError, InputError
from sisgen.io.configs import read_json, write_json
from sisgen.pipeline import Pipeline
from sisgen.train.adaptation.copies import drop_parts
from sisgen.types import Condition

SHAPES = {"mask": (2, 8, 8), "sketch": (1, 8, 8)}


@pytest.fixture(scope="module")
def pipe(drawing_model: Path) -> Pipeline:
    """The tiny model with all mappers."""
    return Pipeline.from_pretrained(drawing_model, device="cpu")


def lines(kind: str = "sketch", size: int = 32, channels: int = 1, batch: int = 1) -> Condition:
    drawn = torch.zeros(batch, channels, size, size)
    drawn[:, 0, size // 4, 2:-2] = 1
    return Condition(kind=kind, map=drawn)


def check(given, weights=None, num_seeds=1):
    return check_drawings(given, weights, num_seeds, name="tiny", shapes=SHAPES)


def test_weights_become_shares_and_blank_drawings_fall_away() -> None:
    sketch, blank = lines(size=8), Condition(kind="sketch", map=torch.zeros(1, 1, 8, 8))
    mask = Condition(kind="mask", map=torch.full((1, 2, 8, 8), 0.5), labels=torch.zeros(1, 8, 8, dtype=torch.int64))
    both = check([sketch, mask], [1, 3])
    assert both is not None and both.weights == (0.25, 0.75) and both.kind == "sketch+mask" and both.labels is mask.labels
    alone = check([sketch, blank, mask], [2, 5, 0])
    assert alone is not None and alone.conditions == (sketch,) and alone.weights == (1.0,)
    assert check(None) is None and check([]) is None and check(blank) is None and check([mask], [0.0]) is None


BAD = {
    "another kind": (lambda: check(lines("hed", 8)), "reads mask, sketch, but a hed came"),
    "another size": (lambda: check(lines(size=16)), r"must have the shape \[any, 1, 8, 8\]"),
    "another number": (lambda: check(lines(size=8, batch=2), num_seeds=3), "there are 2 for 3 seeds"),
    "NaN": (lambda: check(Condition(kind="sketch", map=torch.full((1, 1, 8, 8), torch.nan))), "make it with sketch_condition"),
    "a weight too few": (lambda: check([lines(size=8)] * 2, [1]), "there are 1 for 2"),
    "a negative weight": (lambda: check(lines(size=8), [-1]), "at least 0, but it is -1"),
    "an endless weight": (lambda: check(lines(size=8), [float("inf")]), "at least 0, but it is inf"),
    "too many": (lambda: check([lines(size=8)] * 9), "At most 8 drawings"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_sentence(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()


def test_a_place_is_left_to_those_who_decide_it() -> None:
    first, second = torch.zeros(1, 2, 1, 3), torch.zeros(1, 2, 1, 3)
    first[:, 0], second[:, 1] = 1, 1
    covered = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 1, 3), torch.tensor([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    probs, decided = blend_drawings([(first, covered[0]), (second, covered[1])], (0.25, 0.75))
    assert torch.allclose(probs[0, :, 0, 0], torch.tensor([0.25, 0.75])) and torch.allclose(probs[0, :, 0, 1], torch.tensor([1.0, 0.0]))
    assert decided.flatten().tolist() == [1.0, 1.0, 0.0]
    alone, own = blend_drawings([(first, covered[0])], (1.0,))
    assert alone is first and own is covered[0]


def test_a_model_reads_what_it_has_mappers_for(pipe: Pipeline, tiny_pipeline: Pipeline) -> None:
    assert pipe.kinds == ("mask", "scribble", "sketch", "canny", "hed", "depth", "exemplar")
    assert tiny_pipeline.kinds == ("mask", "exemplar")
    plain = pipe(seeds=[4]).images
    made = [pipe(lines(kind), seeds=[4]).images for kind in ("sketch", "canny", "hed", "depth")]
    made.append(pipe(lines("scribble", channels=4), seeds=[4]).images)
    assert len({image.numpy().tobytes() for image in [plain, *made]}) == 6
    with pytest.raises(InputError, match="reads mask, exemplar, but a canny came"):
        tiny_pipeline(lines("canny"), seeds=[4])


@pytest.mark.parametrize(("kind", "channels"), [("scribble", 4), ("depth", 1)])
def test_scribbles_and_depth_are_completed_and_go_the_masks_way(pipe: Pipeline, kind: str, channels: int) -> None:
    scribble = lines(kind, channels=channels)
    labels = pipe.engine.drawing_mappers[kind].complete(scribble.map)
    mask = Condition(kind="mask", map=F.one_hot(labels, 4).permute(0, 3, 1, 2).float(), labels=labels)
    assert torch.equal(pipe(scribble, seeds=[4, 5]).images, pipe(mask, seeds=[4, 5]).images)
    regions = Regions(sources={"skin": 9, "hair": 7})
    assert torch.equal(pipe(scribble, seeds=[4], style=regions).images, pipe(mask, seeds=[4], style=regions).images)
    sketch = lines()
    both = pipe([scribble, sketch], seeds=[4], weights=[1, 1]).images
    assert torch.equal(both, pipe([mask, sketch], seeds=[4], weights=[1, 1]).images)


def test_strength_0_is_the_sample_and_weights_lead_from_one_drawing_to_the_other(pipe: Pipeline) -> None:
    sketch, canny = lines(), Condition(kind="canny", map=lines().map.transpose(2, 3))
    plain = pipe(seeds=[4, 5]).images
    assert torch.equal(pipe(sketch, seeds=[4, 5], strength=0.0).images, plain)
    first, second = pipe(sketch, seeds=[4]).images, pipe(canny, seeds=[4]).images
    assert torch.equal(pipe([sketch, canny], seeds=[4], weights=[1, 0]).images, first)
    assert torch.equal(pipe([sketch, canny], seeds=[4], weights=[0, 2]).images, second)
    even = pipe([sketch, canny], seeds=[4])
    assert not torch.equal(even.images, first) and not torch.equal(even.images, second)
    assert even.settings["condition"] == "sketch+canny" and even.settings["weights"] == [0.5, 0.5]
    style = pipe.engine.recall([4], 0.7)
    parts = [pipe.engine.map_condition(one, style).probs for one in (sketch, canny)]
    drawings = check_drawings([sketch, canny], [3, 1], 1, name="tiny", shapes=pipe.config.map_shapes)
    assert drawings is not None
    assert torch.allclose(pipe.engine.map_condition(drawings, style).probs, 0.75 * parts[0] + 0.25 * parts[1], atol=1e-6)


def test_one_drawing_serves_many_seeds_and_many_drawings_one_each(pipe: Pipeline) -> None:
    one, each = lines(), lines(batch=2)
    each.map[1] = each.map[1].transpose(1, 2).clone()
    together = pipe(one, seeds=[4, 5]).images
    assert torch.allclose(pipe(one, seeds=[5]).images, together[1:], atol=1e-5)
    apart = pipe([one, each], seeds=[4, 5]).images
    assert torch.allclose(apart[:1], together[:1], atol=1e-4) and not torch.allclose(apart[1:], together[1:], atol=1e-3)


SPOILED = {
    "an unknown kind": (lambda mappers: mappers.update(doodle=mappers["hed"]), "but it names 'doodle'"),
    "other clusters": (lambda mappers: mappers["hed"].update(num_clusters=7), "The hed mapper in"),
    "other classes": (lambda mappers: mappers["scribble"].update(channels=3), "The scribble mapper in"),
    "other classes of depth": (lambda mappers: mappers["depth"].update(num_labels=3), "The depth mapper in"),
    "fewer classes than none": (lambda mappers: mappers["depth"].update(num_labels=-1), "num_labels must be in 0..256"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_mapper_that_does_not_fit_is_refused(drawing_model: Path, tmp_path: Path, case: str) -> None:
    spoil, message = SPOILED[case]
    shutil.copytree(drawing_model, tmp_path / "model")
    content = read_json(tmp_path / "model" / "config.json")
    spoil(content["drawing_mappers"])
    write_json(tmp_path / "model" / "config.json", content)
    with pytest.raises(CheckpointError, match=message):
        Pipeline.from_pretrained(tmp_path / "model", device="cpu")


def test_adaptation_forgets_mappers_with_what_they_were_made_for(drawing_model: Path, tmp_path: Path) -> None:
    for parts, kept in ((("reader", "mapper"), {"sketch", "canny", "hed"}), (("clusters", "mapper"), set())):
        folder = tmp_path / parts[0]
        shutil.copytree(drawing_model, folder)
        drop_parts(folder, parts)
        content = read_json(folder / "config.json")
        assert set(content.get("drawing_mappers", {})) == kept
        stems = {f"mapper_{kind}.safetensors" for kind in kept}
        assert {name for name in content["files"] if name.startswith("mapper_")} == stems
        assert {path.name for path in folder.glob("mapper_*")} == stems
