import socket
from pathlib import Path

import pytest

from sisgen.errors import ModelNotFoundError
from sisgen.hub import DEFAULT_MODEL, cache_folder, find_model, list_models, places


def make_model(root, name):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "generator.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    """An empty working folder, an empty cache, a package without models, and no network."""
    for name in ("SISGEN_CHECKPOINTS", "SISGEN_HUB_ORG", "SISGEN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(places, "__file__", str(tmp_path / "site" / "sisgen" / "hub" / "places.py"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was touched"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_places_in_their_order(tmp_path, monkeypatch):
    cached = make_model(cache_folder() / "checkpoints", "portraits")
    assert find_model("portraits").path == cached

    inside = make_model(tmp_path / "site" / "sisgen" / "_checkpoints", "portraits")
    assert find_model("portraits").path == inside

    beside = make_model(tmp_path / "site" / "checkpoints", "portraits")
    assert find_model("portraits").path == beside
    assert find_model("portraits").source == "the checkpoints beside the package"

    make_model(tmp_path / "here" / "checkpoints", "portraits")
    assert find_model("portraits").path == Path("checkpoints/portraits")

    named = make_model(tmp_path / "mine", "portraits")
    monkeypatch.setenv("SISGEN_CHECKPOINTS", str(tmp_path / "mine"))
    assert find_model("portraits").path == named
    assert find_model("portraits").source == "$SISGEN_CHECKPOINTS"

    make_model(tmp_path / "here", "portraits")
    assert find_model("portraits").path == Path("portraits")
    assert find_model(tmp_path / "mine" / "portraits").path == named


def test_models_are_listed_once(tmp_path):
    make_model(tmp_path / "here" / "checkpoints", "b")
    make_model(tmp_path / "site" / "checkpoints", "a")
    make_model(tmp_path / "site" / "checkpoints", "b")
    (make_model(tmp_path / "site" / "checkpoints", "features") / "generator.safetensors").unlink()

    assert list_models() == ["b", "a"]


def test_an_unknown_name_lists_the_places_and_the_models(tmp_path, monkeypatch):
    make_model(tmp_path / "here" / "checkpoints", "cats")
    monkeypatch.setenv("SISGEN_CHECKPOINTS", str(tmp_path / "mine"))
    monkeypatch.setenv("SISGEN_HUB_ORG", "people")

    with pytest.raises(ModelNotFoundError) as caught:
        find_model("dogs")

    text = str(caught.value)
    for place in ("the folder 'dogs'", "$SISGEN_CHECKPOINTS", "./checkpoints", "beside the package", "user's cache", "people/sisgen-dogs"):
        assert place in text
    assert "HF_HUB_OFFLINE" in text
    assert text.endswith("choose one of cats.")


@pytest.mark.parametrize("name", ["", "..", "../secret", "a/b/c", "x" * 300, "a\0b", "C:\\models", "no such model", "-"])
def test_odd_names_are_refused(name):
    with pytest.raises(ModelNotFoundError, match="There is no model"):
        find_model(name)


def test_an_id_with_one_slash_goes_to_the_hub():
    with pytest.raises(ModelNotFoundError, match=r"the Hub \('someone/their-model', only its cache, since HF_HUB_OFFLINE"):
        find_model("someone/their-model")


def test_a_path_object_never_goes_to_the_hub(tmp_path):
    with pytest.raises(ModelNotFoundError) as caught:
        find_model(Path("someone/their-model"))

    assert "the Hub" not in str(caught.value)


def test_a_slip_in_a_local_path_never_goes_to_the_hub(tmp_path):
    make_model(tmp_path / "here" / "checkpoints", "portraits")

    with pytest.raises(ModelNotFoundError) as caught:
        find_model("checkpoints/portrats")

    assert "the Hub" not in str(caught.value)


def test_a_folder_without_config_is_no_model(tmp_path):
    (tmp_path / "here" / "portraits").mkdir()

    with pytest.raises(ModelNotFoundError):
        find_model(DEFAULT_MODEL)
