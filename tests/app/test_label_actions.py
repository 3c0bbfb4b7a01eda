"""The label tab's actions over a real tiny model: what is refused, one training at a time, and a model in the end."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sisgen.app import actions, drawings, label_actions
from sisgen.app.canvases import read_runs
from sisgen.app.context import Context, Registry
from sisgen.app.limits import Wish
from sisgen.app.models import why_no_training
from sisgen.app.serve.live import Lane
from sisgen.app.settings import Settings, default_examples
from sisgen.app.training.insight import unsure_share
from sisgen.app.training.jobs import job_folder, read_wanted, write_job
from sisgen.app.training.preview import arrange
from sisgen.app.training.quota import VISITORS, saved_folder
from sisgen.app.training.runner import Trainings
from sisgen.app.training.saved import read_title
from sisgen.errors import InputError
from sisgen.hub.archive import unpack
from sisgen.io.configs import write_json
from sisgen.pipeline import Pipeline

CLASSES = [{"name": "left", "color": [200, 40, 40]}, {"name": "right", "color": [40, 40, 200]}]


@pytest.fixture
def context(tiny_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))
    trainings = Trainings()

    def load(name: str) -> Pipeline:
        return tiny_pipeline if name == "tiny" else Pipeline.from_pretrained(name, device="cpu")

    context = Context(
        settings=Settings(model="tiny"),
        registry=Registry(("tiny",), load, more=trainings.saved_names),
        lane=Lane(lambda batch, payloads: batch(payloads)),
        examples=default_examples(),
        trainings=trainings,
    )
    yield context
    trainings.close()
    context.lane.close()


def halves_runs() -> str:
    cells = np.zeros((256, 256), dtype=np.int64)
    cells[:, 128:] = 1
    return drawings.encode_runs(cells)


def wanted(**change: Any) -> dict[str, Any]:
    samples = [{"seed": 3, "runs": halves_runs()}]
    return {"model": "tiny", "classes": CLASSES, "samples": samples, "shown": [1, 2, 3, 4], "minutes": None, **change}


def wait_for_end(context: Context, token: str, seconds: float = 300) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = label_actions.describe_training(context, token)
        if state["phase"] != "running":
            return state
        time.sleep(0.2)
    raise AssertionError(f"still running: {state}")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"classes": CLASSES[:1]}, "2 to 24 classes"),
        ({"classes": [CLASSES[0], {"name": "<img onerror>", "color": [1, 2, 3]}]}, "class name"),
        ({"classes": [CLASSES[0], {"name": "x", "color": [1, 2]}]}, "colour"),
        ({"classes": [CLASSES[0], {**CLASSES[1], "color": CLASSES[0]["color"]}]}, "unique"),
        ({"classes": [*CLASSES, {"name": "nose", "color": [9, 9, 9]}]}, "nose"),
        ({"samples": []}, "painted"),
        ({"samples": [{"seed": -1, "runs": halves_runs()}]}, "sample"),
        ({"samples": [{"seed": 1, "runs": "AAAA"}]}, "damaged"),
        ({"samples": [{"seed": 1, "runs": drawings.encode_runs(np.full((256, 256), -1))}]}, "Nothing is painted"),
        ({"minutes": 1e9}, "time"),
        ({"model": 7}, "reload"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word) as refusal:
        read_wanted(wanted(**change))
    assert "\n" not in str(refusal.value)


def test_runs_are_read_as_they_were_written() -> None:
    cells = np.random.default_rng(0).integers(-1, 3, (256, 256))
    assert (read_runs(drawings.encode_runs(cells), 3) == cells).all()
    with pytest.raises(InputError):
        read_runs(drawings.encode_runs(cells), 2)


@pytest.mark.parametrize("title", ["", "  ", "../x", "a" * 25, "<b>", "猫", None, 3])
def test_a_models_name_is_plain(title: object) -> None:
    with pytest.raises(InputError, match="1 to 24"):
        read_title(title)


def test_a_models_name_becomes_a_folder() -> None:
    assert read_title(" Käthe  2 ") == ("Käthe 2", "kathe-2")


def test_trainings_are_off_on_public_pages_unless_allowed() -> None:
    assert why_no_training(Settings(), {}) is None
    for settings, environment in ((Settings(host="0.0.0.0"), {}), (Settings(), {"SPACE_ID": "a/b"}), (Settings(share=True), {})):
        assert "switched off" in str(why_no_training(settings, environment))
    assert why_no_training(Settings(host="0.0.0.0", allow_training=True), {}) is None
    assert why_no_training(Settings(allow_training=True), {"SPACES_ZERO_GPU": "1"}) is not None


def test_every_action_checks_that_trainings_are_on(context: Context) -> None:
    context.trainings.refusal = "Off here."
    token = "x" * 24
    assert label_actions.describe_training(context, token) == {"refusal": "Off here.", "phase": "none"}
    for call in (
        lambda: label_actions.start_training(context, json.dumps(wanted()).encode()),
        lambda: label_actions.stop_training(context, token),
        lambda: label_actions.read_insight(context, token),
        lambda: label_actions.read_preview(context, token),
        lambda: label_actions.save_training(context, token, "mine"),
        lambda: label_actions.pack_training(context, token),
    ):
        with pytest.raises(InputError, match="Off here"):
            call()


@pytest.mark.parametrize("token", ["../../etc", "", "a", "x" * 99])
def test_a_token_leads_nowhere_else(token: str) -> None:
    with pytest.raises(InputError, match="not known"):
        job_folder(token)


def test_the_unsure_share_counts_pixels_without_a_clear_class() -> None:
    probs = torch.tensor([[0.9, 0.5, 0.59, 0.61], [0.1, 0.5, 0.41, 0.39]]).reshape(1, 2, 2, 2)
    assert unsure_share(probs).tolist() == [0.5]


def test_a_grid_becomes_pairs_one_above_the_other() -> None:
    grid = np.arange(5 * 8, dtype=np.uint8).reshape(5, 8).repeat(4, axis=0).repeat(4, axis=1)[..., None].repeat(3, axis=2)
    assert arrange(grid, 4, (1, 3))[::4, ::4, 0].tolist() == [[8, 9, 10, 11], [24, 25, 26, 27], [12, 13, 14, 15], [28, 29, 30, 31]]
    assert arrange(grid[:12, :4], 4, (0, 2))[::4, ::4, 0].tolist() == [[0, 16]]
    assert arrange(grid[:12, :8], 4, (0, 2))[::4, ::4, 0].tolist() == [[0, 1], [16, 17]]
    assert arrange(grid, 4, None) is grid
    assert arrange(grid[:8], 4, (0, 2)).shape == (8, 32, 3), "another layout stays as it is"


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_what_visitors_save_on_a_public_page_is_marked(context: Context, tiny_model: Path, host: str | None) -> None:
    context = replace(context, settings=Settings(model="tiny", host=host, allow_training=True))
    token = "x" * 24
    job = write_job(read_wanted(wanted()), token, source=tiny_model, resolution=32, device="cpu")
    write_json(job.folder / "state.json", {"phase": "done", "model": str(tiny_model)})
    saved = label_actions.save_training(context, token, "My Halves")
    assert saved["saved"] == "my-halves" and context.registry.names == ("tiny", "my-halves")
    assert (saved_folder("my-halves") / VISITORS).exists() == (host is not None)
    assert saved["keeps"] == (host is None)


def test_a_look_teaches_in_seconds_and_names_the_next_sample(context: Context) -> None:
    told = label_actions.start_training(context, json.dumps(wanted()).encode())
    with pytest.raises(InputError, match="Another training has been running here for 1 minute"):
        label_actions.start_training(context, json.dumps(wanted()).encode())
    state = wait_for_end(context, told["job"])
    assert state["phase"] == "looked", state
    found = label_actions.read_insight(context, told["job"])
    assert [reading["seed"] for reading in found["readings"]] == [1, 2, 4], "samples that were painted are not asked about"
    assert found["doubt"] == max(reading["doubt"] for reading in found["readings"])
    assert found["next"] in (1, 2, 4)
    assert all(read_runs(reading["runs"], 2).shape == (256, 256) for reading in found["readings"])
    with pytest.raises(InputError, match="no finished training"):
        label_actions.save_training(context, told["job"], "mine")
    later = Trainings()
    assert later.state(told["job"])["phase"] == "looked", "another start of the server knows it, too"


@pytest.mark.slow
def test_a_training_becomes_a_model_that_paints(context: Context) -> None:
    told = label_actions.start_training(context, json.dumps(wanted(minutes=0.1)).encode())
    token = told["job"]
    label_actions.stop_training(context, token)
    assert wait_for_end(context, token)["phase"] == "stopped"
    label_actions.start_training(context, json.dumps(wanted(minutes=0.1, job=token)).encode())
    state = wait_for_end(context, token)
    assert state["phase"] == "done", (state, (job_folder(token) / "log.txt").read_text())
    assert label_actions.read_preview(context, token).startswith(b"\x89PNG")
    saved = label_actions.save_training(context, token, "My Halves")
    assert saved["name"] == "my-halves"
    assert context.registry.names == ("tiny", "my-halves")
    canvas = np.zeros((256, 256), dtype=np.int64)
    painted = actions.submit_cells(context, "visitor", Wish(model="my-halves", seed=3), canvas).result(30)
    assert painted.model.startswith("My Halves@")
    path, name = label_actions.pack_training(context, token)
    assert name == "my-halves.zip"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert "my-halves/config.json" in archive.namelist()
    assert Pipeline.from_pretrained(unpack(path), device="cpu").labels.names == ("left", "right")
    assert label_actions.save_training(context, token, "My Halves")["name"] == "my-halves", "its own name may be used again"
    with pytest.raises(InputError, match="already"):
        label_actions.save_training(context, token, "portraits")
