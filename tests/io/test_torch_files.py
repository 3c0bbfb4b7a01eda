"""Pickles and `.pt` files as others write them: the same data comes out, and hostile ones are refused before anything runs."""

import builtins
import functools
import importlib
import io
import operator
import os
import pickle
import re
import struct
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sisgen.errors import CheckpointError
from sisgen.io.stored import StoredArray, StoredTensor
from sisgen.io.torch_files import read_foreign

SECONDS = 2.0
WATCHED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "exec", "compile", "pickle.find_class", "socket.connect")
heard: list[str] = []
listening = [False]


@pytest.fixture(scope="module", autouse=True)
def listen() -> None:
    """Python tells of every call that starts something, and of its own unpickler."""
    with zipfile.ZipFile(io.BytesIO(zipped({"a": b""}))) as archive:
        archive.namelist()  # imports the codec of old file names, once
    sys.addaudithook(lambda event, _args: heard.append(event) if listening[0] and event.startswith(WATCHED) else None)


def tensors() -> dict[str, torch.Tensor]:
    whole = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    kinds = {str(kind)[6:]: whole.to(kind) for kind in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8)}
    views = {"view": whole[1:3, ::2], "turned": whole.t(), "scalar": whole[0, 0], "none": torch.zeros(0, 3)}
    return {"whole": whole, "parameter": torch.nn.Parameter(whole), **kinds, **views}


def plain() -> dict[str, Any]:
    constants = [None, True, False, 0, -1, 255, 256, 70_000, -70_000, 2**40, -(2**70), 0.5, "text", "ü" * 300]
    return {
        "constants": constants,
        "pair": (1, (2, (3,))),
        "nested": OrderedDict(a={"b": [[], {}]}),
        3: "number",
        "device": torch.device("cpu"),
    }


