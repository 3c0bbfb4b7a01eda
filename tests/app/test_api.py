"""The endpoints for scripts, through Gradio's own client."""

from __future__ import annotations

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
    arguments = {"seeds": [0], "truncation": None, "strength": 1.0, "model": "", **changes}
    with pytest.raises(InputError, match=word):
        api.generate(app_context, mask, **arguments)


def test_a_bad_file_is_refused_through_the_wire_and_the_next_call_works(client: Any, photograph: Path, mask: str) -> None:
    from gradio_client import handle_file

    with pytest.raises(Exception, match="mask"):
        client.predict(handle_file(str(photograph)), [0], None, 1.0, "", api_name="/generate_mask")
    files, _ = client.predict(handle_file(mask), [0], None, 1.0, "", api_name="/generate_mask")
    assert len(files) == 1


def test_plain_samples_need_no_mask(app_context: Context) -> None:
    painted = api.generate(app_context, None, seeds=[1, 2], truncation=0.7, strength=1.0, model=None)
    assert [one.seed for one in painted] == [1, 2]
