"""Exemplars: the shape of a sample or of a photograph, in the style of seeds."""

import pytest
import torch

from sisgen.conditions.exemplar import exemplar_condition
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline
from sisgen.types import ProxyMask


def test_a_sample_as_its_own_exemplar_is_itself(tiny_pipeline: Pipeline) -> None:
    plain = tiny_pipeline(seeds=[3]).images
    result = tiny_pipeline(tiny_pipeline.exemplar(3, trust=0), seeds=[3], read_back=True)
    assert torch.allclose(result.images, plain, atol=1e-5)
    assert result.settings["condition"] == "exemplar" and result.agreement[0].accuracy == 1


def test_the_shape_is_the_exemplars(tiny_pipeline: Pipeline) -> None:
    exemplar = tiny_pipeline.exemplar(5)
    result = tiny_pipeline(exemplar, seeds=[3, 4])
    wanted = tiny_pipeline.engine.synthesize_proxy(ProxyMask(probs=exemplar.map.expand(2, -1, -1, -1)), [3, 4], 0.7)
    assert torch.allclose(result.images, wanted, atol=1e-5)
    own, drawn = tiny_pipeline.exemplar(5, trust=0).map, tiny_pipeline.exemplar(5, trust=1).map
    assert torch.allclose(exemplar.map, torch.lerp(own, drawn, 0.8), atol=1e-5) and not torch.allclose(own, drawn, atol=1e-2)
    half = tiny_pipeline(exemplar, seeds=[3, 4], strength=0.5).images
    assert float((half - result.images).abs().mean()) > 1e-4


def test_bad_exemplars_are_one_sentence(tiny_pipeline: Pipeline) -> None:
    good = tiny_pipeline.exemplar(5)
    with pytest.raises(InputError, match="must be probabilities that sum to 1"):
        exemplar_condition(ProxyMask(probs=good.map * 2))
    with pytest.raises(InputError, match="labels must have the shape"):
        exemplar_condition(ProxyMask(probs=good.map), good.labels.repeat(2, 1, 1))  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"condition.map must have the shape \[any, 5, 16, 16\]"):
        tiny_pipeline(exemplar_condition(ProxyMask(probs=good.map[:, :, :8, :8])), seeds=[1])
    with pytest.raises(InputError, match="trust must be a number in 0"):
        tiny_pipeline.exemplar(5, trust=2)
    with pytest.raises(InputError, match="A seed must be"):
        tiny_pipeline.exemplar(-1)
