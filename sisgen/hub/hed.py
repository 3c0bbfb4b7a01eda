"""Where the real HED's weights lie: ControlNet's file, beside the models of this machine or on the Hub (Apache-2.0)."""

from __future__ import annotations

from pathlib import Path

from sisgen.errors import ModelNotFoundError
from sisgen.hub.download import Report
from sisgen.hub.places import local_places
from sisgen.hub.remote import fetch_file
from sisgen.hub.web import FetchError

HED_ID = "lllyasviel/Annotators"
HED_FILE = "ControlNetHED.pth"


def find_hed(*, allow_network: bool = True, report: Report | None = None) -> Path | None:
    """Find ControlNet's HED: `hed/ControlNetHED.pth` among the checkpoints, the Hub's cache, then the Hub.

    Args:
        allow_network: False only looks on this machine.
        report: told how far a download is.

    Returns:
        The file; `None` when it is not on this machine and nothing may be fetched.

    Raises:
        ModelNotFoundError: the Hub is out of reach.
        CheckpointError: what came is damaged.
    """
    for _, root in local_places():
        if (root / "hed" / HED_FILE).is_file():
            return root / "hed" / HED_FILE
    try:
        return fetch_file(HED_ID, HED_FILE, allow_network=allow_network, report=report)
    except FetchError as problem:
        words = f"download {HED_FILE} from {HED_ID} yourself and lay it into checkpoints/hed"
        raise ModelNotFoundError(f"HED's weights cannot be had from the Hub ('{HED_ID}', {problem}); {words}.") from None


def find_edges() -> Path | None:
    """Find the folder of this project's own edge network among the checkpoints of this machine; `None` where there is none."""
    return next((root / "edges" for _, root in local_places() if (root / "edges" / "edges.safetensors").is_file()), None)
