"""Equalized layers, by hand-computed numbers."""

import math

import pytest
import torch

from sisgen.nets.layers import (
    EqualConv2d,
    EqualLinear,
    channel_softmax,
    channels_last,
    fold_conv,
    leaky,
    normalize_second_moment,
    pointwise,
    unfold_conv,
)


def test_rows_get_a_mean_square_of_one() -> None:
    row = normalize_second_moment(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    size = math.sqrt(12.5)
    assert torch.allclose(row, torch.tensor([[3 / size, 4 / size], [0.0, 0.0]]))


def test_leaky_scales_and_clips() -> None:
    x = torch.tensor([-10.0, -1.0, 2.0, 10.0])
    assert torch.allclose(leaky(x), torch.tensor([-2.0, -0.2, 2.0, 10.0]) * math.sqrt(2))
    assert torch.allclose(leaky(x, gain=2.0, clamp=3.0), torch.tensor([-3.0, -0.4, 3.0, 3.0]))


def test_a_linear_layer_scales_weights_and_bias() -> None:
    layer = EqualLinear(4, 2, bias_init=1.0, lr_multiplier=0.1)
    assert torch.allclose(layer.bias, torch.full((2,), 10.0))
    with torch.no_grad():
        layer.weight.fill_(10.0)
    # Weights 10 * 0.1 / sqrt(4) = 0.5, bias 10 * 0.1 = 1.
    assert torch.allclose(layer(torch.tensor([[1.0, 2.0, 3.0, 4.0]])), torch.full((1, 2), 6.0))


def test_linear_outputs_have_unit_variance_at_the_start() -> None:
    torch.manual_seed(0)
    for lr_multiplier in (1.0, 0.01):
        layer = EqualLinear(256, 256, lr_multiplier=lr_multiplier)
        assert 0.9 < float(layer(torch.randn(256, 256)).detach().std()) < 1.1


def test_a_convolution_with_activation_folds_its_gain_in() -> None:
    torch.manual_seed(0)
    layer, plain = EqualConv2d(3, 5, 3), EqualConv2d(3, 5, 3, activation=False)
    with torch.no_grad():
        layer.bias.normal_()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 6, 6)
    wanted = torch.nn.functional.conv2d(x, layer.weight / math.sqrt(27), layer.bias, padding=1)
    assert torch.allclose(plain(x), wanted, atol=1e-5)
    assert torch.allclose(layer(x), leaky(wanted), atol=1e-5)


def test_a_convolution_without_bias_has_none() -> None:
    layer = EqualConv2d(3, 5, 1, bias=False)
    assert layer.bias is None
    assert torch.equal(layer(torch.zeros(1, 3, 4, 4)), torch.zeros(1, 5, 4, 4))


def test_a_folded_convolution_equals_space_to_depth_and_a_convolution() -> None:
    conv = torch.nn.Conv2d(3 * 16, 5, 1)
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(fold_conv(x, conv, 4), conv(torch.nn.functional.pixel_unshuffle(x, 4)), atol=1e-6)


@pytest.mark.parametrize(("fold", "bias"), [(1, True), (2, True), (4, False)])
def test_an_unfolded_convolution_equals_a_convolution_and_depth_to_space(fold: int, bias: bool) -> None:
    conv = torch.nn.Conv2d(6, 5 * fold**2, 1, bias=bias)
    x = torch.randn(2, 6, 4, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.pixel_shuffle(conv(x), fold)
    assert torch.equal(unfold_conv(x, conv, fold), wanted)
    added = torch.randn(2, 5)
    assert torch.equal(unfold_conv(x, conv, fold, added), wanted + added[:, :, None, None])
    with torch.no_grad():
        assert torch.allclose(unfold_conv(x, conv, fold), wanted, atol=1e-6)
        assert torch.allclose(unfold_conv(x, conv, fold, added), wanted + added[:, :, None, None], atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_pointwise_convolution_is_the_same_in_any_layout(layout: torch.memory_format) -> None:
    conv, x = torch.nn.Conv2d(6, 5, 1), torch.randn(2, 6, 4, 3).contiguous(memory_format=layout)
    assert torch.equal(pointwise(x, conv.weight, conv.bias), conv(x))
    with torch.no_grad():
        assert torch.allclose(pointwise(x, conv.weight, conv.bias), conv(x), atol=1e-6)
        assert torch.allclose(pointwise(x, conv.weight), conv(x) - conv.bias[:, None, None], atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_softmax_over_channels_is_the_same_in_any_layout(layout: torch.memory_format) -> None:
    x = torch.randn(2, 5, 4, 3).contiguous(memory_format=layout)
    wanted = x.softmax(dim=1)
    assert torch.allclose(channel_softmax(x), wanted, atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(channel_softmax(x), wanted, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 40, 4, 3), (1, 3, 4, 4)])
def test_the_layout_is_changed_only_where_no_gradients_are_taken(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert channels_last(x) is x
    with torch.no_grad():
        laid_out = channels_last(x)
    assert torch.equal(laid_out, x) and laid_out.stride() == x.contiguous(memory_format=torch.channels_last).stride()
