"""How fast every drawing tab follows the pen, in a real headless Chromium, next to Gradio's own trivial round trip in the same run.

    python -m benchmarks.app_latency --model portraits

Starts `app.py` as a visitor's machine would, on the CPU, and prints one table and one JSON line: milliseconds from pen-up to the new
picture in every tab and kind of lines that the model reads, Gradio's trivial round trip, seconds until the page is usable, and pictures
a second while the pen moves over the mask. Strokes that changed nothing are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600.0  # seconds for anything to come at all, on a busy machine
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
TRIVIAL = """
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    box, out = gr.Textbox(elem_id="in"), gr.Textbox(elem_id="out")
    box.input(lambda text: text, box, out, show_progress="hidden", trigger_mode="always_last")
page.launch(server_port={port}, ssr_mode=False, quiet=True)
"""

# Tab -> the tab of the page and, where that has several, the kind of lines.
TABS = {
    "mask": ("mask", None),
    "scribble": ("scribble", None),
    "sketch": ("sketch", "sketch"),
    "canny": ("sketch", "canny"),
    "hed": ("sketch", "hed"),
    "depth": ("sketch", "depth"),
    "photo": ("photo", None),
}

# Waits in the page itself, frame by frame, so that the driver's own delays are not counted; -1 = the stroke changed nothing.
PEN_UP = """(tab) => new Promise((done) => {
  const frame = document.querySelector(`#${tab}-tab .sis-picture`), image = frame.querySelector('img');
  const before = frame.dataset.number;
  addEventListener('pointerup', () => {
    const start = performance.now();
    const told = () => { window.took = frame.dataset.number === before ? -1 : performance.now() - start; };
    const look = () => frame.dataset.state === 'fresh' && image.complete
      ? image.decode().then(() => requestAnimationFrame(told))
      : requestAnimationFrame(look);
    requestAnimationFrame(look);
  }, { once: true, capture: true });
  window.took = null;
  done();
})"""
KEY = """() => {
  window.took = null;
  const out = document.querySelector('#out textarea'), before = out.value;
  addEventListener('keydown', () => {
    const start = performance.now();
    const look = () => out.value !== before ? (window.took = performance.now() - start) : requestAnimationFrame(look);
    requestAnimationFrame(look);
  }, { once: true, capture: true });
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="portraits", help="model to serve")
    parser.add_argument("--app", default=str(ROOT / "app.py"), help="program that serves the page")
    parser.add_argument("--tabs", nargs="+", choices=TABS, default=list(TABS), help="what to measure (default: all that the model reads)")
    parser.add_argument("--strokes", type=int, default=20, help="strokes a tab, and keys, to measure")
    parser.add_argument("--device", default="cpu", help="where the model runs (default: %(default)s)")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("This benchmark needs a chromium on the path; install the chromium package.\n")
        return 2
    report = measure(options, chromium)
    print_table(report)
    print(json.dumps(report))
    return 0


