"""The menu's models: found on this machine, told from their configs, loaded only when they are chosen."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from sisgen.app import actions, models
from sisgen.app.context import Context, Registry
from sisgen.app.limits import Wish
from sisgen.app.models import Downloads, LocalModels, describe_offer, is_private
from sisgen.app.serve.live import BusyError, Lane, LaneConfig
from sisgen.app.settings import Settings, default_examples
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline


@pytest.fixture
def machine(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models and nothing else on this machine: one whole, one in the making, one that is no model."""
    root = tmp_path / "models"
    shutil.copytree(tiny_model, root / "whole")
    bare = shutil.copytree(tiny_model, root / "bare")
    content = json.loads((bare / "config.json").read_text())
    content["mappers"] = {}
    (bare / "config.json").write_text(json.dumps(content))
    (root / "broken").mkdir()
    (root / "broken" / "config.json").write_text("{")
    (root / "broken" / "generator.safetensors").write_bytes(b"")
    for name in ("XDG_CACHE_HOME", "SISGEN_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("SISGEN_CHECKPOINTS", str(root))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "FRESH", -1.0)
    return root


def test_whole_models_of_this_machine_are_offered_once(machine: Path, tiny_model: Path) -> None:
    offered = LocalModels()
    assert "whole" in offered()
    assert not {"bare", "broken"} & set(offered())
    assert "whole" not in LocalModels(["whole"])()
    assert "whole" not in LocalModels([str(machine / "whole")])(), "the same folder by another name"
    shutil.copytree(tiny_model, machine / "new")
    assert "new" in offered(), "what is trained while the page is open joins"


def test_an_offer_is_told_without_loading(machine: Path) -> None:
    told = describe_offer("whole", loaded=False)
    assert told["title"] == "tiny"
    assert (told["license"], told["resolution"], told["source"]) == ("apache-2.0", 32, "$SISGEN_CHECKPOINTS")
    far = describe_offer("someone/cats", loaded=False)
    assert (far["title"], far["source"], far["license"]) == ("cats", "the Hub (someone/cats)", "")
    (machine / "whole" / "config.json").write_text(json.dumps({"name": 3, "license": ["x"], "generator": "y"}))
    assert describe_offer("whole", loaded=False) | {"title": "whole", "license": "", "resolution": None} == describe_offer("whole", False)


@pytest.mark.parametrize(
    ("settings", "environment", "private"),
    [
        (Settings(), {}, True),
        (Settings(host="127.0.0.1"), {}, True),
        (Settings(host="0.0.0.0"), {}, False),
        (Settings(share=True), {}, False),
        (Settings(root_path="/app"), {}, False),
        (Settings(), {"SPACE_ID": "me/space"}, False),
        (Settings(), {"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
    ],
)
def test_all_models_are_listed_only_for_people_at_this_machine(settings: Settings, environment: dict[str, str], private: bool) -> None:
    assert is_private(settings, environment) is private


def test_a_listed_model_can_be_chosen_and_others_cannot(machine: Path, tiny_pipeline: Pipeline) -> None:
    registry = Registry(("tiny",), lambda _: tiny_pipeline, more=LocalModels(("tiny",)))
    assert registry.names[0] == "tiny"
    assert "whole" in registry.names
    with registry.lease("whole"):
        pass
    with pytest.raises(InputError, match="is not offered here"), registry.lease("bare"):
        pass


def test_a_model_stays_while_its_request_waits(tiny_pipeline: Pipeline, canvas: bytes) -> None:
    """Other models come and go; the one that a waiting stroke needs is loaded once."""
    loads: list[str] = []
    registry = Registry(("a", "b"), lambda name: (loads.append(name), tiny_pipeline)[1], max_bytes=1)
    gate = threading.Event()
    lane = Lane(lambda batch, payloads: (gate.wait(10), batch(payloads))[1], LaneConfig(max_waiting=1))
    context = Context(settings=Settings(model="a"), registry=registry, lane=lane, examples=default_examples())
    first = actions.submit(context, "first", Wish(model="a"), canvas, rank=1)
    while lane.num_waiting:
        pass
    second = actions.submit_sample(context, "second", Wish(model="a"))
    with registry.lease("b"):
        pass
    assert registry.loaded() == ["a"]
    with pytest.raises(BusyError):
        actions.submit(context, "third", Wish(model="b"), canvas, rank=1)
    gate.set()
    assert first.result(10).image.shape == (32, 32, 3)
    assert second.result(10).shape == (256, 256)
    lane.close()
    assert loads.count("a") == 1
    assert registry.loaded() == [], "and it may go afterwards"


def test_downloads_are_told_as_shares() -> None:
    downloads = Downloads()
    report = downloads.report_for("someone/cats")
    assert downloads.share("someone/cats") is None
    report("someone/cats", 5, 0)
    assert downloads.share("someone/cats") is None, "of an unknown whole there is no share"
    report("someone/cats", 5, 20)
    assert downloads.share("someone/cats") == 0.25
    downloads.finish("someone/cats")
    assert downloads.share("someone/cats") is None
