"""What the photo tab can do, as plain functions: no gradio, no web, so that a test or a script can call them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sisgen.app.actions import READING, own_labels, queue
from sisgen.app.drawings import encode_runs
from sisgen.app.limits import Wish
from sisgen.app.photos import STEPS, Photo
from sisgen.errors import InputError

if TYPE_CHECKING:
    from sisgen.app.context import Context, Registry
    from sisgen.inversion.inversion import Inversion


@dataclass(frozen=True, kw_only=True, slots=True)
class InvertBatch:
    """Bring photographs into a model, quickly; a key of the lane, its payloads are pictures uint8 [H, W, 3] or a sample's settings."""

    registry: Registry
    model: str

    def __call__(self, sources: Sequence[np.ndarray | Wish]) -> list[Inversion]:
        """Return what the model makes of each."""
        from sisgen.inversion.inversion import Inversion
        from sisgen.types import ProxyMask

        found = []
        with self.registry.lease(self.model) as pipe:
            for source in sources:
                if isinstance(source, np.ndarray):
                    found.append(pipe.invert(source))
                    continue
                psi = float(pipe.defaults["truncation"]) if source.truncation is None else source.truncation
                style = pipe.engine.recall([source.seed], psi)
                images, proxy = style.images, ProxyMask(probs=style.memory.own)
                one = Inversion(ws=style.ws, photo=images, image=images, proxy=proxy, labels=style.labels, labels_from="reconstruction")
                found.append(one)
        return found


def open_photo(context: Context, visitor: str, wish: Wish, data: bytes | None) -> tuple[Future[Inversion], Photo]:
    """Queue bringing a photograph into the model.

    Args:
        context: of this server.
        visitor: who asks.
        wish: names the model, and the sample where there is no photograph.
        data: the file; `None` for a sample that stands in for a photograph.

    Returns:
        A future of what the model makes of it, and the photograph to be kept once that is there, see `keep_photo`.

    Raises:
        InputError: it is no picture, too large, or the model takes no photographs.
    """
    from sisgen.io.images import load_image

    model = wish.model or context.registry.default
    picture = None if data is None else load_image(data)
    with context.registry.lease(model) as pipe:
        if picture is not None and not pipe.has_encoder:
            raise InputError(f"{pipe.name} has not learned to read photographs; choose another model from the menu.")
    future = queue(context, visitor, InvertBatch(registry=context.registry, model=model), wish if picture is None else picture, READING)
    return future, Photo(model=model, inversion=None, picture=picture)  # type: ignore[arg-type]  # it is filled in `keep_photo`


def keep_photo(context: Context, photo: Photo, inversion: Inversion) -> dict[str, Any]:
    """Keep a photograph that was brought in; tell the page its token and its areas."""
    photo.inversion = inversion
    return {"photo": context.photos.put(photo), **tell_photo(context, photo)}


def tell_photo(context: Context, photo: Photo) -> dict[str, Any]:
    """Tell the page how a photograph stands: its phase, how far its refinement is, and its areas as runs."""
    told: dict[str, Any] = {"phase": photo.phase, "step": photo.step, "steps": photo.steps, "error": photo.error}
    if photo.phase == "ready":
        told["runs"] = encode_runs(own_labels(context, photo))
        told["state"] = photo.inversion.key
    return told


def refine_photo(context: Context, wish: Wish, steps: int) -> dict[str, Any]:
    """Start bringing the model's picture nearer to the photograph that `wish` names.

    Raises:
        InputError: it is gone, a sample, or already being worked on; or another number of steps is asked for.
        BusyError: too many wait.
    """
    if steps not in STEPS:
        raise InputError(f"The steps are one of {', '.join(map(str, STEPS))}, but {steps} were asked for; choose one of them.")
    photo = context.photos.get(wish.photo, wish.model or context.registry.default)
    held = ExitStack()
    pipe = held.enter_context(context.registry.lease(photo.model))
    try:
        lent = None if context.loans is None else context.loans.refine
        context.photos.refine(photo, pipe, context.lane.turn, steps, held.close, lent)
    except BaseException:
        held.close()
        raise
    return tell_photo(context, photo)


def find_photo(context: Context, wish: Wish) -> Photo:
    """Look up the photograph that `wish` names.

    Raises:
        InputError: it is gone, or of another model.
    """
    return context.photos.get(wish.photo, wish.model or context.registry.default)
