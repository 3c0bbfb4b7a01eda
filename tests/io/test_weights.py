import json
import struct

import pytest
import torch
from torch import nn

from sisgen.errors import CheckpointError
from sisgen.io.files import sha256_of
from sisgen.io.weights import load_module, load_weights, read_shapes, read_weights, save_weights


def module(width=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


def raw_file(path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def test_half_on_disk_and_full_in_memory(tmp_path):
    net = module()
    digest = save_weights(tmp_path / "w.safetensors", net)
    fresh = load_weights(tmp_path / "w.safetensors", nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), sha256=digest)

    stored = read_weights(tmp_path / "w.safetensors")
    assert digest == sha256_of(tmp_path / "w.safetensors")
    assert stored["0.weight"].dtype == torch.float16
    assert stored["1.num_batches_tracked"].dtype == torch.int64
    assert fresh[0].weight.dtype == torch.float32
    torch.testing.assert_close(fresh[0].weight, net[0].weight, atol=1e-3, rtol=0)


def test_full_precision_on_request(tmp_path):
    net = module()
    save_weights(tmp_path / "w.safetensors", net.state_dict(), half=False)

    assert torch.equal(read_weights(tmp_path / "w.safetensors")["0.weight"], net[0].weight)


def test_tied_and_transposed_weights_can_be_saved(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3)
    save_weights(tmp_path / "w.safetensors", {"a": weight, "b": weight, "c": weight.T})

    assert torch.equal(read_weights(tmp_path / "w.safetensors")["c"].float(), weight.T)


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "finite"), (1e6, "fp16's range")])
def test_unfit_values_are_not_saved(tmp_path, value, message):
    with pytest.raises(CheckpointError, match=message):
        save_weights(tmp_path / "w.safetensors", {"a": torch.tensor([value])})

    assert list(tmp_path.iterdir()) == []


def changed(state, name, tensor):
    return {key: value for key, value in {**state, name: tensor}.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("0.bias", None, r"must hold the tensor '0\.bias', but it lacks it"),
        ("2.bias", torch.zeros(2), r"holds the tensor '2\.bias' that the model does not have"),
        ("0.weight", torch.zeros(4, 2), r"must have the shape \[4, 3\], but it has \[4, 2\]"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_changes(tmp_path, name, tensor, message):
    net = module()
    save_weights(tmp_path / "w.safetensors", changed(net.state_dict(), name, tensor), half=False)
    before = {key: value.clone() for key, value in net.state_dict().items()}

    with pytest.raises(CheckpointError, match=message):
        load_weights(tmp_path / "w.safetensors", net)

    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_an_altered_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    digest = save_weights(path, module())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_weights(path, module(), sha256=digest)


def test_values_that_are_not_finite_are_refused(tmp_path):
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    path = raw_file(tmp_path / "w.safetensors", header, struct.pack("<f", float("nan")))

    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        read_weights(path)


def test_a_hundred_gigabytes_are_refused_without_allocating_them(tmp_path):
    save_weights(tmp_path / "w.safetensors", module())

    with pytest.raises(CheckpointError, match=r"must have the shape \[1000000000, 3\]|\[1000000000\]"):
        load_module(tmp_path / "w.safetensors", lambda: nn.Sequential(nn.Linear(3, 10**9), nn.BatchNorm1d(10**9)))


def test_load_module_builds_and_fills(tmp_path):
    net = module()
    save_weights(tmp_path / "w.safetensors", net, half=False)

    loaded = load_module(tmp_path / "w.safetensors", module)

    assert not loaded.training
    assert torch.equal(loaded[0].weight, net[0].weight)


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"", b""),
        (b"not json", b""),
        (b"{" * 5000, b""),
        ({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, b"\0" * 4),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}}, b"\0" * 4),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"\0" * 8),
        ({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
        ({"a": ONE, "b": ONE}, b"\0" * 4),
    ],
)
def test_a_hostile_header_is_refused(tmp_path, header, body):
    with pytest.raises(CheckpointError, match="must be a safetensors file"):
        read_shapes(raw_file(tmp_path / "w.safetensors", header, body))


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, struct.pack("<Q", 2**62) + b"{}", b"some text", b"\x80\x04}q\0."])
def test_what_is_no_safetensors_is_refused(tmp_path, data):
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match="must be a safetensors file"):
        load_weights(path, module())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"'.*gone\.safetensors' belongs to the model, but it does not exist"):
        load_weights(tmp_path / "gone.safetensors", module())
