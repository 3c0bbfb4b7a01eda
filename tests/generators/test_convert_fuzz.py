"""Damaged and rewritten files of every layout: a network or one sentence, nothing else, and soon."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sisgen.errors import SisgenError
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.layouts import read_networks
from sisgen.generators.official import build_discriminator, build_generator

SECONDS = 4.0  # on a busy machine; a whole file takes about a tenth of one
EXAMPLES = int(os.environ.get("SISGEN_FUZZ_EXAMPLES", "150"))
Edit = tuple[str, float, int, bytes]
# Instructions, lengths and numbers that mean something to a pickle.
WORTHY = [bytes([code]) for code in b"RbcQ(0125eijlostu\x80\x81\x85\x86\x87\x8a\x8b\x8d\x8e\x92\x93\x94\x96"]
WORTHY += [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(8), b"\xff" * 8, b"cos\nsystem\n", b"PK\x05\x06"]

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "write", "insert", "delete", "repeat", "cut"]),
        st.floats(0, 1, allow_nan=False),
        st.integers(1, 64),
        st.one_of(st.sampled_from(WORTHY), st.binary(min_size=1, max_size=12)),
    ),
    min_size=1,
    max_size=6,
)


def apply(data: bytes, edit: Edit) -> bytes:
    kind, place, size, new = edit
    at = int(place * (len(data) - 1)) if data else 0
    if kind == "flip" and data:
        return data[:at] + bytes([data[at] ^ (1 << (size % 8))]) + data[at + 1 :]
    if kind == "write":
        return data[:at] + new + data[at + len(new) :]
    if kind == "insert":
        return data[:at] + new + data[at:]
    if kind == "delete":
        return data[:at] + data[at + size :]
    if kind == "repeat":
        return data[:at] + data[at : at + size] * 3 + data[at + size :]
    return data[: max(at, 1)]


@pytest.fixture(scope="session")
def whole(writers: dict[str, Callable[..., Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small file of every layout."""
    folder = tmp_path_factory.mktemp("whole")
    sizes = {"resolution": 8, "z_dim": 3, "w_dim": 3, "num_mapping_layers": 1, "channels": {"4": 2, "8": 1}}
    generator = writers["noisy_generator"](**sizes)
    other = Discriminator(8, generator.config.channels)
    module = writers["official_discriminator"](other)
    state = dict(generator.state_dict())
    files = {f"official {protocol}": writers["official"](state, None, module, protocol) for protocol in (2, 4)}
    net = writers["tensorflow"](generator)
    files["tensorflow"] = writers["dump"]((net, writers["tensorflow_discriminator"](other), net))
    for new in (True, False):
        data = {"g_ema": writers["rosinality"](generator), "d": writers["rosinality_discriminator"](other)}
        torch.save(data, folder / "r.pt", _use_new_zipfile_serialization=new)
        files[f"rosinality {new}"] = (folder / "r.pt").read_bytes()
    save_file(state, folder / "s.safetensors", metadata={"config": '{"conv_clamp": 256}'})
    files["safetensors"] = (folder / "s.safetensors").read_bytes()
    return files


def read(path: Path) -> bool:
    """Read all that a conversion reads; True when a generator came out."""
    try:
        foreign = read_networks(path)
        generator, _ = build_generator(foreign)
        build_discriminator(foreign, generator.config)
    except SisgenError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
        return False
    return True


def test_the_whole_files_are_read(whole: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in whole.items():
        (tmp_path / "whole").write_bytes(data)
        assert read(tmp_path / "whole"), name


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(kind=st.integers(0, 5), changes=edits)
def test_changed_files_give_a_network_or_a_sentence(
    whole: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, kind: int, changes: list[Edit]
) -> None:
    data = list(whole.values())[kind]
    for change in changes:
        data = apply(data, change)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(data)
    start = time.perf_counter()
    read(path)
    assert time.perf_counter() - start <= SECONDS
