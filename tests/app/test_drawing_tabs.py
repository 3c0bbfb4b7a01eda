"""The tabs of scribbles and lines in a real browser: draw, open, switch, send, link; and the picture follows."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsing import copy_link, drag, nameless, settle, show, shown, wait_for_other

pytestmark = pytest.mark.browser


def cells(page: Any, tab: str) -> np.ndarray:
    """What is on the canvas: how opaque each cell is, uint8 [256, 256]."""
    script = """(tab) => {
      const { data } = document.querySelector(`#${tab}-tab .sis-canvas`).getContext('2d').getImageData(0, 0, 256, 256);
      let text = '';
      for (let i = 3; i < data.length; i += 4) text += String.fromCharCode(data[i]);
      return btoa(text);
    }"""
    return np.frombuffer(base64.b64decode(page.evaluate(script, tab)), np.uint8).reshape(256, 256)


def wait_for_lines(page: Any, tab: str, before: np.ndarray) -> np.ndarray:
    """Wait until another drawing is on the canvas and its picture beside it."""
    for _ in range(150):
        if (cells(page, tab) != before).any():
            settle(page, tab)
            return cells(page, tab)
        page.wait_for_timeout(100)
    raise AssertionError("the drawing stays the same")


@pytest.fixture
def sketch_file(tmp_path: Path) -> Path:
    """White chalk on a blackboard: a square."""
    pixels = np.full((120, 160, 3), 20, np.uint8)
    pixels[30:90, 40:44] = pixels[30:90, 116:120] = pixels[30:34, 40:120] = pixels[86:90, 40:120] = 240
    path = tmp_path / "chalk.png"
    Image.fromarray(pixels).save(path)
    return path


def test_a_scribble_opens_with_an_example_and_the_picture_follows(page: Any) -> None:
    show(page, "scribble")
    drawn = (cells(page, "scribble") > 0).mean()
    assert 0.005 < drawn < 0.4, "strokes, not a whole mask"
    before = shown(page, "scribble")
    page.keyboard.press("3")
    drag(page, "scribble", (40, 200), (200, 200), (200, 60))
    wait_for_other(page, "scribble", before)
    page.keyboard.press("Control+z")
    settle(page, "scribble")
    assert shown(page, "scribble") == before
    drag(page, "scribble", (20, 20), (60, 60))
    settle(page, "scribble")
    kept = cells(page, "scribble")
    page.wait_for_timeout(300)
    page.reload()
    settle(page, "scribble")
    assert (cells(page, "scribble") == kept).all(), "a reload keeps the tab and its drawing"


def test_lines_are_drawn_opened_and_switched(page: Any, sketch_file: Path, photograph: Path, errors: list[str]) -> None:
    show(page, "sketch")
    before = shown(page, "sketch")
    drag(page, "sketch", (30, 30), (220, 60), (60, 220))
    wait_for_other(page, "sketch", before)
    drawn = cells(page, "sketch")
    page.locator("#sketch-tab [data-file]").set_input_files(sketch_file)
    lines = wait_for_lines(page, "sketch", drawn)
    assert lines[128, 60:76].max() > 120, "chalk is a line"
    assert lines[128, 128] == 0, "the board is paper"
    page.locator("#sketch-tab [data-kind=canny]").click()
    edges = wait_for_lines(page, "sketch", lines * 0)
    assert (edges != lines).any(), "the same picture's edges"
    page.locator("#sketch-tab [data-kind=sketch]").click()
    settle(page, "sketch")
    assert (cells(page, "sketch") == lines).all(), "each kind has a drawing of its own"
    page.locator("#sketch-tab [data-file]").set_input_files(photograph)
    page.get_by_role("button", name="Find its lines").click()
    page.wait_for_function("() => document.querySelector('#sketch-tab [data-kind=canny]').ariaChecked === 'true'")
    assert all("422" in error for error in errors)
    errors.clear()


@pytest.mark.parametrize("kind", ["hed", "depth"])
def test_soft_edges_and_depth_are_painted_over(page: Any, kind: str) -> None:
    show(page, "sketch")
    drawn = shown(page, "sketch")
    page.locator(f"#sketch-tab [data-kind={kind}]").click()
    wait_for_other(page, "sketch", drawn)
    before = shown(page, "sketch")
    drag(page, "sketch", (30, 30), (220, 60), (60, 220))
    wait_for_other(page, "sketch", before)
    page.keyboard.press("Control+z")
    settle(page, "sketch")
    assert shown(page, "sketch") == before


def test_a_drawing_goes_from_tab_to_tab_and_a_link_brings_it_back(page: Any) -> None:
    page.get_by_role("button", name="Send to another tab").click()
    page.get_by_role("menuitem", name="This drawing to Scribble").click()
    settle(page, "scribble")
    assert 0.005 < (cells(page, "scribble") > 0).mean() < 0.4, "a mask is thinned to strokes"
    page.get_by_role("button", name="Send to another tab").click()
    page.get_by_role("menuitem", name="This picture to Sketch").click()
    settle(page, "sketch")
    drag(page, "sketch", (10, 128), (240, 128))
    settle(page, "sketch")
    drawn = cells(page, "sketch")
    link = copy_link(page)
    page.evaluate("() => localStorage.clear()")
    page.goto("about:blank")
    page.goto(link)
    settle(page, "sketch")
    assert (cells(page, "sketch") == drawn).all()
    page.locator("#sketch-tab .sis-past .sis-thumb").first.wait_for(timeout=15000)
    show(page, "mask")
    page.locator("#mask-tab .sis-past .sis-thumb").first.click()
    settle(page, "sketch")
    assert (cells(page, "sketch") == drawn).all(), "history is one for all tabs and leads back to the right one"


def test_a_model_that_cannot_read_lines_says_so(page: Any) -> None:
    show(page, "sketch")
    page.get_by_role("button", name="Model").click()
    page.locator(".sis-models [data-name=other]").click()
    page.locator(".sis-toast", has_text="has not learned to read line drawings").wait_for()
    settle(page, "mask")
    assert "is-lacking" in page.locator("[role=tab][data-tab=sketch]").get_attribute("class")
    page.locator("[role=tab][data-tab=scribble]").click()
    page.locator(".sis-toast", has_text="has not learned to read scribbles").wait_for()
    assert page.locator("#mask-tab .sis-studio").is_visible()


def hold(page: Any, kind: str) -> None:
    """Let the page wait for what it asks about a kind of drawing until `release()`; `held` counts."""
    script = """(kind) => {
      const ask = window.fetch, gate = new Promise((done) => (window.release = done));
      window.held = 0;
      window.fetch = async (url, how) => {
        if (String(url).includes(`kind=${kind}`)) window.held++, await gate;
        return ask(url, how);
      };
    }"""
    page.evaluate(script, kind)


def take_model(page: Any, name: str) -> None:
    page.get_by_role("button", name="Model").click()
    page.locator(f".sis-models [data-name={name}]").click()


def test_what_a_tab_still_asks_for_is_of_the_model_that_it_draws_for(page: Any) -> None:
    show(page, "sketch")
    hold(page, "sketch")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/paint?" in request.url and "kind=sketch" in request.url else None)
    drag(page, "sketch", (40, 40), (200, 60))
    take_model(page, "other")
    settle(page, "mask")
    assert page.evaluate("window.held") >= 1, "the stroke's picture is late"
    page.evaluate("window.release()")
    for _ in range(100):  # the variations come when that picture is there
        if len(asked) >= 5:
            break
        page.wait_for_timeout(100)
    assert len(asked) >= 5 and all("model=tiny" in url for url in asked)


def test_a_tab_that_has_not_begun_when_the_model_changes_begins_with_one_that_can(page: Any) -> None:
    hold(page, "sketch")
    page.locator("[role=tab][data-tab=sketch]").click()
    page.wait_for_function("window.held > 0")
    take_model(page, "other")
    settle(page, "mask")
    page.evaluate("window.release()")
    page.wait_for_timeout(600)
    take_model(page, "tiny")
    page.wait_for_function("!document.querySelector('[role=tab][data-tab=sketch]').classList.contains('is-lacking')")
    show(page, "sketch")
    assert cells(page, "sketch").any()


def test_before_and_after_by_a_slider(page: Any) -> None:
    page.keyboard.press("c")
    slider = page.locator("#mask-tab [data-divide]")
    slider.wait_for()
    page.locator("#mask-tab .sis-before[src]").wait_for()
    slider.fill("20")
    assert "20%" in page.locator("#mask-tab .sis-picture").get_attribute("style")
    page.keyboard.press("c")
    assert slider.is_hidden()


def test_a_link_to_a_photo_that_is_not_here_does_no_harm(page: Any, page_url: str) -> None:
    script = """async (tab) => {
      const url = performance.getEntriesByType('resource').map((entry) => entry.name).find((name) => name.endsWith('state.js'));
      const { encodeLink } = await import(url);
      const map = new Uint8Array(65536).fill(1);
      const settings = { model: 'tiny', revision: '', seed: 1, truncation: 1, strength: 1 };
      return encodeLink({ ...settings, tab, kind: 'mask', map, photo: 'x', use: 'edit' });
    }"""
    link, nowhere = page.evaluate(script, "photo"), page.evaluate(script, "__proto__")
    page.goto("about:blank")
    page.goto(f"{page_url}/#{link}")
    settle(page, "photo")
    assert cells(page, "photo").any(), "a sample stands in"
    page.goto("about:blank")
    page.goto(f"{page_url}/#{nowhere}")
    page.locator(".sis-toast", has_text="This link is damaged").wait_for()
    settle(page, "photo")


@pytest.mark.parametrize("tab", ["scribble", "sketch", "photo"])
def test_no_tab_scrolls_sideways_on_a_phone(phone: Any, tab: str) -> None:
    show(phone, tab)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert nameless(phone, ".sis-studio") == []


def test_a_photo_is_cropped_brought_in_and_repainted(page: Any, photograph: Path, errors: list[str]) -> None:
    show(page, "photo")
    assert cells(page, "photo").any(), "a sample stands in, with its areas"
    before, areas = shown(page, "photo"), cells(page, "photo")
    page.locator("#photo-tab [data-file]").set_input_files(photograph)
    page.locator("#photo-tab .sis-crop:not([hidden])").wait_for()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Use this part").click()
    page.locator("#photo-tab .sis-likeness:not([hidden])").wait_for()
    wait_for_other(page, "photo", before)
    brought = shown(page, "photo")
    page.keyboard.press("4")
    drag(page, "photo", (60, 60), (200, 60), (60, 200))
    wait_for_other(page, "photo", brought)
    page.keyboard.press("Control+z")
    settle(page, "photo")
    assert shown(page, "photo") == brought, "what is not repainted stays"
    page.locator("#photo-tab [data-use=shape]").click()
    wait_for_other(page, "photo", brought)
    page.locator("#photo-tab .sis-variations img").first.wait_for(timeout=15000)
    page.locator("#photo-tab [data-use=edit]").click()
    settle(page, "photo")
    page.get_by_role("button", name="Closer").click()
    page.wait_for_function("() => document.querySelector('#photo-tab [data-steps=\"20\"]').ariaPressed === 'true'", timeout=60000)
    kept = page.evaluate("() => JSON.parse(localStorage.getItem('sisgen.history') ?? '[]').map((entry) => entry.tab)")
    assert "photo" not in kept, "nothing of a photo is stored"
    page.get_by_role("button", name="Forget it").click()
    page.locator(".sis-toast", has_text="forgotten").wait_for()
    assert areas.shape == cells(page, "photo").shape
    text = photograph.with_name("text.png")
    text.write_text("no picture")
    page.locator("#photo-tab [data-file]").set_input_files(text)
    page.get_by_role("alert").wait_for()
    errors.clear()
