"""Where a CLIP model lies: in a folder of this machine, in the Hub's cache, or on the Hub."""

from __future__ import annotations

from pathlib import Path

from sisgen.errors import ModelNotFoundError
from sisgen.hub.download import Report
from sisgen.hub.remote import HUB_ID, fetch_files
from sisgen.hub.web import FetchError

# OpenAI's own CLIP of this size lies on the Hub as a pickle only; this one (MIT) has its weights as safetensors.
CLIP_ID = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
CLIP_FILES = ("config.json", "tokenizer.json", "model.safetensors")


def find_clip(name: str = CLIP_ID, *, report: Report | None = None) -> Path:
    """Find a CLIP model in the format of `transformers`; pickled weights are never fetched.

    Args:
        name: a folder, or "user/model" on the Hub.
        report: told how far a download is.

    Returns:
        A folder that holds `CLIP_FILES`.

    Raises:
        ModelNotFoundError: there is none, it lacks a file, or the Hub is out of reach.
        CheckpointError: what came is damaged.
    """
    wanted = f"{', '.join(CLIP_FILES[:-1])} and {CLIP_FILES[-1]}"
    if Path(name).is_dir():
        missing = [file for file in CLIP_FILES if not (Path(name) / file).is_file()]
        if missing:
            raise ModelNotFoundError(f"A CLIP model is a folder with {wanted}, but '{name}' lacks {missing[0]}; name another one.")
        return Path(name)
    if not HUB_ID.fullmatch(name) or ".." in name:
        raise ModelNotFoundError(f"A CLIP model is a folder or user/model on the Hub, but '{name[:80]}' is neither; {CLIP_ID} is one.")
    advice = f"download its {wanted} into a folder where there is a network, and name that folder as --clip"
    try:
        folder = fetch_files(name, CLIP_FILES, report=report)
    except FetchError as problem:
        raise ModelNotFoundError(f"The CLIP model '{name}' cannot be had from the Hub ({problem}); {advice}.") from None
    if folder is None:
        raise ModelNotFoundError(f"The CLIP model '{name}' is not in the Hub's cache, and HF_HUB_OFFLINE forbids to fetch it; {advice}.")
    return folder
