"""The page in a real browser: paint, and the picture follows."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsing import WAIT, cell, copy_link, drag, nameless, number, settle, shown, spot, wait_for_color, wait_for_newer
from sisgen.app.context import Context

pytestmark = pytest.mark.browser


def color(context: Context, index: int) -> list[int]:
    with context.registry.lease() as pipe:
        return [*pipe.labels.colors[index], 255]


def test_painting_changes_the_picture_and_undo_brings_it_back(page: Any, app_context: Context) -> None:
    before, first = number(page, "mask"), shown(page, "mask")
    page.keyboard.press("2")
    drag(page, "mask", (40, 200), (200, 200), (200, 60), steps=8)
    wait_for_newer(page, "mask", before)
    settle(page, "mask")
    assert cell(page, "mask", 120, 200) == color(app_context, 1)
    painted = shown(page, "mask")
    assert painted != first
    page.keyboard.press("Control+z")
    settle(page, "mask")
    assert shown(page, "mask") == first
    page.keyboard.press("Control+Shift+Z")
    settle(page, "mask")
    assert cell(page, "mask", 120, 200) == color(app_context, 1)
    assert shown(page, "mask") == painted


def test_pictures_stream_in_order_while_the_pen_moves(page: Any) -> None:
    page.evaluate("""() => {
      window.seen = [];
      const frame = document.querySelector('#mask-tab .sis-picture');
      new MutationObserver(() => window.seen.push(Number(frame.dataset.number))).observe(frame, { attributeFilter: ['data-number'] });
    }""")
    page.mouse.move(*spot(page, "mask", 20, 20))
    page.mouse.down()
    for step in range(30):
        page.mouse.move(*spot(page, "mask", 20 + 7 * step, 20 + 90 * (step % 2)), steps=2)
        page.wait_for_timeout(20)
    during = len(page.evaluate("() => window.seen"))
    page.mouse.up()
    settle(page, "mask")
    seen = page.evaluate("() => window.seen")
    assert during >= 3, "pictures come while the pen is down"
    assert seen == sorted(set(seen)), "an older picture never follows a newer one"


def test_late_and_refused_answers_never_step_back(page: Any, errors: list[str]) -> None:
    """A stroke is refused twice by a full queue and goes through by itself; answers may be slow."""
    calls = {"paint": 0}

    def slow(route: Any) -> None:
        calls["paint"] += "rest=" not in route.request.url  # variations are not strokes
        if calls["paint"] in (2, 3) and "rest=" not in route.request.url:
            route.fulfill(status=503, json={"error": "Many people are drawing."})
        else:
            route.continue_()

    page.route("**/sisgen/paint?*", slow)
    page.evaluate("() => { window.toasts = 0; new MutationObserver(() => window.toasts++).observe(document.body, { childList: true }); }")
    before = number(page, "mask")
    page.keyboard.press("3")
    drag(page, "mask", (30, 30), (220, 220), steps=12)
    wait_for_newer(page, "mask", before)
    settle(page, "mask")
    assert calls["paint"] >= 4, "refused twice, then sent again"
    assert page.locator(".sis-toast").count() == 0, "a full queue is nothing to tell"
    page.unroute("**/sisgen/paint?*")
    assert len(errors) == 2
    assert all("503" in error for error in errors)
    errors.clear()


def test_tools_and_keys(page: Any, app_context: Context) -> None:
    page.get_by_role("button", name="Clear").click()
    assert cell(page, "mask", 128, 128)[3] == 0
    page.keyboard.press("4")
    page.keyboard.press("l")
    drag(page, "mask", (20, 50), (60, 200), (230, 50))
    assert cell(page, "mask", 120, 50) == color(app_context, 3), "a line goes straight to where the pen is lifted"
    assert cell(page, "mask", 60, 190)[3] == 0
    page.keyboard.press("f")
    page.keyboard.press("1")
    page.mouse.click(*spot(page, "mask", 10, 250))
    assert cell(page, "mask", 250, 250) == color(app_context, 0)
    assert cell(page, "mask", 120, 50) == color(app_context, 3)
    page.keyboard.press("e")
    drag(page, "mask", (128, 20), (128, 240))
    assert cell(page, "mask", 128, 128)[3] == 0
    page.keyboard.press("b")
    page.keyboard.down("Alt")
    page.mouse.click(*spot(page, "mask", 200, 50))
    page.keyboard.up("Alt")
    chips = page.locator("#mask-tab .sis-chip")
    assert chips.nth(3).get_attribute("aria-checked") == "true", "Alt-click picks what lies under the pen"
    size = page.get_by_role("slider", name="Brush size")
    start = int(size.input_value())
    page.keyboard.press("]")
    assert int(size.input_value()) > start
    page.keyboard.press("[")
    page.keyboard.press(",")
    assert int(size.input_value()) < start + 1
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys and help").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Sample number").focus()
    page.keyboard.press("5")
    assert chips.nth(3).get_attribute("aria-checked") == "true", "keys are silent in a text field"


def test_a_bad_file_gets_a_toast_and_the_drawing_stays(
    page: Any, photograph: Path, tmp_path: Path, app_context: Context, errors: list[str]
) -> None:
    page.keyboard.press("4")
    drag(page, "mask", (100, 100), (140, 140))
    text = tmp_path / "mask.png"
    text.write_text("no picture")
    for bad in (photograph, text):
        page.locator("#mask-tab [data-file]").set_input_files(bad)
        page.get_by_role("alert").wait_for()
        page.get_by_role("alert").get_by_role("button", name="Close message").click()
    assert cell(page, "mask", 120, 120) == color(app_context, 3)
    assert all("422" in error for error in errors), "the browser notes the two refusals, nothing else"
    errors.clear()
    good = tmp_path / "good.png"
    Image.fromarray(np.full((64, 64), 2, np.uint8), mode="L").save(good)
    page.locator("#mask-tab [data-file]").set_input_files(good)
    wait_for_color(page, "mask", 9, 9, color(app_context, 2))
    page.keyboard.press("Control+z")
    assert cell(page, "mask", 120, 120) == color(app_context, 3), "a file can be undone"


def test_a_wrong_sample_number_is_refused(page: Any) -> None:
    field = page.get_by_role("textbox", name="Sample number")
    before = field.input_value()
    field.fill(str(2**70))
    field.press("Enter")
    assert page.get_by_role("alert").inner_text().startswith("The sample must be a whole number")
    assert field.input_value() == before


def test_a_reload_keeps_the_drawing_and_the_history_restores(page: Any, app_context: Context) -> None:
    past = page.locator("#mask-tab .sis-past .sis-thumb")
    past.first.wait_for(timeout=WAIT)  # what the page opened with
    page.keyboard.press("3")
    drag(page, "mask", (60, 60), (200, 60))
    past.nth(1).wait_for(timeout=WAIT)
    drawn = past.first.locator("img").get_attribute("src")
    page.reload()
    settle(page, "mask")
    assert cell(page, "mask", 120, 60) == color(app_context, 2)
    kept = shown(page, "mask")
    page.get_by_role("button", name="Clear").click()
    settle(page, "mask")
    assert shown(page, "mask") != kept
    page.locator(f'#mask-tab .sis-past .sis-thumb:has(img[src="{drawn}"])').click()
    wait_for_color(page, "mask", 120, 60, color(app_context, 2))
    settle(page, "mask")
    assert shown(page, "mask") == kept


def test_variations_are_taken_over_by_a_click(page: Any) -> None:
    page.locator("#mask-tab .sis-variations img").nth(3).wait_for(timeout=15000)
    page.wait_for_function("() => !document.querySelector('#mask-tab .sis-variations.is-late')")
    field, first = page.get_by_role("textbox", name="Sample number"), shown(page, "mask")
    seed = field.input_value()
    page.get_by_role("button", name="Variation 2").click()
    settle(page, "mask")
    assert field.input_value() != seed
    assert shown(page, "mask") != first


def test_a_link_brings_drawing_and_settings_and_a_hostile_one_does_no_harm(page: Any, page_url: str, app_context: Context) -> None:
    page.keyboard.press("3")
    drag(page, "mask", (80, 80), (180, 180))
    field = page.get_by_role("textbox", name="Sample number")
    field.fill("77")
    field.press("Enter")
    state = copy_link(page)
    assert re.fullmatch(rf"{page_url}/?#s=[A-Za-z0-9_-]{{1,8192}}", state)
    page.get_by_role("button", name="Clear").click()
    page.goto("about:blank")
    page.goto(state)
    settle(page, "mask")
    assert cell(page, "mask", 130, 130) == color(app_context, 2)
    assert field.input_value() == "77"
    for hostile in ("#s=AAAA", "#s=" + "A" * 9000, "#s=<img onerror=alert(1)>", "#s=" + _bomb()):
        page.goto("about:blank")
        page.goto(page_url + "/" + hostile)
        settle(page, "mask")
        assert cell(page, "mask", 130, 130) == color(app_context, 2), "the drawing of the last visit is there"


def _bomb() -> str:
    """A link that would unpack to 100 MB."""
    import base64
    import zlib

    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b" " * 2**20) for _ in range(4)) + packer.flush()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_class_name_is_text_and_nothing_else(page: Any, page_url: str) -> None:
    def hostile(route: Any) -> None:
        answer = route.fetch()
        model = answer.json()
        model["labels"][0]["name"] = "<img src=x onerror='window.pwned = 1'>"
        model["title"] = model["about"] = "<img src=x onerror='window.pwned = 2'>"
        for example in model["examples"]:
            example["name"] = "<img src=x onerror='window.pwned = 3'>"
        route.fulfill(response=answer, body=json.dumps(model))

    page.route("**/sisgen/model?*", hostile)
    page.reload()
    settle(page, "mask")
    page.keyboard.press("1")
    drag(page, "mask", (10, 10), (60, 60))
    page.wait_for_timeout(300)
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("#mask-tab .sis-chip").first.inner_text().startswith("<img src=x")


def test_a_class_that_the_sample_lacks_is_dimmed_and_another_sample_is_offered(page: Any, app_context: Context) -> None:
    def add_seeds(route: Any) -> None:
        answer = route.fetch()
        model = answer.json()
        model["classSeeds"] = {model["labels"][1]["name"]: [4711]}
        route.fulfill(response=answer, body=json.dumps(model))

    page.route("**/sisgen/model?*", add_seeds)
    page.route("**/sisgen/sample?*", lambda route: route.fulfill(json={"runs": "AICABA=="}))  # class 0 everywhere
    page.reload()
    settle(page, "mask")
    page.locator("#mask-tab .sis-chip.is-absent").nth(1).wait_for()
    page.keyboard.press("2")
    drag(page, "mask", (40, 40), (60, 60))
    page.get_by_role("button", name="Use a sample with").click()
    assert page.get_by_role("textbox", name="Sample number").input_value() == "4711"
    assert cell(page, "mask", 50, 50) == color(app_context, 1), "the drawing stays"


def test_the_model_menu_tells_and_switches(page: Any) -> None:
    page.get_by_role("button", name="Model").click()
    sheet = page.get_by_role("dialog", name="About this model")
    for word in ("Licence", "Runs on", "From"):
        assert word in sheet.inner_text()
    page.get_by_role("radio", name="other").click()
    page.wait_for_function("() => document.querySelector('.sis-models [aria-checked=true]').dataset.name === 'other'")
    settle(page, "mask")


def test_a_model_with_other_classes_starts_anew_and_each_keeps_its_drawing(page: Any, app_context: Context) -> None:
    def rename(route: Any) -> None:
        answer = route.fetch()
        model = answer.json()
        for label in model["labels"]:
            label["name"] = f"other {label['name']}"
        route.fulfill(response=answer, body=json.dumps(model))

    page.route("**/sisgen/model?*model=other*", rename)
    page.keyboard.press("3")
    drag(page, "mask", (60, 60), (200, 60))
    settle(page, "mask")
    undo = page.get_by_role("button", name="Undo")
    assert undo.is_enabled()
    choose_model(page, "other")
    assert page.locator("#mask-tab .sis-chip").first.inner_text().startswith("other ")
    page.locator(".sis-toast", has_text="has other classes and starts anew").wait_for()
    page.wait_for_function("() => document.querySelector('[data-do=undo]').disabled")
    page.keyboard.press("2")
    drag(page, "mask", (60, 200), (200, 200))
    assert cell(page, "mask", 120, 200) == color(app_context, 1)
    choose_model(page, "tiny")
    wait_for_color(page, "mask", 120, 60, color(app_context, 2))
    choose_model(page, "other")
    wait_for_color(page, "mask", 120, 200, color(app_context, 1))
    page.reload()
    settle(page, "mask")
    assert page.locator("[data-menu=model] [data-open]").get_attribute("aria-busy") is None
    assert page.locator("#mask-tab .sis-chip").first.inner_text().startswith("other "), "a reload keeps the model, too"


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(page: Any, errors: list[str]) -> None:
    page.route("**/sisgen/model?*model=other*", lambda route: route.fulfill(status=422, json={"error": "The model is damaged."}))
    before = shown(page, "mask")
    page.get_by_role("button", name="Model").click()
    page.get_by_role("radio", name="other").click()
    assert page.get_by_role("alert").inner_text().startswith("The model is damaged.")
    assert page.locator("[data-model-name]").inner_text() == "tiny"
    assert shown(page, "mask") == before
    page.keyboard.press("2")
    drag(page, "mask", (60, 60), (200, 60))
    settle(page, "mask")
    assert all("422" in error for error in errors)
    errors.clear()


def test_a_download_is_told_while_the_page_goes_on(page: Any) -> None:
    held: list[Any] = []
    page.route("**/sisgen/model?*model=other*", lambda route: held.append(route))
    page.route("**/sisgen/download?*", lambda route: route.fulfill(json={"share": 0.425}))
    page.get_by_role("button", name="Model").click()
    page.get_by_role("radio", name="other").click()
    page.locator("[data-model-name]", has_text="Fetching other, 42 %").wait_for()
    before = number(page, "mask")
    page.keyboard.press("2")
    drag(page, "mask", (60, 60), (200, 60))
    wait_for_newer(page, "mask", before)
    held[0].continue_()
    page.wait_for_function("() => !document.querySelector('[data-menu=model] [aria-busy]')")
    settle(page, "mask")


def choose_model(page: Any, name: str) -> None:
    page.get_by_role("button", name="Model").click()
    page.locator(f".sis-models [data-name={name}]").click()
    page.wait_for_function("(name) => document.querySelector('.sis-models [aria-checked=true]').dataset.name === name", arg=name)
    settle(page, "mask")


def test_without_a_pointer_arrow_keys_and_space_paint(page: Any, app_context: Context) -> None:
    page.get_by_role("button", name="Clear").click()
    page.keyboard.press("3")
    page.locator("#mask-tab .sis-canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert cell(page, "mask", 132, 128) == color(app_context, 2)


def test_downloads_carry_what_they_say(page: Any, app_context: Context) -> None:
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=re.compile("^Picture")).click()
    with Image.open(waiting.value.path()) as picture:
        picture.load()
        assert "seed" in json.loads(picture.text["sisgen"])
    page.get_by_role("button", name="Download mask").click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name="Mask, PNG").click()
    with Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())) as mask:
        assert (mask.mode, mask.size) == ("P", (256, 256))


def test_every_control_has_a_name_and_the_theme_is_kept(page: Any) -> None:
    assert nameless(page, ".sis-top, .sis-studio") == []
    dark = page.get_by_role("button", name="Dark", exact=True)
    before = dark.get_attribute("aria-pressed")
    dark.click()
    page.reload()
    settle(page, "mask")
    assert dark.get_attribute("aria-pressed") != before


def test_a_phone_has_no_sideways_scroll_and_two_fingers_enlarge(phone: Any) -> None:
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 360
    before = phone.evaluate(
        "() => [...document.querySelector('#mask-tab .sis-canvas').getContext('2d').getImageData(0, 0, 256, 256).data].join().length"
    )
    touch = phone.context.new_cdp_session(phone)
    (ax, ay), (bx, by) = spot(phone, "mask", 100, 128), spot(phone, "mask", 150, 128)
    two = [{"x": ax, "y": ay, "id": 1}, {"x": bx, "y": by, "id": 2}]
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": two})
    for wide in (10, 30, 60):
        moved = [{"x": ax - wide, "y": ay, "id": 1}, {"x": bx + wide, "y": by, "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": moved})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert "scale(" in phone.locator("#mask-tab .sis-canvas").get_attribute("style")
    after = phone.evaluate(
        "() => [...document.querySelector('#mask-tab .sis-canvas').getContext('2d').getImageData(0, 0, 256, 256).data].join().length"
    )
    assert after == before, "two fingers draw nothing"
    phone.evaluate("() => document.querySelector('#mask-tab .sis-tools').scrollIntoView({ block: 'end' })")
    phone.wait_for_timeout(100)
    assert phone.locator("#mask-tab .sis-picture").bounding_box()["y"] >= 0, "the picture stays pinned"
