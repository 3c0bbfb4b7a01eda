"""Model folders: parts with checksums, whole copies, replaced whole or not at all."""

import json
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from sisgen.errors import CheckpointError
from sisgen.io.configs import read_json
from sisgen.io.models import copy_parts, export_parts, replace_folder
from sisgen.io.weights import is_finite, is_safetensors, read_header, read_tensor, read_weights, save_weights


def test_a_part_keeps_its_type_on_request(tmp_path: Path) -> None:
    part = nn.Linear(3, 3)
    export_parts(tmp_path, {"part": part}, {"note": 1}, half=False)
    assert torch.equal(read_weights(tmp_path / "part.safetensors")["weight"], part.weight)
    export_parts(tmp_path, {"part": part}, {})
    assert read_weights(tmp_path / "part.safetensors")["weight"].dtype == torch.float16
    assert read_json(tmp_path / "config.json")["note"] == 1


def test_a_copy_takes_what_the_config_names(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    export_parts(source, {"part": nn.Linear(2, 2)}, {"license": "MIT"})
    (source / "CARD.md").write_text("# A card")
    (source / "notes.txt").write_text("private")
    copy.mkdir()
    copy_parts(source, copy, {"name": "new"})
    assert sorted(path.name for path in copy.iterdir()) == ["CARD.md", "config.json", "part.safetensors"]
    content = read_json(copy / "config.json")
    assert (content["name"], content["license"]) == ("new", "MIT")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "must list its files"),
        ([1], "must list its files"),
        ({"../part.safetensors": "0"}, "must name its files plainly"),
        ({"part.pkl": "0"}, "must name its files plainly"),
        ({"gone.safetensors": "0"}, "does not exist"),
        ({"part.safetensors": "0"}, "is not the one"),
        ({"part.safetensors": None}, "is not the one"),
    ],
)
def test_a_wrong_list_of_files_is_a_sentence(tmp_path: Path, files: object, words: str) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    export_parts(source, {"part": nn.Linear(2, 2)}, {})
    (source / "config.json").write_text(json.dumps({"files": files}))
    copy.mkdir()
    with pytest.raises(CheckpointError, match=words):
        copy_parts(source, copy, {})


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    for content in ("first", "second"):
        with replace_folder(target) as staged:
            (staged / content).write_text(content)
            assert not (target / content).exists()
        assert [path.name for path in target.iterdir()] == [content]
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_no_look_at_a_folder_that_is_replaced_finds_it_missing(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("names change places at once on Linux only")
    target, missing, over = tmp_path / "model", [], threading.Event()
    (target / "a").mkdir(parents=True)

    def look() -> None:
        while not over.is_set():
            if not target.exists():
                missing.append(target)

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(200):
        with replace_folder(target) as staged:
            (staged / "b").mkdir()
    over.set()
    watcher.join()
    assert missing == [] and [path.name for path in target.iterdir()] == ["b"]


def test_after_an_exception_the_old_folder_is_there(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), replace_folder(tmp_path / "model") as staged:
        (staged / "new").write_text("new")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "old"]


def test_a_header_tells_shapes_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(path, {"a": torch.ones(2, 3)}, metadata={"config": '{"clamp": 256}', "note": "no JSON", "list": "[1]"})
    assert is_safetensors(path) and not is_safetensors(tmp_path / "gone")
    assert read_header(path) == ({"a": (2, 3)}, {"clamp": 256})
    assert torch.equal(read_tensor(path, "a"), torch.ones(2, 3).half())
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_tensor(path, "b")
    path.write_bytes((5 << 20).to_bytes(8, "little") + b"{" + b" " * (5 << 20))
    with pytest.raises(CheckpointError, match=r"has a header of 5\.2 MB, more than a network needs"):
        read_header(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e5m2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_found(dtype: torch.dtype, value: float) -> None:
    for size in (1, 7, 100):
        for place in (0, size // 2, size - 1):
            numbers = torch.ones(size)
            assert is_finite(numbers.to(dtype))
            numbers[place] = value
            assert not is_finite(numbers.to(dtype))
    assert is_finite(torch.zeros(0)) and is_finite(torch.tensor(3))
