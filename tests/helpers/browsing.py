"""What a visitor does on the page and sees there, in a real browser; `tab` is "mask", "scribble", "sketch", "photo" or "label"."""

from __future__ import annotations

from typing import Any

WAIT = 20000  # milliseconds
CELL = "[...document.querySelector(`#${tab}-tab .sis-canvas`).getContext('2d').getImageData(x, y, 1, 1).data]"


def settle(page: Any, tab: str) -> None:
    """Wait until the tab shows the picture of its newest drawing."""
    page.wait_for_selector(f"#{tab}-tab .sis-studio:not([aria-busy])", timeout=WAIT)
    page.wait_for_selector(f"#{tab}-tab .sis-picture[data-state=fresh]", timeout=WAIT)


def show(page: Any, tab: str) -> None:
    """Open a tab that paints pictures."""
    page.locator(f"[role=tab][data-tab={tab}]").click()
    settle(page, tab)


def spot(page: Any, tab: str, x: float, y: float) -> tuple[float, float]:
    """Where a cell of the drawing lies on the screen."""
    box = page.locator(f"#{tab}-tab .sis-canvas").bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / 256, box["y"] + (y + 0.5) * box["height"] / 256


def drag(page: Any, tab: str, *points: tuple[int, int], steps: int = 4) -> None:
    """Put the pen down on the first cell, draw to the others, lift it."""
    page.mouse.move(*spot(page, tab, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*spot(page, tab, *point), steps=steps)
    page.mouse.up()


def cell(page: Any, tab: str, x: int, y: int) -> list[int]:
    """Colour of one cell of the drawing, RGBA."""
    return page.evaluate(f"([tab, x, y]) => {CELL}", [tab, x, y])


def wait_for_color(page: Any, tab: str, x: int, y: int, color: list[int]) -> None:
    page.wait_for_function(f"([tab, x, y, color]) => {CELL}.join() === color", arg=[tab, x, y, ",".join(map(str, color))], timeout=WAIT)


def number(page: Any, tab: str) -> int:
    """Which of the answers to the tab's drawings is shown; newer ones have higher numbers."""
    return int(page.locator(f"#{tab}-tab .sis-picture").get_attribute("data-number"))


def wait_for_newer(page: Any, tab: str, before: int) -> None:
    script = "([tab, before]) => Number(document.querySelector(`#${tab}-tab .sis-picture`).dataset.number) > before"
    page.wait_for_function(script, arg=[tab, before], timeout=WAIT)


def shown(page: Any, tab: str) -> str:
    """Fingerprint of the tab's picture."""
    script = """async (tab) => {
      const bytes = new Uint8Array(await (await fetch(document.querySelector(`#${tab}-tab .sis-image`).src)).arrayBuffer());
      return [bytes.length, bytes.reduce((sum, byte, i) => (sum * 31 + byte * (i % 7 + 1)) >>> 0, 7)].join(' ');
    }"""
    return page.evaluate(script, tab)


def wait_for_other(page: Any, tab: str, before: str) -> None:
    """Wait until the picture is not the one with this fingerprint."""
    for _ in range(WAIT // 100):
        if shown(page, tab) != before:
            return settle(page, tab)
        page.wait_for_timeout(100)
    raise AssertionError("the picture stays the same")


def copy_link(page: Any) -> str:
    """The link that Copy link would give."""
    script = """async () => {
      const script = performance.getEntriesByType('resource').map((entry) => entry.name).find((name) => name.endsWith('session.js'));
      return (await import(script)).session.link();
    }"""
    return page.evaluate(script)


def nameless(page: Any, where: str) -> list[str]:
    """The visible controls inside a selector that have no name for a screen reader, as HTML."""
    script = """(where) => [...document.querySelectorAll(`:is(${where}) :is(button, input, select)`)]
      .filter((node) => node.offsetParent && !(node.ariaLabel || node.labels?.length || node.textContent.trim()))
      .map((node) => node.outerHTML)"""
    return page.evaluate(script, where)
