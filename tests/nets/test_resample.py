"""Resampling against zero-stuffing and a full convolution, written out in the plainest way."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sisgen.nets.resample import down_conv, downsample, fir_kernel, fold_filter, smooth, up_conv, upsample

# Not symmetric, so that a flipped kernel shows.
CROOKED = torch.tensor([[0.9, 0.1, -0.3, 0.2], [0.4, 0.7, 0.6, -0.1], [-0.2, 0.5, 0.8, 0.3], [0.1, -0.4, 0.2, 0.6]])
KERNELS = {"fir": fir_kernel(), "crooked": CROOKED}


def full_convolution(x: NDArray, kernel: NDArray) -> NDArray:
    """True convolution of [..., H, W] with [k, k], every overlap kept: [..., H + k - 1, W + k - 1]."""
    size = kernel.shape[0]
    out = np.zeros((*x.shape[:-2], x.shape[-2] + size - 1, x.shape[-1] + size - 1))
    for i in range(size):
        for j in range(size):
            out[..., i : i + x.shape[-2], j : j + x.shape[-1]] += kernel[i, j] * x
    return out


def stuff(x: NDArray) -> NDArray:
    """Put a zero behind every value: [..., H, W] -> [..., 2H, 2W]."""
    out = np.zeros((*x.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1]))
    out[..., ::2, ::2] = x
    return out


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def close(made: torch.Tensor, wanted: NDArray) -> bool:
    return made.shape == wanted.shape and np.allclose(made.numpy(), wanted, atol=1e-5)


def test_the_kernel_is_the_binomial_one_and_sums_to_one() -> None:
    line = np.array([1, 3, 3, 1]) / 8
    assert close(fir_kernel(), np.outer(line, line))


@pytest.mark.parametrize("name", KERNELS)
def test_upsample(name: str) -> None:
    x, kernel = noise(2, 3, 5, 7), KERNELS[name]
    wanted = 4 * full_convolution(stuff(x.double().numpy()), kernel.double().numpy())[..., 1:11, 1:15]
    assert close(upsample(x, kernel), wanted)


@pytest.mark.parametrize("name", KERNELS)
def test_downsample(name: str) -> None:
    x, kernel = noise(2, 3, 6, 8), KERNELS[name]
    wanted = full_convolution(x.double().numpy(), kernel.double().numpy())[..., 2:8:2, 2:10:2]
    assert close(downsample(x, kernel), wanted)


@pytest.mark.parametrize("padding", [1, 2])
def test_smooth(padding: int) -> None:
    x = noise(1, 2, 6, 6)
    full = full_convolution(x.double().numpy(), CROOKED.double().numpy())  # 9 x 9
    first, last = 3 - padding, 6 + padding
    assert close(smooth(x, CROOKED, padding=padding, gain=2.0), 2 * full[..., first:last, first:last])


@pytest.mark.parametrize("name", KERNELS)
def test_up_conv(name: str) -> None:
    x, weight, kernel = noise(2, 3, 4, 4), noise(5, 3, 3, 3), KERNELS[name]
    stuffed, w = stuff(x.double().numpy()), weight.double().numpy()
    wanted = np.zeros((2, 5, 8, 8))
    for o in range(5):
        for i in range(3):
            convolved = full_convolution(stuffed[:, i], w[o, i])[..., :9, :9]  # without the zeros behind the last value
            wanted[:, o] += 4 * full_convolution(convolved, kernel.double().numpy())[..., 2:10, 2:10]
    assert close(up_conv(x, weight, kernel), wanted)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("size", [1, 3])
def test_down_conv(name: str, size: int) -> None:
    x, weight, bias, kernel = noise(2, 3, 6, 6), noise(4, 3, size, size), noise(4), KERNELS[name]
    filtered = full_convolution(x.double().numpy(), kernel.double().numpy())
    filtered = filtered[..., 2:8, 2:8] if size == 1 else filtered[..., 1:8, 1:8]  # 3 x 3 needs one more cell
    w = weight.double().numpy()
    wanted = np.zeros((2, 4, 3, 3)) + bias.double().numpy()[None, :, None, None]
    for row in range(3):
        for column in range(3):
            window = filtered[:, :, 2 * row : 2 * row + size, 2 * column : 2 * column + size]
            wanted[:, :, row, column] += np.einsum("bikl,oikl->bo", window, w)
    assert close(down_conv(x, weight, bias, kernel), wanted)
    assert close(down_conv(x, weight, None, kernel), wanted - bias.double().numpy()[None, :, None, None])


def test_a_flat_picture_stays_flat() -> None:
    flat = torch.full((1, 2, 8, 8), 0.7)
    assert torch.allclose(upsample(flat, fir_kernel())[..., 2:-2, 2:-2], torch.full((1, 2, 12, 12), 0.7))
    assert torch.allclose(downsample(flat, fir_kernel())[..., 1:-1, 1:-1], torch.full((1, 2, 2, 2), 0.7))


def test_the_dtype_of_the_input_stays() -> None:
    x = noise(1, 3, 4, 4).to(torch.bfloat16)
    made = [upsample(x, fir_kernel()), downsample(x, fir_kernel()), up_conv(x, noise(2, 3, 3, 3), fir_kernel())]
    made.append(down_conv(x, noise(2, 3, 3, 3), noise(2), fir_kernel()))
    assert {one.dtype for one in made} == {torch.bfloat16}


@pytest.mark.parametrize("name", KERNELS)
def test_a_filter_folded_into_a_convolution_gives_the_same_numbers(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    kernel, x = KERNELS[name], torch.randn(2, 3, 8, 8, generator=source)
    wide, point = torch.randn(4, 3, 3, 3, generator=source), torch.randn(4, 3, 1, 1, generator=source)
    up = F.conv_transpose2d(x, fold_filter(wide, 4 * kernel).transpose(0, 1), stride=2, padding=2)
    assert torch.allclose(up, up_conv(x, wide, kernel), atol=1e-5)
    for weight, padding in ((wide, 2), (point, 1)):
        down = F.conv2d(x, fold_filter(weight, kernel.flip(0, 1)), stride=2, padding=padding)
        assert torch.allclose(down, down_conv(x, weight, None, kernel), atol=1e-5)


def test_bf16_on_a_cpu_takes_the_folded_way_and_stays_near() -> None:
    code = """
import torch
from sisgen.nets.resample import down_conv, fir_kernel, up_conv
source = torch.Generator().manual_seed(1)
kernel, x, weight = fir_kernel(), torch.randn(1, 4, 8, 8, generator=source), torch.randn(5, 4, 3, 3, generator=source)
for way in (lambda x: up_conv(x, weight, kernel), lambda x: down_conv(x, weight, None, kernel)):
    print(float((way(x.bfloat16()).float() - way(x)).norm() / way(x).norm()))
"""
    # Some virtual machines promise AMX without the facts that oneDNN needs, and bf16 dies of it: a process of its own, without AMX.
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 2
    assert max(errors) < 0.02
