"""What a downloaded picture carries, so that the page can open it again: its drawings and settings, in the form of a copied link."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence

import numpy as np

from sisgen.app.drawings import encode_runs
from sisgen.app.limits import LABEL_KINDS, Wish
from sisgen.app.painting import Painted

KEY = "sisgen.link"  # of the text chunk


def pack_link(wish: Wish, drawings: Sequence[np.ndarray], painted: Painted) -> str:
    """Write what stands behind "#" in a link; `static/state.js` reads it.

    Args:
        wish: the settings, without a photograph: those are in no file.
        drawings: one or two, as `drawings.read_drawings` gives them.
        painted: what was made of them.

    Returns:
        "s=" and deflated JSON in URL-safe base64.
    """
    name, _, revision = painted.model.partition("@")
    state = {
        "v": 1,
        "tab": wish.kind if wish.kind in LABEL_KINDS else "sketch",
        "k": wish.kind,
        "m": wish.model or name,
        "r": revision,
        "s": wish.seed,
        "t": painted.settings["truncation"],
        "g": wish.strength,
        "d": encode_runs(drawings[0]),
    }
    if wish.also is not None:
        state["a"] = {"k": wish.also, "w": wish.weight, "d": encode_runs(drawings[1])}
    if wish.parts:
        state["f"] = wish.parts
    packed = zlib.compress(json.dumps(state, separators=(",", ":")).encode())
    return "s=" + base64.urlsafe_b64encode(packed).decode().rstrip("=")
