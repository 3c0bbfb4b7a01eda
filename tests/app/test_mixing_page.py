"""Two drawings together and parts of other samples, in a real browser: chosen, changed, removed, linked, downloaded, brought back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from browsing import WAIT, copy_link, drag, nameless, settle, show, shown, wait_for_other

pytestmark = pytest.mark.browser


@pytest.fixture
def revisit(browser: Any, page_url: str) -> Callable[[str], Any]:
    """Open the page as another visitor would, at a link or at its start."""
    visits = []

    def visit(address: str = page_url) -> Any:
        visits.append(browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True))
        page = visits[-1].new_page()
        page.goto(address)
        settle(page, "mask")
        return page

    yield visit
    for one in visits:
        one.close()


def recipe(page: Any, tab: str = "mask") -> str:
    line = page.locator(f"#{tab}-tab [data-recipe]")
    return line.text_content() if line.is_visible() else ""


def wait_for_recipe(page: Any, words: str, tab: str = "mask") -> None:
    page.locator(f"#{tab}-tab [data-recipe]", has_text=re.compile(f"^{re.escape(words)}$")).wait_for(timeout=WAIT)
    settle(page, tab)


def mix_in(page: Any, kind: str, tab: str = "mask") -> None:
    page.locator(f"#{tab}-tab [data-mix-open]").click()
    page.get_by_role("menuitem", name=kind).click()
    page.locator(f"#{tab}-tab .sis-mixed").wait_for()
    page.locator(f"#{tab}-tab [data-recipe]").wait_for(timeout=WAIT)
    settle(page, tab)


def weigh(page: Any, value: float, words: str) -> None:
    page.locator("#mask-tab [data-weight]").fill(str(value))
    wait_for_recipe(page, words)


def take_part(page: Any, name: str, tile: int, tab: str = "mask") -> int:
    """Take a part from one of the samples that are offered; its number."""
    page.locator(f"#{tab}-tab [data-do=part-add]").click()
    page.locator(f"#{tab}-tab [data-part]").select_option(name)
    chosen = page.locator(f"#{tab}-tab [data-candidates] button").nth(tile)
    seed = int(chosen.get_attribute("aria-label").rsplit(" ", 1)[1])
    chosen.click()
    page.locator(f"#{tab}-tab [data-recipe]", has_text=f"{name} of sample {seed}").wait_for(timeout=WAIT)
    settle(page, tab)
    return seed


def test_a_mask_and_lines_are_followed_together_by_their_weights(page: Any) -> None:
    first, asked = shown(page, "mask"), []
    page.on("request", lambda request: asked.append(request.url) if "/paint?" in request.url else None)
    mix_in(page, "Drawn lines")
    wait_for_recipe(page, "Mask 50 % + drawn lines 50 %")
    both = shown(page, "mask")
    weigh(page, 1, "Mask 0 % + drawn lines 100 %")
    lines = shown(page, "mask")
    assert len({first, both, lines}) == 3
    weigh(page, 0, "Mask 100 % + drawn lines 0 %")
    assert shown(page, "mask") == first, "a drawing without weight has no say"
    page.get_by_role("button", name="Follow this drawing alone").click()
    page.locator("#mask-tab [data-recipe]").wait_for(state="hidden")
    settle(page, "mask")
    assert shown(page, "mask") == first
    assert any("also=sketch" in url for url in asked)
    asked.clear()
    drag(page, "mask", (20, 20), (60, 60))
    settle(page, "mask")
    assert asked, "the picture follows the pen"
    assert not any(word in url for url in asked for word in ("also=", "weight=", "parts=")), "what is not used is not sent"


def test_what_is_drawn_in_the_other_tab_is_followed_on_return(page: Any) -> None:
    mix_in(page, "Drawn lines")
    before = shown(page, "mask")
    page.locator("#mask-tab [data-mix-edit]").click()
    settle(page, "sketch")
    drag(page, "sketch", (30, 30), (220, 60), (60, 220), (240, 240))
    settle(page, "sketch")
    show(page, "mask")
    wait_for_other(page, "mask", before)
    page.locator("#mask-tab [data-mix-open]").click()
    entry = page.get_by_role("menuitem", name="Drawn lines")
    assert entry.text_content() == "Drawn linesof the Sketch tab"
    page.keyboard.press("Escape")
    show(page, "sketch")
    mix_in(page, "Canny edges", "sketch")
    assert recipe(page, "sketch") == "Drawn lines 50 % + canny edges 50 %"
    page.locator("#sketch-tab [data-weight]").fill("0.3")
    wait_for_recipe(page, "Drawn lines 70 % + canny edges 30 %", "sketch")
    page.locator("#sketch-tab [data-kind=canny]").click()
    wait_for_recipe(page, "Canny edges 30 % + drawn lines 70 %", "sketch")


def test_parts_come_from_other_samples_and_go_again(page: Any) -> None:
    first = shown(page, "mask")
    hair = take_part(page, "hair", 5)
    with_hair = shown(page, "mask")
    assert with_hair != first
    skin = take_part(page, "skin", 6)
    assert recipe(page) == f"hair of sample {hair} · skin of sample {skin}"
    assert shown(page, "mask") not in (first, with_hair)
    field = page.get_by_role("textbox", name="Sample that lends its skin")
    field.fill(str(hair))
    field.press("Enter")
    wait_for_recipe(page, f"hair and skin of sample {hair}")
    field = page.get_by_role("textbox", name="Sample that lends its skin")
    field.fill("many")
    field.press("Enter")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("textbox", name="Sample that lends its skin").input_value() == str(hair)
    page.get_by_role("button", name="Keep the picture's own skin").click()
    wait_for_recipe(page, f"hair of sample {hair}")
    assert shown(page, "mask") == with_hair
    page.get_by_role("button", name="Keep the picture's own hair").click()
    page.locator("#mask-tab [data-recipe]").wait_for(state="hidden")
    settle(page, "mask")
    assert shown(page, "mask") == first


def test_links_downloads_history_and_the_next_visit_bring_it_all_back(page: Any, revisit: Callable[..., Any], tmp_path: Path) -> None:
    show(page, "scribble")
    show(page, "mask")
    mix_in(page, "Scribble")
    weigh(page, 0.25, "Mask 75 % + scribble 25 %")
    hair = take_part(page, "hair", 4)
    words, picture = f"Mask 75 % + scribble 25 % · hair of sample {hair}", shown(page, "mask")
    link = copy_link(page)
    assert len(link) < 8300
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=re.compile("^Enlarged")).click()
    file = tmp_path / "kept.png"
    waiting.value.save_as(file)
    with Image.open(file) as kept:
        kept.load()
        settings = json.loads(kept.text["sisgen"])
    assert settings["regions"] == {"hair": hair}
    assert settings["weights"] == [0.75, 0.25]

    linked = revisit(link)
    wait_for_recipe(linked, words)
    assert shown(linked, "mask") == picture
    assert linked.locator("#mask-tab [data-weight]").input_value() == "0.25"

    opened = revisit()
    opened.locator("#mask-tab [data-file]").set_input_files(file)
    wait_for_recipe(opened, words)
    assert shown(opened, "mask") == picture
    opened.reload()
    settle(opened, "mask")
    wait_for_recipe(opened, words)
    assert shown(opened, "mask") == picture
    earlier = opened.locator("#mask-tab .sis-past .sis-thumb[aria-label*='hair of sample']").first
    earlier.wait_for(timeout=15000)
    opened.get_by_role("button", name="Follow this drawing alone").click()
    opened.get_by_role("button", name="Keep the picture's own hair").click()
    opened.locator("#mask-tab [data-recipe]").wait_for(state="hidden")
    earlier.click()
    wait_for_recipe(opened, words)


def test_a_photo_takes_parts_and_lines_and_leaves_nothing_behind(page: Any) -> None:
    show(page, "photo")
    untouched = shown(page, "photo")
    page.keyboard.press("2")
    drag(page, "photo", (40, 60), (200, 60), (60, 160), (200, 160))
    wait_for_other(page, "photo", untouched)
    before = shown(page, "photo")
    hair = take_part(page, "skin", 3, "photo")
    assert shown(page, "photo") != before
    mix_in(page, "Canny edges", "photo")
    assert recipe(page, "photo") == f"Photo 50 % + canny edges 50 % · skin of sample {hair}"
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=re.compile("^Picture")).click()
    with Image.open(waiting.value.path()) as kept:
        kept.load()
        assert set(kept.text) == {"sisgen"}, "no drawing over a photo is in a file"


def test_hostile_links_are_refused_whole(page: Any) -> None:
    script = """async () => {
      const url = performance.getEntriesByType('resource').map((entry) => entry.name).find((name) => name.endsWith('state.js'));
      const { packState, unpackState } = await import(url);
      const map = new Uint8Array(65536).fill(1), settings = { model: 'tiny', revision: '', seed: 1, truncation: 1, strength: 1 };
      const good = packState({ ...settings, tab: 'mask', kind: 'mask', map, also: 'hed', weight: 0.5, other: map, parts: [['hair', 3]] });
      const { a } = good, bad = [{ a: { ...a, k: 'neon' } }, { a: { ...a, w: 7 } }, { a: { ...a, d: 'AA' } }, { a: 5 }, { a: null },
        { f: [['hair', -1]] }, { f: { hair: 1 } }, { f: [[5, 1]] }, { f: 'hair' }];
      return [good, ...bad].map((change) => unpackState({ ...good, ...change }, 255) !== null);
    }"""
    told = page.evaluate(script)
    assert told[0]
    assert not any(told[1:])


def test_all_of_it_fits_a_phone_and_has_names(phone: Any) -> None:
    mix_in(phone, "Drawn lines")
    take_part(phone, "hair", 2)
    phone.locator("#mask-tab [data-do=part-add]").click()
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert nameless(phone, ".sis-studio") == []
