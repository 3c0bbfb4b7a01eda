"""Styles by region: equal styles change nothing, and a source is seen in its own region alone."""

import numpy as np
import pytest
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.engines.regions import Regions, attend_regions, soft_shares
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline
from sisgen.types import Condition, ProxyMask


@pytest.fixture(scope="module")
def drawing(tiny_pipeline: Pipeline) -> Condition:
    """Background above, skin in the middle, hat to the right below."""
    labels = np.zeros((32, 32), dtype=np.int64)
    labels[12:] = 1
    labels[16:, 16:] = 3
    return mask_condition(labels, tiny_pipeline.labels, 32)


def test_one_style_in_every_region_is_the_plain_result(tiny_pipeline: Pipeline, drawing: Condition) -> None:
    plain = tiny_pipeline(drawing, seeds=[3, 5]).images
    several = tiny_pipeline(drawing, seeds=[3, 5], style=Regions(sources={}))
    assert torch.allclose(several.images, plain, atol=1e-4) and several.settings["style"] == "regions"
    same = tiny_pipeline(drawing, seeds=[3], style=Regions(sources={"hat": 3, "skin": 3})).images
    assert torch.allclose(same, plain[:1], atol=1e-4)  # the same tokens twice, shared out
    other = tiny_pipeline(drawing, seeds=[3], style=Regions(sources=dict.fromkeys(tiny_pipeline.labels.names, 5))).images
    # Everything from another sample looks like that one, but for the arrangement where the drawing repeats the first sample's classes.
    assert float((other - plain[1:]).abs().mean()) < 0.3 * float((other - plain[:1]).abs().mean())


def test_a_source_is_seen_in_its_own_region_alone(tiny_pipeline: Pipeline, drawing: Condition) -> None:
    plain = tiny_pipeline(drawing, seeds=[3]).images
    mixed = tiny_pipeline(drawing, seeds=[3], style=Regions(sources={"hat": 5}))
    assert mixed.settings["regions"] == {"hat": 5} and mixed.settings["base"] == "seeds"  # all that it takes to make it again
    change = (mixed.images - plain).abs().mean(dim=1)[0]
    assert float(change[20:, 20:].mean()) > 1e-2 and float(change[20:, 20:].mean()) > 5 * float(change[:12, :12].mean())


def test_tokens_of_others_have_no_say_inside_a_region(tiny_pipeline: Pipeline) -> None:
    engine = tiny_pipeline.engine
    first, second, third = (engine.recall([seed], 0.7) for seed in (3, 5, 8))
    owners = torch.zeros(1, 32, 32, dtype=torch.int64)
    owners[:, :, 16:] = 1
    shares = soft_shares(owners, 2)
    assert torch.allclose(shares.sum(dim=1), torch.ones(1, 32, 32))
    target = ProxyMask(probs=engine.recall([11], 0.7).memory.own)
    one, other = (attend_regions(engine.rearranger, target, [first, style], shares) for style in (second, third))
    assert torch.equal(one.map[..., :3], other.map[..., :3])  # the left part never sees what changed
    assert float((one.map[..., 5:] - other.map[..., 5:]).abs().mean()) > 1e-3


def test_an_open_drawing_takes_the_bases_own_regions(tiny_pipeline: Pipeline) -> None:
    plain = tiny_pipeline(seeds=[3]).images
    assert torch.allclose(tiny_pipeline(seeds=[3], style=Regions(sources={})).images, plain, atol=1e-4)
    own = set(np.unique(tiny_pipeline.sample_labels([3]).numpy()))
    names = [tiny_pipeline.labels.names[i] for i in own]
    assert not torch.allclose(tiny_pipeline(seeds=[3], style=Regions(sources=dict.fromkeys(names, 5))).images, plain, atol=1e-3)


BAD = {
    "no class": (Regions(sources={"tail": 1}), "Regions must be classes of background, skin, hair, hat, but 'tail' came"),
    "a bad seed": (Regions(sources={"hat": -1}), "A seed must be a whole number"),
    "a word": (Regions(sources={"hat": "blue"}), "A seed must be a whole number"),  # type: ignore[dict-item]
    "no photograph": (Regions(sources={}, base=3), "style must be a photograph"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_regions_are_one_sentence(tiny_pipeline: Pipeline, drawing: Condition, kind: str) -> None:
    regions, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        tiny_pipeline(drawing, style=regions)
