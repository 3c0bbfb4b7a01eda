"""A finished training becomes a model among the others: its folder in the user's cache, its zip file."""

from __future__ import annotations

import re
import shutil
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sisgen.app.description import EXAMPLES
from sisgen.app.models import PARTS
from sisgen.app.training.jobs import PSI
from sisgen.app.training.quota import NOTE, VISITORS, saved_folder
from sisgen.errors import InputError
from sisgen.hub.places import find_local, is_model_file
from sisgen.io.configs import read_json, write_json
from sisgen.io.files import replace_file
from sisgen.io.labels import CLASS_NAME
from sisgen.io.models import CARD, CONFIG, copy_parts, replace_folder

MOST_EXAMPLES = 6
KEPT = (*PARTS, "encoder", "directions", "segmenter")  # what it takes to use the model and to label on, beside the drawing mappers


def read_title(title: object) -> tuple[str, str]:
    """Check a model's name.

    Returns:
        The name as it is shown, and the name of its folder.

    Raises:
        InputError: it is empty, too long, or holds other than letters, digits, spaces and hyphens.
    """
    text = " ".join(str(title).split()) if isinstance(title, str) else ""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not CLASS_NAME.fullmatch(text) or not slug:
        raise InputError(f"A model's name is 1 to 24 letters, digits, spaces or hyphens, but it is {text[:30]!r}; choose another one.")
    return text, slug


def save_model(model: Path, title: object, *, mine: str | None, masks: Sequence[Path], visitors: bool = False) -> str:
    """Copy a trained model into the user's cache.

    Args:
        model: the finished training's folder.
        title: the visitor's name for it.
        mine: name under which this training was saved before and that may be replaced.
        masks: the painted masks, SEED.png each; they become the model's example drawings, their first sample its default one.
        visitors: whether others than the people at this machine reach the page; then the model counts towards `quota.MAX_BYTES`.

    Returns:
        The name under which it is found.

    Raises:
        InputError: the name cannot be used, or another model has it.
    """
    shown, name = read_title(title)
    target = saved_folder(name)
    there = find_local(name)
    if there is not None and (name != mine or there.path.resolve() != target.resolve()):
        raise InputError(f"There is a model named {name!r} already; choose another name.")
    with replace_folder(target) as staged:
        copy_parts(model, staged, {"name": shown})
        _trim(staged, shown, masks)
        (staged / EXAMPLES).mkdir()
        for number, mask in enumerate(masks[:MOST_EXAMPLES], start=1):
            shutil.copyfile(mask, staged / EXAMPLES / f"{number}-your-sample-{mask.stem}.png")
        if visitors:
            (staged / VISITORS).write_text(NOTE, encoding="utf-8")
    return name


def _trim(folder: Path, shown: str, masks: Sequence[Path]) -> None:
    """Leave what only further training of the generator needs, and say what the model is."""
    content = read_json(folder / CONFIG)
    kept = (*KEPT, *(f"mapper_{kind}" for kind in content.get("drawing_mappers", {})))
    for name in list(content["files"]):
        if Path(name).stem not in kept:
            (folder / name).unlink(missing_ok=True)
            del content["files"][name]
    names = content.get("labels", {}).get("names", [])
    seeds: dict[str, Any] = {key: value for key, value in content.get("class_seeds", {}).items() if key in names}
    painted = "1 painted sample" if len(masks) == 1 else f"{len(masks)} painted samples"
    defaults = {"truncation": content.get("defaults", {}).get("truncation", PSI), "seed": int(masks[0].stem) if masks else 0}
    about = f"Taught in the browser with {painted}: {', '.join(names)}"
    write_json(folder / CONFIG, {**content, "description": about[:300], "class_seeds": seeds, "defaults": defaults})
    licence = content.get("license", "unknown")
    card = f"# {shown}\n\n{about}.\n\nLicence: {licence}, that of the generator it was taught on.\n"
    (folder / CARD).write_text(card, encoding="utf-8")


def pack_model(name: str, target: Path) -> Path:
    """Pack a saved model into a zip file that `app.py --model FILE.zip` opens.

    Raises:
        InputError: it is not there any more.
    """
    folder = saved_folder(name)
    files = [path for path in sorted(folder.iterdir()) if is_model_file(path.name)] if folder.is_dir() else []
    if not files:
        raise InputError(f"The model {name!r} is not on this server any more; save it again.")
    with replace_file(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            archive.write(path, f"{name}/{path.name}")
    return target
