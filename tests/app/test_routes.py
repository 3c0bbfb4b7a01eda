"""The routes: pictures out, one sentence for what is refused, no answer without a login, and no disturbance of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sisgen.app.context import Context
from sisgen.app.serve.routes import build_routes, static_version

VISITOR = "visitor=0123456789abcdef"


@pytest.fixture
def client(app_context: Context) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=build_routes(app_context))) as client:
        yield client


def test_a_stroke_comes_back_as_a_picture_that_names_its_model(client: TestClient, canvas: bytes) -> None:
    answer = client.post(f"/sisgen/paint?{VISITOR}&seed=4&truncation=0.7", content=canvas)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    report = json.loads(answer.headers["x-sisgen"])
    assert report["seed"] == 4
    assert "@" in report["model"]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        (f"{VISITOR}&seed={2**70}", "seed"),
        (f"{VISITOR}&truncation=nan", "variety"),
        (f"{VISITOR}&strength=2", "strength"),
        (f"{VISITOR}&model=../../etc/passwd", "not offered"),
        ("visitor=<img>", "reload"),
    ],
)
def test_bad_values_get_one_sentence_and_the_next_stroke_works(client: TestClient, canvas: bytes, query: str, word: str) -> None:
    answer = client.post(f"/sisgen/paint?{query}", content=canvas)
    assert answer.status_code == 422
    assert word in answer.json()["error"]
    assert client.post(f"/sisgen/paint?{VISITOR}", content=canvas).status_code == 200


def test_bad_drawings_and_files_are_refused(client: TestClient, photograph: Path) -> None:
    assert client.post(f"/sisgen/paint?{VISITOR}", content=b"x" * 300_000).status_code == 422
    assert client.post(f"/sisgen/paint?{VISITOR}", content=photograph.read_bytes()).status_code == 422
    assert client.post(f"/sisgen/open-mask?{VISITOR}", content=photograph.read_bytes()).status_code == 422
    assert client.post(f"/sisgen/open-mask?{VISITOR}", content=b"\0" * (20 * 2**20 + 1)).status_code == 422


def test_reading_sample_model_and_palette_answer(client: TestClient, canvas: bytes) -> None:
    assert set(client.post(f"/sisgen/reading?{VISITOR}", content=canvas).json()) == {"share", "wrong"}
    assert client.get(f"/sisgen/sample?{VISITOR}&seed=1").json()["runs"]
    assert client.get("/sisgen/model").json()["labels"]
    assert client.get("/sisgen/palette?format=gpl").text.startswith("GIMP Palette")
    assert client.get("/sisgen/health").json()["waiting"] == 0
    assert client.post(f"/sisgen/save-picture?{VISITOR}&scale=4", content=canvas).headers["content-type"] == "image/png"
    assert client.post("/sisgen/save-mask", content=canvas).headers["content-type"] == "image/png"


def test_nothing_is_answered_without_a_login(app_context: Context, canvas: bytes) -> None:
    app = Starlette(routes=build_routes(app_context))
    app.auth, app.cookie_id, app.tokens = {"ada": "secret"}, "id", {"good": "ada"}  # as Gradio's own app has them
    with TestClient(app) as client:
        assert client.post(f"/sisgen/paint?{VISITOR}", content=canvas).status_code == 401
        client.cookies.set("access-token-unsecure-id", "forged")
        assert client.get("/sisgen/model").status_code == 401
        client.cookies.clear()
        client.cookies.set("access-token-unsecure-id", "good")
        assert client.post(f"/sisgen/paint?{VISITOR}", content=canvas).status_code == 200


def test_scripts_have_an_address_of_their_version_and_no_path_leads_out(client: TestClient) -> None:
    answer = client.get(f"/sisgen/static/{static_version()}/mask_tab.js")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(f"/sisgen/static/{static_version()}/..%2f..%2flimits.py").status_code == 404


def test_the_label_tab_gets_answers_and_sentences(client: TestClient) -> None:
    assert client.get(f"/sisgen/training?{VISITOR}").json() == {"refusal": None, "phase": "none"}
    for path in ("insight", "preview", "model.zip"):
        answer = client.get(f"/sisgen/{path}?{VISITOR}&job={'x' * 24}")
        assert answer.status_code == 422, path
        assert answer.json()["error"]
    assert client.get(f"/sisgen/preview?{VISITOR}&job=../../etc").status_code == 422
    assert client.post(f"/sisgen/train?{VISITOR}", content=b"{").status_code == 422
    assert client.post(f"/sisgen/train?{VISITOR}", content=b"x" * (4 * 2**20 + 1)).status_code == 422
    assert client.post(f"/sisgen/save-model?{VISITOR}&job={'x' * 24}&title=mine", content=b"{}").status_code == 422
