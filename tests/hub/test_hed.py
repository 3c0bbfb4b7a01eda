"""HED's file from a Hub that is a real server: fetched once, checked, found offline, and one sentence where it cannot be had."""

from pathlib import Path

import pytest

OFFLINE = {"HF_HUB_OFFLINE": "1"}
NOBODY = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # a port where nobody listens
HED = "lllyasviel/Annotators"


def test_hed_is_fetched_once_and_then_found_offline(worker, hub, put, refused):
    assert worker("hed", allow_network=False) is None
    with pytest.raises(refused, match=r"ModelNotFoundError: HED's weights cannot be had from the Hub .* lay it into checkpoints/hed"):
        worker("hed", environment=NOBODY)
    put(HED, {"ControlNetHED.pth": b"weights", "other.pth": b"not ours"})

    found = worker("hed")

    assert Path(found).read_bytes() == b"weights" and Path(found).name == "ControlNetHED.pth"
    assert not list(Path(found).parent.glob("other.pth"))
    hub.seen.clear()
    assert worker("hed", environment=OFFLINE) == found
    assert worker("hed", allow_network=False) == found
    assert hub.seen == [], "what is here needs no question"
