"""Photographs: brought in, edited, refined behind everybody's strokes, stopped, and gone after a while."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sisgen.app import actions, photo_actions
from sisgen.app.canvases import read_runs
from sisgen.app.context import Context
from sisgen.app.limits import Wish, read_wish
from sisgen.app.photos import Photo, Photos
from sisgen.app.serve.routes import build_routes
from sisgen.app.serve.turnstile import Turnstile
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline

VISITOR = "visitor=0123456789abcdef"


@pytest.fixture
def client(app_context: Context) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=build_routes(app_context))) as client:
        yield client


@pytest.fixture
def token(client: TestClient, photograph: Path) -> str:
    return client.post(f"/sisgen/photo?{VISITOR}", content=photograph.read_bytes()).json()["photo"]


def _wait(client: TestClient, token: str) -> dict:
    for _ in range(600):
        told = client.get(f"/sisgen/photo-state?photo={token}").json()
        if told["phase"] not in ("waiting", "running"):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def test_an_untouched_photo_stays_as_it_is_and_a_repainted_one_does_not(app_context: Context, token: str) -> None:
    photo = app_context.photos.get(token, "tiny")
    own, wish = actions.own_labels(app_context, photo), Wish(photo=token)
    plain = actions.submit_cells(app_context, "visitor", wish, own).result(30).image
    with app_context.registry.lease() as pipe:
        from sisgen.io.images import to_uint8

        assert np.abs(plain.astype(int) - to_uint8(photo.inversion.image)[0]).mean() < 3
        other = (own + 1) % len(pipe.labels)
    assert (actions.submit_cells(app_context, "visitor", wish, other).result(30).image != plain).any()


def test_shape_and_style_are_lent(app_context: Context, token: str) -> None:
    own = actions.own_labels(app_context, app_context.photos.get(token, "tiny"))
    shape = [actions.submit_cells(app_context, "v", Wish(photo=token, use="shape", seed=s), own).result(30) for s in (1, 2)]
    assert [one.settings["condition"] for one in shape] == ["exemplar", "exemplar"]
    assert (shape[0].image != shape[1].image).any(), "each sample has its own style"
    style = [actions.submit_cells(app_context, "v", Wish(photo=token, use="style", seed=s), own * 0 + 1).result(30) for s in (1, 2)]
    assert (style[0].image == style[1].image).all(), "the style is the photo's, whatever the sample"


def test_nothing_of_a_photo_is_in_a_download(client: TestClient, canvas: bytes, token: str) -> None:
    data = client.post(f"/sisgen/save-picture?{VISITOR}&photo={token}", content=canvas).content
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert token not in str(picture.text)


def test_refinement_goes_on_and_is_told(client: TestClient, app_context: Context, token: str) -> None:
    before = client.get(f"/sisgen/photo-state?photo={token}").json()
    assert client.post(f"/sisgen/refine-photo?photo={token}&steps=20", content=b" ").status_code == 200
    after = _wait(client, token)
    assert after["phase"] == "ready", after
    assert after["step"] == 20
    assert after["state"] != before["state"]
    read_runs(after["runs"], 4)


def test_stopping_frees_the_lane_at_once_and_keeps_the_photo(client: TestClient, token: str, canvas: bytes) -> None:
    before = client.get(f"/sisgen/photo-state?photo={token}").json()
    client.post(f"/sisgen/refine-photo?photo={token}&steps=100", content=b" ")
    assert client.post(f"/sisgen/paint?{VISITOR}", content=canvas).status_code == 200, "strokes go on meanwhile"
    started = time.monotonic()
    client.post(f"/sisgen/stop-photo?photo={token}", content=b" ")
    after = _wait(client, token)
    assert time.monotonic() - started < 5, "1 s on a machine of one's own"
    assert after["state"] == before["state"]


def test_a_photo_is_gone_after_a_while_and_never_another_visitors_guess(able_pipeline: Pipeline) -> None:
    photos = Photos(keep=0.3)
    kept = photos.put(Photo(model="tiny", inversion=None))  # type: ignore[arg-type]
    assert len(kept) == 32
    photos.get(kept, "tiny")
    with pytest.raises(InputError, match="another model"):
        photos.get(kept, "other")
    with pytest.raises(InputError, match="gone"):
        photos.get("A" * 32, "tiny")
    time.sleep(0.5)
    with pytest.raises(InputError, match="gone"):
        photos.get(kept, "tiny")


@pytest.mark.parametrize("values", [{"photo": "../../etc"}, {"photo": "A" * 32, "use": "<img>"}, {"photo": "x" * 500}])
def test_names_of_strangers_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match="photograph"):
        read_wish(values)


def test_bad_files_get_one_sentence(client: TestClient, tmp_path: Path) -> None:
    for data in (b"no picture", b"\0" * (20 * 2**20 + 1)):
        answer = client.post(f"/sisgen/photo?{VISITOR}", content=data)
        assert answer.status_code == 422
        assert answer.json()["error"]
    answer = client.post(f"/sisgen/photo?{VISITOR}&model=other", content=_cmyk(tmp_path))
    assert "has not learned to read photographs" in answer.json()["error"]
    assert client.post(f"/sisgen/photo?{VISITOR}", content=_cmyk(tmp_path)).json()["runs"], "CMYK and EXIF are no obstacle"


def _cmyk(folder: Path) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    path = folder / "cmyk.jpg"
    Image.new("CMYK", (80, 60), (10, 90, 40, 0)).save(path, exif=exif)
    return path.read_bytes()


def test_a_sample_stands_in_and_is_met_exactly(client: TestClient, app_context: Context) -> None:
    told = client.get(f"/sisgen/photo?{VISITOR}&seed=5").json()
    plain = actions.submit_cells(app_context, "v", Wish(seed=5), np.full((4, 4), -1)).result(30)
    own = read_runs(told["runs"], 4)
    again = actions.submit_cells(app_context, "v", Wish(photo=told["photo"]), own).result(30)
    assert np.abs(again.image.astype(int) - plain.image).max() <= 2
    assert "sample" in client.post(f"/sisgen/refine-photo?photo={told['photo']}&steps=20", content=b" ").json()["error"]


def test_short_work_goes_before_the_next_step_of_long_work() -> None:
    turn, order = Turnstile(), []
    stepped = threading.Event()

    def long() -> None:
        with turn.long():
            for step in range(3):
                order.append(f"step {step}")
                stepped.set()
                while step == 0 and not turn._first:
                    time.sleep(0.001)
                turn.give_way()

    worker = threading.Thread(target=long)
    worker.start()
    assert stepped.wait(5)
    with turn.short():
        order.append("stroke")
    worker.join(5)
    assert order == ["step 0", "stroke", "step 1", "step 2"]


def test_a_photo_of_another_model_is_not_mixed_up(app_context: Context, token: str, canvas: bytes) -> None:
    with pytest.raises(InputError, match="another model"):
        actions.submit(app_context, "v", Wish(model="other", photo=token), canvas)
    assert photo_actions.find_photo(app_context, Wish(photo=token)).model == "tiny"
