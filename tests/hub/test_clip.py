"""A CLIP model from a Hub that is a real server: only its safetensors are fetched, all of one state, once."""

from pathlib import Path

import pytest

OFFLINE = {"HF_HUB_OFFLINE": "1"}
FILES = {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"}


def test_clip_is_fetched_once_and_then_found_offline(worker, hub, put, refused):
    advice = "download its config.json, tokenizer.json and model.safetensors into a folder .* name that folder as --clip"
    with pytest.raises(refused, match=r"cannot be had from the Hub \(it answers 40"):
        worker("clip", "a/clip")
    with pytest.raises(
        refused, match=f"ModelNotFoundError: The CLIP model 'a/clip' is not in the Hub's cache, and HF_HUB_OFFLINE .*{advice}"
    ):
        worker("clip", "a/clip", environment=OFFLINE)
    with pytest.raises(refused, match=f"cannot be had from the Hub .*; {advice}"):
        worker("clip", "a/clip", environment={"HF_ENDPOINT": "http://127.0.0.1:9"})  # nobody listens there
    put("a/clip", {**FILES, "pytorch_model.bin": b"a pickle"})

    found = worker("clip", "a/clip")

    assert {path.name: path.read_bytes() for path in Path(found).iterdir()} == FILES
    hub.seen.clear()
    assert worker("clip", "a/clip", environment=OFFLINE) == found
    assert hub.seen == [], "what is here needs no question"


def test_pickled_weights_alone_are_refused(worker, hub, put, refused):
    put("b/clip", {**{name: FILES[name] for name in ("config.json", "tokenizer.json")}, "pytorch_model.bin": b"a pickle"})

    with pytest.raises(refused, match=r"'b/clip' has no file 'model.safetensors'"):
        worker("clip", "b/clip")
    assert not any("pytorch_model" in str(asked) for asked in hub.seen)