def measure(options: argparse.Namespace, chromium: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    port, other = free_port(), free_port()
    started = time.perf_counter()
    words = ["--model", options.model, "--port", str(port), "--device", options.device]
    app = subprocess.Popen([sys.executable, options.app, *words], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        up = time.perf_counter() - started
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=FLAGS, timeout=1000 * PATIENCE)
            opened = time.perf_counter()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{port}", timeout=1000 * PATIENCE)
            settle(page, "mask")
            usable = up + time.perf_counter() - opened
            strokes, rate = {}, None
            for name in options.tabs:
                if show(page, *TABS[name]):
                    strokes[name] = pen_ups(page, TABS[name][0], options.strokes)
                if name == "mask":
                    rate = pictures_per_second(page)
            trivial = subprocess.Popen(
                [sys.executable, "-c", TRIVIAL.format(port=other)], env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "0"}
            )
            try:
                keys = trivial_round_trips(browser, other, options.strokes)
            finally:
                end(trivial)
            browser.close()
    finally:
        end(app)
    medians = {name: statistics.median(values) for name, values in strokes.items() if values}
    return {
        "seconds_to_server": round(up, 2),
        "seconds_to_usable_page": round(usable, 2),
        "pen_up_to_picture_ms": {name: summary(values) for name, values in strokes.items()},
        "gradio_trivial_ms": summary(keys),
        "over_trivial_ms": {name: round(median - statistics.median(keys), 1) for name, median in medians.items()},
        "pictures_per_second": None if rate is None else round(rate, 1),
        "device": options.device,
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def print_table(report: dict[str, Any]) -> None:
    """Print one line a tab."""
    print("| pen up to picture, ms | median | p90 | over Gradio's trivial round trip | strokes |")
    print("|---|---|---|---|---|")
    for name, line in report["pen_up_to_picture_ms"].items():
        print(f"| {name} | {line['median']} | {line['p90']} | {report['over_trivial_ms'].get(name)} | {line['n']} |")
    trivial = report["gradio_trivial_ms"]
    print(f"| Gradio's trivial round trip | {trivial['median']} | {trivial['p90']} | 0 | {trivial['n']} |")


def settle(page: Any, tab: str) -> None:
    """Wait until a tab is usable and its picture is that of its drawing."""
    page.wait_for_selector(f"#{tab}-tab .sis-studio:not([aria-busy])", timeout=1000 * PATIENCE)
    page.wait_for_selector(f"#{tab}-tab .sis-picture[data-state=fresh]", timeout=1000 * PATIENCE)


def show(page: Any, tab: str, kind: str | None) -> bool:
    """Turn to a tab and a kind of lines, and wait until all is quiet; False where the model cannot read it."""
    button = page.locator(f"[role=tab][data-tab={tab}]")
    if not button.is_visible():
        return False
    button.click()
    settle(page, tab)
    if kind is not None:
        switch = page.locator(f"#{tab}-tab [data-kind={kind}]")
        if not switch.is_visible():
            return False
        switch.click()
        page.wait_for_selector(f"#{tab}-tab [data-kind={kind}][aria-checked=true]", timeout=1000 * PATIENCE)
        settle(page, tab)
    page.wait_for_timeout(3000)
    settle(page, tab)
    return True


def pen_ups(page: Any, tab: str, count: int) -> list[float]:
    """Draw short strokes; measure from pen-up until the picture of the finished drawing is on the page."""
    box = page.locator(f"#{tab}-tab .sis-canvas").bounding_box()
    took = []
    for i in range(count):
        page.keyboard.press(str(1 + i % 9))
        page.evaluate(PEN_UP, tab)
        page.mouse.move(box["x"] + 60 + 17 * i, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 80 + 17 * i, box["y"] + 200, steps=6)
        page.mouse.up()
        page.wait_for_function("() => window.took !== null", timeout=1000 * PATIENCE)
        took.append(page.evaluate("() => window.took"))
        page.wait_for_timeout(150)
    return [value for value in took if value >= 0]


def pictures_per_second(page: Any, seconds: float = 4.0) -> float:
    """Move the pen without rest, and count the pictures that came."""
    page.evaluate("""() => {
      window.count = 0;
      const frame = document.querySelector('#mask-tab .sis-picture');
      new MutationObserver(() => window.count++).observe(frame, { attributeFilter: ['data-number'] });
    }""")
    box = page.locator("#mask-tab .sis-canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    start, i = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        i += 1
        page.mouse.move(box["x"] + 50 + (13 * i) % 380, box["y"] + 50 + (29 * i) % 370)
        page.wait_for_timeout(12)
    spent, count = time.perf_counter() - start, page.evaluate("() => window.count")
    page.mouse.up()
    return count / spent


def trivial_round_trips(browser: Any, port: int, count: int) -> list[float]:
    """Press a key; measure until Gradio has echoed the text into another box."""
    wait_for(port)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}", timeout=1000 * PATIENCE)
    page.wait_for_selector("#out textarea", timeout=1000 * PATIENCE)
    page.locator("#in textarea").click()
    page.wait_for_timeout(1000)
    took = []
    for _ in range(count):
        page.evaluate(KEY)
        page.keyboard.press("a")
        page.wait_for_function("() => window.took !== null", timeout=1000 * PATIENCE)
        took.append(page.evaluate("() => window.took"))
        page.wait_for_timeout(150)
    return took


def summary(values: list[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    if not ordered:
        return {"median": None, "p90": None, "n": 0}
    return {"median": round(statistics.median(ordered), 1), "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 1), "n": len(ordered)}


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a program that was started here to end, and end it where it does not."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_for(port: int, seconds: float = PATIENCE) -> None:
    opener, last = build_opener(ProxyHandler({})), time.perf_counter() + seconds
    while time.perf_counter() < last:
        try:
            opener.open(f"http://127.0.0.1:{port}/", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise SystemExit(f"Nothing answers on port {port}; start app.py by hand to see why.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    raise SystemExit(main())
