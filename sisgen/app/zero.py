"""ZeroGPU Spaces: a graphics card that is lent for seconds, by the package `spaces`, which such a Space has and no other needs.

Buttons ask for it, in one call a job; strokes stay on the CPU, since every loan counts against a visitor's quota. A loan runs in a forked
worker: what goes in and comes out is plain data, and the worker holds models of its own, which vanish with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sisgen.errors import InputError, SisgenError

if TYPE_CHECKING:
    import numpy as np

    from sisgen.app.context import Registry
    from sisgen.app.painting import Drawing, PaintBatch, Painted
    from sisgen.inversion.inversion import Inversion

SECONDS = 15  # of one loan, at most
Work = TypeVar("Work", bound=Callable[..., Any])


def is_zero(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this is a Space whose graphics card is lent."""
    environment = os.environ if environment is None else environment
    return environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def borrow(work: Work, seconds: int = SECONDS) -> Work:
    """Have a function run with a lent graphics card; without the package `spaces` it stays as it is, and so it does outside ZeroGPU."""
    try:
        import spaces
    except ImportError:
        return work
    return spaces.GPU(duration=seconds)(work)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loans:
    """What buttons do with a lent graphics card; errors come out as `SisgenError`.

    Attributes:
        paint: (a batch, its drawings) -> pictures.
        refine: (name of a model, picture uint8 [H, W, 3], steps) -> the photograph, its tensors on the CPU.
    """

    paint: Callable[[PaintBatch, Sequence[Drawing]], list[Painted]]
    refine: Callable[[str, np.ndarray, int], Inversion]


def make_loans(registry: Registry) -> Loans:
    """Make them; this imports `spaces`, which must come before anything touches CUDA.

    Args:
        registry: for the workers alone: it loads models onto the graphics card that it finds.
    """

    def paint_lent(wanted: Mapping[str, Any], drawings: Sequence[Drawing]) -> list[Painted] | str:
        from sisgen.app.painting import PaintBatch

        return _spoken(lambda: PaintBatch(registry=registry, **wanted)(drawings))

    def refine_lent(model: str, picture: np.ndarray, steps: int) -> Inversion | str:
        return _spoken(lambda: _refine(registry, model, picture, steps))

    paint_borrowed, refine_borrowed = borrow(paint_lent), borrow(refine_lent)

    def paint(batch: PaintBatch, drawings: Sequence[Drawing]) -> list[Painted]:
        wanted = {item.name: getattr(batch, item.name) for item in fields(batch) if item.name != "registry"}
        return _told(paint_borrowed(wanted, list(drawings)))

    return Loans(paint=paint, refine=lambda model, picture, steps: _told(refine_borrowed(model, picture, steps)))


def _refine(registry: Registry, model: str, picture: np.ndarray, steps: int) -> Inversion:
    with registry.lease(model) as pipe:
        found = pipe.invert(picture, steps=steps)
    moved = {name: getattr(found, name).cpu() for name in ("ws", "photo", "image", "labels")}
    return replace(found, **moved, proxy=replace(found.proxy, probs=found.proxy.probs.cpu()))


def _spoken(work: Callable[[], Any]) -> Any:
    """Run work in a worker; its error goes out as a sentence, since a worker hands over the names of errors alone."""
    try:
        return work()
    except SisgenError as error:
        return str(error)


def _told(answer: Any) -> Any:
    if isinstance(answer, str):
        raise InputError(answer)
    return answer
