"""The endpoints for scripts, through Gradio's own client."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from sisgen.app import api
from sisgen.app.context import Context
from sisgen.errors import InputError


@pytest.fixture(scope="module")
def client(page_url: str) -> Iterator[Any]:
    from gradio_client import Client

    client = Client(page_url, verbose=False, download_files=False)
    yield client
    client.close()


@pytest.fixture
def mask(tmp_path: Path) -> str:
    path = tmp_path / "mask.png"
    Image.fromarray(np.ones((60, 80), np.uint8), mode="L").save(path)
    return str(path)


def test_a_script_gets_files_and_a_report(client: Any, mask: str) -> None:
    from gradio_client import handle_file

    files, report = client.predict(handle_file(mask), [3, 4], 0.7, 1.0, "", api_name="/generate_mask")
    assert len(files) == 2
    for file, seed in zip(files, (3, 4)):
        with urlopen(file["url"]) as answer, Image.open(io.BytesIO(answer.read())) as picture:
            picture.load()
            assert json.loads(picture.text["sisgen"])["seed"] == seed
    assert [one["seed"] for one in report["pictures"]] == [3, 4]
    assert "@" in report["model"]


def test_health_tells_what_is_loaded(client: Any) -> None:
    told = client.predict(api_name="/health")
    assert told["waiting"] == 0
    assert all("device" in model for model in told["models"].values())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seeds": [2**70]}, "seed"),
        ({"seeds": list(range(17))}, "16 seeds"),
        ({"seeds": "no list"}, "list"),
        ({"truncation": float("nan")}, "variety"),
        ({"strength": -1}, "strength"),
        ({"model": "unknown"}, "not offered"),
    ],
)
def test_bad_values_are_refused(app_context: Context, mask: str, changes: dict[str, Any], word: str) -> None:
    wish = {"truncation": None, "strength": 1.0, "model": "", **changes}
    with pytest.raises(InputError, match=word):
        api.generate(app_context, "mask", mask, seeds=wish.pop("seeds", [0]), wish=wish)


def test_a_bad_file_is_refused_through_the_wire_and_the_next_call_works(client: Any, photograph: Path, mask: str) -> None:
    from gradio_client import handle_file

    with pytest.raises(Exception, match="mask"):
        client.predict(handle_file(str(photograph)), [0], None, 1.0, "", api_name="/generate_mask")
    files, _ = client.predict(handle_file(mask), [0], None, 1.0, "", api_name="/generate_mask")
    assert len(files) == 1


def test_plain_samples_need_no_mask(app_context: Context) -> None:
    painted = api.generate(app_context, "mask", None, seeds=[1, 2], wish={"truncation": 0.7})
    assert [one.seed for one in painted] == [1, 2]


def test_every_endpoint_has_typed_docs(client: Any) -> None:
    told = client.view_api(return_format="dict")["named_endpoints"]
    assert {"/generate_mask", "/generate_scribble", "/generate_edges", "/invert", "/health"} <= set(told)
    names = [parameter["parameter_name"] for parameter in told["/generate_edges"]["parameters"]]
    assert names == ["picture", "kind", "seeds", "truncation", "strength", "model", "low", "high"]


def test_lines_of_a_picture_and_a_photograph_through_the_wire(client: Any, photograph: Path) -> None:
    from gradio_client import handle_file

    picture = handle_file(str(photograph))
    files, report = client.predict(picture, "canny", [1], 0.7, 1.0, "", 0.1, 0.2, api_name="/generate_edges")
    assert len(files) == 1
    assert report["pictures"][0]["condition"] == "canny"
    files, report = client.predict(picture, 20, "", api_name="/invert")
    assert [Path(file["path"]).name for file in files] == ["reconstruction.png", "areas.png"]
    assert report["steps"] == 20
    files, report = client.predict(None, [1, 2], None, 1.0, "", report["photo"], "shape", api_name="/generate_mask")
    assert [one["condition"] for one in report["pictures"]] == ["exemplar", "exemplar"]
    with pytest.raises(Exception, match="one of mask"):
        client.predict(picture, "neon", [1], 0.7, 1.0, "", 0.1, 0.2, api_name="/generate_edges")


def test_two_drawings_and_parts_of_other_samples_through_the_wire(client: Any, mask: str, photograph: Path) -> None:
    from gradio_client import handle_file

    names = [
        parameter["parameter_name"]
        for parameter in client.view_api(return_format="dict")["named_endpoints"]["/generate_mixed"]["parameters"]
    ]
    assert names[:5] == ["first", "first_kind", "second", "second_kind", "weight"]
    both = {"first": handle_file(mask), "first_kind": "mask", "second": handle_file(str(photograph)), "second_kind": "canny"}
    pictures = {}
    for weight in (0.0, 0.25, 1.0):
        files, report = client.predict(**both, weight=weight, seeds=[3], truncation=0.7, api_name="/generate_mixed")
        with urlopen(files[0]["url"]) as answer:
            pictures[weight] = answer.read()
        assert report["pictures"][0]["condition"] == {0.0: "mask", 0.25: "mask+canny", 1.0: "canny"}[weight]
    assert report["pictures"][0].get("weights") is None
    assert len(set(pictures.values())) == 3
    _, report = client.predict(handle_file(mask), [3], 0.7, parts={"hair": 5, "hat": 8}, api_name="/generate_mask")
    assert report["pictures"][0]["regions"] == {"hair": 5, "hat": 8}
    for wrong in ({"beard": 5}, ["hair"], {"hair": -1}):
        with pytest.raises(Exception, match=r"class|Parts|seed"):
            client.predict(handle_file(mask), [3], 0.7, parts=wrong, api_name="/generate_mask")


@pytest.mark.parametrize("more", [[], ["--kind", "scribble"], ["--kind", "sketch"], ["--part", "hair=5"], ["--also", "scribble"]])
def test_the_example_script_runs(page_url: str, tmp_path: Path, mask: str, more: list[str]) -> None:
    script = Path(__file__).parents[2] / "examples" / "api_client.py"
    drawing = tmp_path / "drawing.png"
    if "sketch" in more:
        pixels = np.full((64, 64, 3), 255, np.uint8)
        pixels[20:44, 30:33] = 0
        Image.fromarray(pixels).save(drawing)
    else:
        drawing = Path(mask)
    more = [*more, mask] if "--also" in more else more
    spec = importlib.util.spec_from_file_location("api_client", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(["--server", page_url, "--drawing", str(drawing), "--seeds", "1", "2", "--out", str(tmp_path / "out"), *more])
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
