"""The label tab in a real browser: own classes, paint over samples, train, and the new model in the mask tab."""

from __future__ import annotations

import zipfile
from typing import Any

import pytest

from browsing import WAIT, cell, drag, nameless, number, settle, spot, wait_for_newer
from sisgen.app.context import Context

pytestmark = pytest.mark.browser

HOSTILE = "<img onerror=alert(1)>"


def open_tab(page: Any) -> Any:
    """Show the label tab and wait for its first sample."""
    page.get_by_role("tab", name="Label").click()
    tab = page.locator("#label-tab")
    tab.locator(".sis-studio:not([aria-busy])").wait_for(timeout=WAIT)
    tab.locator(".sis-under[src]:not(.is-late)").wait_for(timeout=WAIT)
    return tab


def paint_halves(page: Any, tab: Any) -> None:
    """Fill all with the first class, then paint a bar of the second."""
    page.keyboard.press("1")
    page.keyboard.press("f")
    drag(page, "label", (10, 10))
    page.keyboard.press("b")
    page.keyboard.press("2")
    for _ in range(8):
        page.keyboard.press("]")
    drag(page, "label", (200, 20), (200, 240))


def test_classes_are_made_named_coloured_and_removed(page: Any) -> None:
    tab = open_tab(page)
    chips, name = tab.locator(".sis-chip"), tab.get_by_role("textbox", name="Name of this class")
    assert chips.all_inner_texts() == ["background\n1", "object\n2"]
    tab.get_by_role("button", name="Add a class").click()
    page.keyboard.type("ear")
    page.keyboard.press("Enter")
    assert chips.nth(2).get_attribute("aria-label") == "ear"
    tab.get_by_label("Colour of this class").evaluate("(node) => { node.value = '#102030'; node.dispatchEvent(new Event('change')); }")
    drag(page, "label", (60, 60), (100, 60))
    assert cell(page, "label", 80, 60) == [16, 32, 48, 255]
    for bad in (HOSTILE, "background", ""):
        name.fill(bad)
        name.press("Enter")
        page.get_by_role("alert").first.wait_for()
        assert name.input_value() == "ear"
    chips.nth(1).click()
    tab.get_by_role("button", name="Remove this class").click()
    assert chips.all_inner_texts() == ["background\n1", "ear\n2"]
    assert cell(page, "label", 80, 60) == [16, 32, 48, 255], "what was painted with another class stays"
    chips.nth(1).click()
    tab.get_by_role("button", name="Remove this class").click()
    assert cell(page, "label", 80, 60)[3] == 0


def test_each_sample_keeps_its_paint_and_a_reload_keeps_all(page: Any) -> None:
    tab = open_tab(page)
    paint_halves(page, tab)
    assert "100 % painted" in tab.locator("[data-sample-name]").inner_text()
    tab.locator("[data-seed='5']").click()
    assert cell(page, "label", 200, 100)[3] == 0
    drag(page, "label", (30, 30), (60, 60))
    page.reload()
    tab.locator(".sis-studio:not([aria-busy])").wait_for()
    assert page.get_by_role("tab", name="Label").get_attribute("aria-selected") == "true"
    assert tab.locator("[data-sample-name]").inner_text().startswith("Sample 5")
    assert tab.locator(".sis-painted .sis-thumb").count() == 2
    tab.get_by_role("button", name="Painted sample 1").click()
    assert cell(page, "label", 200, 100)[3] == 255
    assert "2 samples are painted" in tab.locator("[data-advice]").inner_text()


def test_tabs_change_by_keys_and_only_the_shown_one_hears_keys(page: Any) -> None:
    tab = open_tab(page)
    page.keyboard.press("2")
    assert tab.locator(".sis-chip").nth(1).get_attribute("aria-checked") == "true"
    assert page.locator("#mask-tab .sis-chip").nth(1).get_attribute("aria-checked") == "false"
    page.get_by_role("tab", name="Label").focus()
    page.keyboard.press("ArrowRight")  # from the last tab to the first
    assert page.locator("#mask-tab .sis-studio").is_visible()
    assert not tab.locator(".sis-studio").is_visible()


def test_every_control_has_a_name(page: Any) -> None:
    open_tab(page)
    assert nameless(page, "#label-tab") == []


def test_where_trainings_are_off_a_sentence_says_so(page: Any, app_context: Context) -> None:
    app_context.trainings.refusal = "Off on this page."
    try:
        tab = open_tab(page)
        assert tab.locator("[data-refusal]").inner_text() == "Off on this page."
        assert not tab.get_by_role("button", name="Train").is_visible()
    finally:
        app_context.trainings.refusal = None


def test_a_phone_has_no_sideways_scroll(phone: Any) -> None:
    open_tab(phone)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_a_painted_label_becomes_a_model_for_the_mask_tab(page: Any) -> None:
    tab = open_tab(page)
    paint_halves(page, tab)
    tab.locator("[data-minutes]").evaluate(
        "(node) => { node.append(new Option('x', '0.1')); node.value = '0.1'; node.dispatchEvent(new Event('change')); }"
    )
    with page.expect_response("**/sisgen/train?*"):
        tab.get_by_role("button", name="Train").click()
    tab.get_by_role("button", name="Stop").wait_for()
    page.reload()
    tab.locator(".sis-studio:not([aria-busy])").wait_for()
    tab.locator("[data-status]", has_text="Done").wait_for(timeout=240000)
    assert "would teach it most" in tab.locator("[data-advice]").inner_text()
    tab.get_by_role("textbox", name="Name of your model").fill("My bars")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.locator("[data-saved-name]", has_text="Saved as My bars").wait_for()
    with page.expect_download() as waiting:
        tab.get_by_role("button", name="Download", exact=True).click()
    assert "my-bars/config.json" in zipfile.ZipFile(waiting.value.path()).namelist()
    tab.get_by_role("button", name="Paint with it").click()
    page.locator("[data-model-name]", has_text="My bars").wait_for()
    settle(page, "mask")
    chips = page.locator("#mask-tab .sis-chip")
    assert chips.all_inner_texts() == ["background\n1", "object\n2"]
    before = number(page, "mask")
    page.keyboard.press("2")
    page.mouse.click(*spot(page, "mask", 60, 60))
    wait_for_newer(page, "mask", before)