def check(found: dict[str, Any], wanted: dict[str, torch.Tensor]) -> None:
    for name, tensor in wanted.items():
        assert isinstance(found[name], StoredTensor), name
        read = found[name].load()
        assert read.dtype == tensor.dtype and torch.equal(read, tensor.data) and read.is_contiguous(), name
    assert found["constants"] == plain()["constants"]
    assert found["pair"] == (1, (2, (3,))) and found["nested"] == {"a": {"b": [[], {}]}} and found[3] == "number"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_comes_back(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "a.pkl"
    arrays = {f"array {kind}": np.arange(6).reshape(2, 3).astype(kind) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "b1")}
    arrays |= {"array turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "array scalar": np.array(2.0)}
    numbers = {"double": np.sqrt(2), "single": np.float32(0.5), "whole number": np.int64(-3)}
    file.write_bytes(pickle.dumps({**tensors(), **plain(), **arrays, **numbers, "set": {1, 2}}, protocol))
    found = read_foreign(file)
    check(found, tensors())
    for name, array in arrays.items():
        assert isinstance(found[name], StoredArray) and found[name].tensor is not None
        assert np.array_equal(found[name].tensor.load().numpy(), array), name
    assert {name: found[name] for name in numbers} == numbers and sorted(found["set"]) == [1, 2]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pt_file_comes_back(tmp_path: Path, zipped: bool) -> None:
    torch.save({**tensors(), **plain()}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    check(read_foreign(tmp_path / "a.pt"), tensors())


def test_a_tensor_is_read_late_and_a_file_that_shrank_is_noticed(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    found = read_foreign(tmp_path / "a.pt")
    os.truncate(tmp_path / "a.pt", 1000)
    with pytest.raises(CheckpointError, match="became shorter"):
        found["a"].load()


def canary(place: str) -> str:
    return f"open({place!r}, 'w').close()"


class Call:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def official(meta: Any) -> bytes:
    """A network of the official repositories around any data."""
    return b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + pickle.dumps((meta,), 2)[2:-1] + b"R."


def framed(body: bytes) -> bytes:
    return b"\x80\x04" + body


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def old_torch(content: bytes, keys: Any = (), tail: bytes = b"") -> bytes:
    """PyTorch's old format around any pickle."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    start = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine))
    return start + content + pickle.dumps(list(keys), 2) + tail


def storage(count: bytes, kind: bytes = b"FloatStorage") -> bytes:
    """A reference to numbers outside the pickle; `count` is the instruction that pushes how many."""
    return b"(" + short("storage") + b"ctorch\n" + kind + b"\n" + short("0") + short("cpu") + count


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, count: int = 1) -> bytes:
    """A pickle of a tensor over `count` numbers."""
    sizes = pickle.dumps((offset, shape, strides), 2)[2:-1]
    reference = storage(pickle.dumps(count, 2)[2:-1]) + b"NtQ"
    # (storage,) + (offset, shape, strides) cannot be added in a pickle: push the parts one by one.
    parts = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, strides))
    assert sizes
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + reference + parts + b"\x89NtR."


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def torch_zip(content: bytes, **files: bytes) -> bytes:
    return zipped({"archive/data.pkl": content, "archive/byteorder": b"little", "archive/data/0": b"\0\0\0\0", **files})


def overlapping() -> bytes:
    """A zip that names the same million bytes a hundred times."""
    data = bytearray(zipped({"archive/data.pkl": b"\x80\x02N.", "archive/data/0": bytes(1_000_000)}))
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<I", data, end + 16)
    first_size = 46 + len("archive/data.pkl")
    entry = bytes(data[start + first_size : end])
    many = b"".join(entry[:46] + f"archive/data/{i:01x}".encode()[-len("archive/data/0") :] for i in range(16))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 17, 17, first_size + len(many))
    return bytes(data[: start + first_size]) + many + bytes(tail)


def long_directory() -> bytes:
    """A zip whose end announces a list of files of 4 GB minus one byte... as far as there are bytes."""
    data = bytearray(bytes(3 << 20) + b"PK\x05\x06" + bytes(18))
    data[:4] = b"PK\x03\x04"
    struct.pack_into("<HHII", data, len(data) - 14, 60_000, 60_000, 3 << 20, 0)
    return bytes(data)


CALLS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda place: Call(os.system, f"touch {place}"),
    "eval": lambda place: Call(eval, canary(place)),
    "exec": lambda place: Call(exec, canary(place)),
    "getattr chain": lambda place: Call(getattr, Call(importlib.import_module, "os"), "system"),
    "import": lambda place: Call(importlib.import_module, "antigravity"),
    "partial": lambda place: Call(functools.partial, os.system, f"touch {place}"),
    "attrgetter": lambda place: Call(operator.attrgetter("system"), 0),
    "open": lambda place: Call(open, place, "w"),
    "torch.load": lambda place: Call(torch.load, place),
    "nested": lambda place: {"G_ema": [(1, Call(dict, [("x", Call(os.system, f"touch {place}"))]))]},
    "in an OrderedDict": lambda place: OrderedDict(x=Call(os.system, f"touch {place}")),
    "breakpoint": lambda place: Call(builtins.breakpoint),
}


@pytest.fixture
def refuse(tmp_path: Path) -> Iterator[Callable[[bytes, str], str]]:
    """Read a hostile file: it must be refused in time, in one sentence, with nothing run."""

    def read(data: bytes, words: str = "is refused") -> str:
        file = tmp_path / "hostile.pkl"
        file.write_bytes(data)
        before = set(tmp_path.iterdir())
        heard.clear()
        listening[0] = True
        start = time.perf_counter()
        try:
            with pytest.raises(CheckpointError, match=words) as caught:
                read_foreign(file)
        finally:
            listening[0] = False
        assert time.perf_counter() - start <= SECONDS
        assert heard == [] and set(tmp_path.iterdir()) == before
        text = str(caught.value)
        assert "\n" not in text and text.endswith(".") and text.count(". ") == 0 and len(text) < 500
        return text

    yield read
    listening[0] = False


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_calls_are_refused_by_name(refuse: Callable[..., str], tmp_path: Path, kind: str, protocol: int) -> None:
    data = pickle.dumps(CALLS[kind](str(tmp_path / "canary")), protocol)
    assert re.search(r"it names '[\w.]+', which is not among the names that a network needs", refuse(data))
    words = "which is not among the names"
    refuse(torch_zip(data), words)
    refuse(old_torch(data), words)


def test_the_refused_name_is_told(refuse: Callable[..., str], tmp_path: Path) -> None:
    refuse(pickle.dumps(CALLS["os.system"](str(tmp_path / "canary"))), r"it names 'posix\.system'")
    refuse(pickle.dumps(CALLS["eval"]("")), r"it names 'builtins\.eval'")
    assert r"\n" in refuse(framed(short("os\nodd") + short("system") + b"\x93."), "names")


HAND_MADE: dict[str, tuple[bytes, str]] = {
    # Names.
    "eval through numpy's _reconstruct": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\neval\nK\x00tR.", "names 'builtins.eval'",
    ),
    "eval through torch's _reconstruct": (b"\x80\x02ctorch._utils\n_reconstruct\n.", "names 'torch._utils._reconstruct'"),
    "attributes of an allowed name": (framed(short("torch._utils") + short("_rebuild_tensor_v2.__globals__") + b"\x93."), "__globals__"),
    "a parent module of an allowed name": (framed(short("torch") + short("_utils._rebuild_tensor_v2") + b"\x93)R."), "calls|holds|damaged"),
    "code inside a persistent object": (official({"module_src": "import os; os.system('false')", "class_name": 3}), "without a class name"),
    "a call of a data type": (b"\x80\x02ctorch\nFloatStorage\n)R.", r"calls 'torch\.FloatStorage'"),
    "a call of text": (framed(short("os.system") + b")R."), "calls something that is no name"),
    "a state for a name": (b"\x80\x02cnumpy\ndtype\n}b.", "gives a state to something"),
    "a state for text": (framed(short("x") + b"}b."), "gives a state to something"),
    "an old call (INST)": (b"\x80\x02(ios\nsystem\n.", "instruction 0x69"),
    "an old call (OBJ)": (b"\x80\x02(cos\nsystem\no.", r"names 'os\.system'"),
    "an extension code": (b"\x80\x02\x82\x01.", "instruction 0x82"),
    "data outside": (framed(short("x") + b"Q."), "refers to data outside"),
    "a text reference": (b"\x80\x02Pos.system\n.", "instruction 0x50"),
    "an unknown protocol": (b"\x80\x09N.", "unknown pickle protocol"),
    "code in a tensor": (
        b"\x80\x02ctorch.storage\n_load_from_bytes\n" + pickle.dumps((old_torch(pickle.dumps(Call(os.getcwd), 2)),), 3)[2:-1] + b"R.",
        "which is not among the names",
    ),
    "a tensor in a tensor": (
        b"\x80\x02ctorch.storage\n_load_from_bytes\n"
        + pickle.dumps((old_torch(b"\x80\x02ctorch.storage\n_load_from_bytes\n."),), 3)[2:-1] + b"R.",
        r"names 'torch\.storage\._load_from_bytes'",
    ),
    # Memory.
    "text of 2^62 bytes": (b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.", "holds more text|cut off"),
    "text of 4 GB": (b"\x80\x02X\xff\xff\xff\xffx.", "holds more text|cut off"),
    "bytes of 2^62": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "announced"),
    "a bytearray of 2^40": (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.", "announced"),
    "an integer of 2 GB": (b"\x80\x02\x8b\xff\xff\xff\x7fx.", "an integer of"),
    "an integer of -1 bytes": (b"\x80\x02\x8b\xff\xff\xff\xff.", "an integer of"),
    "an integer of 100 bytes": (b"\x80\x02\x8a\x64" + bytes(100) + b".", "an integer of 100"),
    "a name without end": (b"\x80\x02c" + b"a" * 5000, "too long"),
    "a frame of 2^64": (b"\x80\x04\x95" + b"\xff" * 8, "cut off"),
    "a pickle in a huge shape": (old_torch(tensor((10**6, 10**6), (0, 0)), "0", struct.pack("<qf", 1, 0.0)), "only 1 in the file"),
    "a shape beyond its storage": (old_torch(tensor((2,), (1,)), "0", struct.pack("<qf", 1, 0.0)), "only 1 in the file"),
    "an offset beyond its storage": (old_torch(tensor((1,), (1,), 5), "0", struct.pack("<qf", 1, 0.0)), "only 1 in the file"),
    "a negative stride": (old_torch(tensor((1,), (-1,)), "0", struct.pack("<qf", 1, 0.0)), "impossible shape"),
    "a negative offset": (old_torch(tensor((1,), (1,), -4), "0", struct.pack("<qf", 1, 0.0)), "impossible shape"),
    "a negative size": (old_torch(tensor((-1,), (1,)), "0", struct.pack("<qf", 1, 0.0)), "impossible shape"),
    "a size of 10^30": (old_torch(tensor((0, 10**30), (1, 1)), "0", struct.pack("<qf", 1, 0.0)), "impossible shape"),
    "a hundred dimensions": (old_torch(tensor((1,) * 100, (1,) * 100), "0", struct.pack("<qf", 1, 0.0)), "impossible shape"),
    "2^32 numbers that are not there": (old_torch(tensor((1,), (1,), 0, 2**32), "0", struct.pack("<q", 2**32)), "announced"),
    "-1 numbers": (old_torch(tensor((1,), (1,), 0, -1), "0", struct.pack("<q", -1)), "impossible shape"),
    "two sizes of one storage": (old_torch(tensor((1,), (1,), 0, 4), "0", struct.pack("<q", 2) + bytes(8)), "announces 4"),
    "no numbers": (old_torch(tensor((1,), (1,)), (), b""), "lacks numbers"),
    "a huge numpy array": (
        pickle.dumps(np.zeros(2), 4).replace(b"K\x02\x85", b"J\xff\xff\xff\x7f\x85", 1), "only 2 in the file",
    ),
    "numpy objects": (pickle.dumps(np.array([None, {}], dtype=object), 2), "numpy type 'O8'"),
    "numpy structures": (pickle.dumps(np.zeros(2, dtype=[("a", "f4")]), 2), "numpy type 'V4'"),
    "big-endian numpy": (pickle.dumps(np.zeros(2, dtype=">f4"), 2), "big-endian"),
    "a million instructions": (b"\x80\x02" + b"N0" * 500_000 + b".", "more instructions"),
    "a stack of a million": (b"\x80\x02" + b"N" * 1_000_000 + b".", "more instructions"),
    "a million marks": (b"\x80\x02" + b"(" * 1_000_000 + b".", "nested too deeply"),
    "one container copied again and again": (
        b"\x80\x02ccollections\nOrderedDict\nq\x00](" + b"".join(b"K\x01" for _ in range(90_000)) + b"eq\x01"
        + b"h\x00h\x01\x85R0" * 50_000 + b".", "more instructions|damaged",
    ),
    "one text encoded again and again": (
        b"\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x01" + short("latin1") + b"q\x02"
        + b"h\x00h\x01h\x02\x86R0" * 50_000 + b".", "more instructions",
    ),
    "a key that is a tower of tuples": (b"\x80\x02}" + b")" + b"\x85" * 150_000 + b"Ns.", "keys are neither"),
    # No pickles.
    "nothing": (b"", "is empty"),
    "text": (b"Hello, this is a text file.\n", "does not begin as a pickle"),
    "a page": (b"<!DOCTYPE html><html><body>404</body></html>", "does not begin as a pickle"),
    "a pointer to a large file": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "does not begin as a pickle"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "does not begin as a pickle"),
    "an old pickle without a protocol": (b"cos\nsystem\n(S'false'\ntR.", "does not begin as a pickle"),
    "only a protocol": (b"\x80", "cut off|damaged"),
    "popped from nothing": (b"\x80\x020000.", "damaged"),
    "a memo that was never written": (b"\x80\x02h\x05.", "damaged"),
    "broken text": (b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", "damaged"),
    "another machine": (old_torch(b"\x80\x02N.").replace(b"\x88", b"\x89", 1), "big-endian|damaged"),
    # Zips.
    "a path out of the zip": (torch_zip(b"\x80\x02N.", **{"archive/../../canary": b"x"}), "points out of the zip"),
    "an absolute path": (torch_zip(b"\x80\x02N.", **{"/tmp/canary": b"x"}), "points out of the zip"),
    "a path with backslashes": (torch_zip(b"\x80\x02N.", **{"archive\\..\\canary": b"x"}), "points out of the zip"),
    "a bomb": (zipped({"archive/data.pkl": b"\x80\x02N.", "archive/data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), "compressed"),
    "a bomb of overlapping files": (overlapping(), "zip bomb|two files"),
    "a long list of files": (long_directory(), "too long|damaged"),
    "eleven thousand files": (torch_zip(b"\x80\x02N.", **{f"a/{i}": b"" for i in range(11_000)}), "more files|too long"),
    "a zip of something else": (zipped({"word/document.xml": b"<xml/>"}), "not one that PyTorch wrote"),
    "two pickles": (torch_zip(b"\x80\x02N.", **{"other/data.pkl": b"\x80\x02N."}), "not one that PyTorch wrote"),
    "a missing storage": (torch_zip(b"\x80\x02" + storage(b"K\x01").replace(short("0"), short("9")) + b"tQ."), "lacks numbers"),
    "a short storage": (torch_zip(b"\x80\x02" + storage(b"K\x07") + b"tQ."), "announces 7 numbers"),
    "a storage of another class": (torch_zip(b"\x80\x02" + storage(b"K\x01", b"Size") + b"tQ."), "refers to data outside"),
    "a big-endian zip": (torch_zip(b"\x80\x02N.").replace(b"little", b"bigend"), "big-endian"),
    "a zip without its end": (torch_zip(b"\x80\x02N.")[:-30], "damaged zip"),
    "a zip's first bytes alone": (b"PK\x03\x04", "damaged zip"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HAND_MADE)
def test_hostile_files_are_refused(refuse: Callable[..., str], kind: str) -> None:
    data, words = HAND_MADE[kind]
    refuse(data, words)


LAUGH = b"](" + b"h%c" * 10 + b"eq%c"  # a list of ten times the last one
RECORD = b"cargparse\nNamespace\n)R"
HARMLESS = {
    "billions of laughs": b"\x80\x02]q\x00" + b"".join(LAUGH % ((i,) * 10 + (i + 1,)) for i in range(60)) + b".",
    "a tower of tuples": b"\x80\x02)" + b"\x85" * 150_000 + b".",
    "a tower of lists": b"\x80\x02" + b"]" * 70_000 + b"a" * 69_999 + b".",
    "a tower of records": b"\x80\x02" + RECORD + (b"}X\x01\x00\x00\x00a" + RECORD + b"q\x00sbh\x00") * 15_000 + b".",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "a memo far out": b"\x80\x02Nr\xff\xff\xff\xff.",
    "the source of a network": official({"class_name": "G", "state": {}, "module_src": "import os; os.system('false')"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", HARMLESS)
def test_odd_but_harmless_data_is_read_in_time(tmp_path: Path, kind: str) -> None:
    (tmp_path / "odd.pkl").write_bytes(HARMLESS[kind])
    heard.clear()
    listening[0] = True
    start = time.perf_counter()
    data = read_foreign(tmp_path / "odd.pkl")
    del data
    listening[0] = False
    assert time.perf_counter() - start <= SECONDS and heard == []


def test_every_cut_file_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    whole = {"a": torch.randn(3, 2), "b": {"c": 1, "d": "text"}}
    made = [pickle.dumps(whole, 4)]
    for new in (True, False):
        torch.save(whole, tmp_path / "cut.pt", _use_new_zipfile_serialization=new)
        made.append((tmp_path / "cut.pt").read_bytes())
    for data in made:
        for size in range(0, len(data) - 1, 1 + len(data) // 60):
            refuse(data[:size])


def test_a_file_beyond_the_limit_is_not_read(refuse: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "huge.pkl"
    with file.open("wb") as opened:
        opened.truncate((8 << 30) + 1)  # sparse
    with pytest.raises(CheckpointError, match=r"has 8\.6 GB, more than a network needs"):
        read_foreign(file)


def test_a_folder_or_nothing_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CheckpointError, match="does not exist or is no plain file"):
            read_foreign(path)
