"""A real context over the tiny model, a page that is really served, and a real browser in front of it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from browsing import settle
from sisgen.app.context import Context, Registry
from sisgen.app.launch import prepare_environment, serve
from sisgen.app.limits import LINE_KINDS
from sisgen.app.serve.live import Lane
from sisgen.app.settings import Settings, default_examples
from sisgen.app.training.runner import Trainings
from sisgen.generators.latents import latents
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.io.configs import to_dict
from sisgen.pipeline import Pipeline
from sisgen.proxy.drawing_mapper import DrawingMapper, DrawingMapperConfig
from sisgen.train.checkpoints import export_parts

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def able_pipeline(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The tiny model that reads all drawings and photographs, too, with random weights."""
    folder = tmp_path_factory.mktemp("able") / "tiny"
    shutil.copytree(tiny_model, folder)
    torch.manual_seed(2)
    sizes = {kind: DrawingMapperConfig(channels=1, num_clusters=5, resolution=32, proxy_resolution=16, width=8) for kind in LINE_KINDS}
    sizes["scribble"] = replace(sizes["sketch"], channels=4)
    sizes["depth"] = replace(sizes["depth"], completes=True, num_labels=4)
    generator = Pipeline.from_pretrained(folder, device="cpu").engine.generator
    encoder = Encoder(encoder_config(generator.config))
    encoder.measure_spread(generator, latents(range(64), 8))
    torch.nn.init.normal_(encoder.change.weight, std=0.2)
    parts = {"encoder": encoder, **{f"mapper_{kind}": DrawingMapper(size) for kind, size in sizes.items()}}
    configs = {"encoder": to_dict(encoder.config), "drawing_mappers": {kind: to_dict(size) for kind, size in sizes.items()}}
    export_parts(folder, parts, configs)
    return Pipeline.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="session")
def app_context(able_pipeline: Pipeline, tiny_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    trainings = Trainings()

    def load(name: str) -> Pipeline:
        return {"tiny": able_pipeline, "other": tiny_pipeline}.get(name) or Pipeline.from_pretrained(name, device="cpu")

    context = Context(
        settings=Settings(model="tiny"),
        registry=Registry(("tiny", "other"), load, more=trainings.saved_names),
        lane=Lane(lambda batch, payloads: batch(payloads)),
        examples=default_examples(),
        trainings=trainings,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SISGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield context
    context.trainings.close()
    context.lane.close()


@pytest.fixture
def halves() -> np.ndarray:
    """Cells of a drawing: class 1 on the left, unpainted on the right."""
    cells = np.full((256, 256), 255, dtype=np.uint8)
    cells[:, :128] = 1
    return cells


@pytest.fixture
def encode_canvas() -> Callable[[np.ndarray], bytes]:
    """Encode cells as the page sends them."""

    def encode(cells: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(cells, mode="L").save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def canvas(halves: np.ndarray, encode_canvas: Callable[[np.ndarray], bytes]) -> bytes:
    """The halves as the page sends them."""
    return encode_canvas(halves)


@pytest.fixture(scope="session")
def page_url(app_context: Context) -> Iterator[str]:
    """Address of a page that is served for the whole test session."""
    prepare_environment()
    page = serve(app_context)
    yield page.local_url.rstrip("/")
    page.close(verbose=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the test is skipped, but fails where CI=1 promises one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None and os.environ.get("CI") == "1":
        pytest.fail("CI=1, but no chromium is installed; install the chromium package")
    if path is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def page(browser: Any, page_url: str, errors: list[str]) -> Iterator[Any]:
    """The page, opened by a new visitor; it must raise no error and ask nobody but its own server."""
    visit = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = visit.new_page()
    page.on("pageerror", lambda error: errors.append(f"page: {error}"))
    page.on("console", lambda message: errors.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("request", lambda request: errors.append(f"external: {request.url}") if not _is_own(request.url, page_url) else None)
    page.goto(page_url)
    settle(page, "mask")
    yield page
    visit.close()
    assert errors == []


@pytest.fixture
def phone(browser: Any, page_url: str) -> Iterator[Any]:
    """The page on a phone, 360 px wide."""
    visit = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = visit.new_page()
    page.goto(page_url)
    settle(page, "mask")
    yield page
    visit.close()


def _is_own(url: str, page_url: str) -> bool:
    return url.startswith((page_url, "data:", "blob:"))


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A picture that is no mask: smooth noise in many colours."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    path = tmp_path / "photograph.png"
    Image.fromarray(noise).resize((300, 200), Image.Resampling.BICUBIC).save(path)
    return path
