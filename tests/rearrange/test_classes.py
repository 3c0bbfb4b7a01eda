"""Attention within classes: places take what the photograph has of their class, prototypes only for what it lacks."""

import torch

from sisgen.pipeline import Pipeline
from sisgen.rearrange.classes import class_bias


def halves(left: int, right: int) -> torch.Tensor:
    labels = torch.full((1, 32, 32), left)
    labels[:, :, 16:] = right
    return labels


def weights(pipe: Pipeline, wanted: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """What every place gives to every token where nothing but the bias tells them apart, [T, T + KM]."""
    rearranger = pipe.engine.rearranger
    bias = class_bias(rearranger, wanted, own, 4)
    assert bias.shape == (1, 1, 64, 64 + 10)
    return (bias[0, 0] - rearranger.attention_bias()).softmax(dim=1)


def test_a_class_that_moved_takes_its_own_tokens(tiny_pipeline: Pipeline) -> None:
    given = weights(tiny_pipeline, halves(2, 1), halves(1, 2)).reshape(8, 8, 74)
    tokens = given[..., :64].reshape(8, 8, 8, 8)
    assert float(tokens[0, 0, :, 4:].sum()) > 0.97  # hair on the left is fetched from the right
    assert float(tokens[0, 7, :, :4].sum()) > 0.97
    assert float(given[..., 64:].sum(dim=2).max()) < 0.01


def test_what_the_photograph_lacks_is_free(tiny_pipeline: Pipeline) -> None:
    given = weights(tiny_pipeline, halves(3, 1), halves(1, 2)).reshape(8, 8, 74)
    assert torch.allclose(given[0, 0], torch.full((74,), 1 / 74))  # a hat may come from anywhere
    assert float(given[0, 7, 64:].sum()) < 0.01
