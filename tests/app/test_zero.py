"""ZeroGPU: without the package `spaces` nothing changes; with it, buttons borrow a graphics card in one call a job, and strokes do not."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sisgen.app import actions, api, photo_actions
from sisgen.app.context import Context
from sisgen.app.launch import build_context
from sisgen.app.limits import Wish
from sisgen.app.settings import Settings
from sisgen.app.zero import SECONDS, borrow, is_zero
from sisgen.errors import InputError
from sisgen.pipeline import Pipeline

# As the real one does, it hands arguments and answer over as bytes, and lets no error but its name out.
PACKAGE = """
import functools, pickle

loans = []

def GPU(task=None, *, duration=None, size=None):
    if not callable(task):
        return functools.partial(GPU, duration=task or duration, size=size)

    @functools.wraps(task)
    def borrowed(*args, **kwargs):
        loans.append((task.__name__, duration))
        args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
        try:
            answer = task(*args, **kwargs)
        except Exception as error:
            raise RuntimeError(type(error).__name__) from None
        return pickle.loads(pickle.dumps(answer))

    return borrowed
"""


@pytest.fixture
def loans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """What was borrowed so far, in a Space with a small package that stands where `spaces` would."""
    (tmp_path / "spaces.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    import spaces

    yield spaces.loans
    sys.modules.pop("spaces")


@pytest.fixture
def zero_context(loans: list[tuple[str, int]], able_pipeline: Pipeline) -> Iterator[Context]:
    context = build_context(Settings(model=str(able_pipeline.folder)))
    yield context
    context.trainings.close()
    context.lane.close()


def png(size: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(size, dtype=np.uint8)[:, None, None] * 5, (1, size, 3))).save(buffer, "PNG")
    return buffer.getvalue()


def test_without_the_package_a_function_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # as where it is not installed
    assert borrow(png) is png


def test_without_zerogpu_nothing_is_borrowed(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    context = build_context(Settings(model=str(tiny_model), device="cpu"))
    context.trainings.close()
    context.lane.close()
    assert context.loans is None
    assert [is_zero({"SPACES_ZERO_GPU": value}) for value in ("true", "1", "", "0")] == [True, True, False, False]


def test_the_packages_decorator_is_applied(loans: list[tuple[str, int]]) -> None:
    doubled = borrow(abs, 10)
    assert doubled is not abs and doubled(-3) == 3 and loans == [("abs", 10)]


def test_a_button_borrows_once_and_a_stroke_never(
    zero_context: Context, able_pipeline: Pipeline, canvas: bytes, loans: list[tuple[str, int]], tmp_path: Path
) -> None:
    painted = actions.submit(zero_context, "visitor", Wish(seed=4), canvas).result(timeout=60)
    assert loans == [] and zero_context.registry.loaded() == [str(able_pipeline.folder)]
    saved = actions.save_picture(zero_context, "visitor", Wish(seed=4), canvas, 1)
    assert loans == [("paint_lent", SECONDS)]
    assert np.abs(np.asarray(Image.open(io.BytesIO(saved)).convert("RGB")).astype(int) - painted.image).max() <= 1

    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((32, 32), 1, np.uint8)).save(mask)
    made = api.generate(zero_context, "mask", str(mask), seeds=[1, 2, 3], wish={})
    assert [one.seed for one in made] == [1, 2, 3] and len(loans) == 2  # one call a job
    assert len({one.image.tobytes() for one in made}) == 3
    assert all(duration <= 15 for _, duration in loans)


def test_a_photograph_is_refined_in_one_loan(zero_context: Context, loans: list[tuple[str, int]]) -> None:
    future, photo = photo_actions.open_photo(zero_context, "visitor", Wish(), png())
    token = photo_actions.keep_photo(zero_context, photo, future.result(timeout=60))["photo"]
    assert loans == []
    before = photo.inversion
    photo_actions.refine_photo(zero_context, Wish(photo=token), 20)
    assert photo.finished.wait(60) and photo.phase == "ready", photo.error
    assert loans == [("refine_lent", SECONDS)] and photo.inversion.key != before.key
    assert not torch.allclose(photo.inversion.ws, before.ws) and photo.inversion.ws.device.type == "cpu"
    assert actions.submit(zero_context, "visitor", Wish(photo=token), encode_blank()).result(timeout=60).image.shape == (32, 32, 3)


def test_an_error_comes_out_as_its_sentence(zero_context: Context, canvas: bytes, loans: list[tuple[str, int]]) -> None:
    wish = Wish(parts=(("hat", 3), ("wings", 4)))
    with pytest.raises(InputError, match="Regions must be classes of background, skin, hair, hat, but 'wings' came"):
        actions.save_picture(zero_context, "visitor", wish, canvas, 1)
    assert len(loans) == 1


def encode_blank() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((256, 256), 255, np.uint8), mode="L").save(buffer, "PNG")
    return buffer.getvalue()
