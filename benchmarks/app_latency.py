"""How fast the page follows the pen, in a real headless Chromium, next to Gradio's own trivial round trip in the same run.

    python -m benchmarks.app_latency --model portraits

Starts `app.py` as a visitor's machine would, and prints one JSON line: seconds until the page is usable, milliseconds from
pen-up to the new picture, Gradio's trivial round trip, and pictures a second while the pen moves.
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
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]
TRIVIAL = """
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    box, out = gr.Textbox(elem_id="in"), gr.Textbox(elem_id="out")
    box.input(lambda text: text, box, out, show_progress="hidden", trigger_mode="always_last")
page.launch(server_port={port}, ssr_mode=False, quiet=True)
"""

# Waits in the page itself, frame by frame, so that the driver's own delays are not counted.
PEN_UP = """() => new Promise((done) => {
  const frame = document.querySelector('.sis-picture'), image = frame.querySelector('img');
  addEventListener('pointerup', () => {
    const start = performance.now();
    const look = () => frame.dataset.state === 'fresh' && image.complete
      ? image.decode().then(() => requestAnimationFrame(() => { window.took = performance.now() - start; }))
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
    parser.add_argument("--strokes", type=int, default=20, help="strokes and keys to measure")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("This benchmark needs a chromium on the path; install the chromium package.\n")
        return 2
    print(json.dumps(measure(options, chromium)))
    return 0


def measure(options: argparse.Namespace, chromium: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    port, other = free_port(), free_port()
    started = time.perf_counter()
    app = subprocess.Popen([sys.executable, options.app, "--model", options.model, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        up = time.perf_counter() - started
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
            opened = time.perf_counter()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{port}")
            page.wait_for_selector(".sis-studio:not([aria-busy])", timeout=60000)
            page.wait_for_selector(".sis-picture[data-state=fresh]", timeout=60000)
            usable = up + time.perf_counter() - opened
            page.wait_for_timeout(3000)
            strokes = pen_ups(page, options.strokes)
            rate = pictures_per_second(page)
            trivial = subprocess.Popen(
                [sys.executable, "-c", TRIVIAL.format(port=other)], env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "0"}
            )
            try:
                keys = trivial_round_trips(browser, other, options.strokes)
            finally:
                trivial.terminate()
            browser.close()
    finally:
        app.terminate()
        app.wait(15)
    return {
        "seconds_to_server": round(up, 2),
        "seconds_to_usable_page": round(usable, 2),
        "pen_up_to_picture_ms": summary(strokes),
        "gradio_trivial_ms": summary(keys),
        "over_trivial_ms": round(statistics.median(strokes) - statistics.median(keys), 1),
        "pictures_per_second": round(rate, 1),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def pen_ups(page: Any, count: int) -> list[float]:
    """Draw short strokes; measure from pen-up until the picture of the finished drawing is on the page."""
    box = page.locator(".sis-canvas").first.bounding_box()
    took = []
    for i in range(count):
        page.keyboard.press(str(1 + i % 9))
        page.evaluate(PEN_UP)
        page.mouse.move(box["x"] + 60 + 17 * i, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 80 + 17 * i, box["y"] + 200, steps=6)
        page.mouse.up()
        page.wait_for_function("() => window.took !== null", timeout=30000)
        took.append(page.evaluate("() => window.took"))
        page.wait_for_timeout(150)
    return took


def pictures_per_second(page: Any, seconds: float = 4.0) -> float:
    """Move the pen without rest, and count the pictures that came."""
    page.evaluate("""() => {
      window.count = 0;
      const frame = document.querySelector('.sis-picture');
      new MutationObserver(() => window.count++).observe(frame, { attributeFilter: ['data-number'] });
    }""")
    box = page.locator(".sis-canvas").first.bounding_box()
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
    page.goto(f"http://127.0.0.1:{port}")
    page.wait_for_selector("#out textarea")
    page.locator("#in textarea").click()
    page.wait_for_timeout(1000)
    took = []
    for _ in range(count):
        page.evaluate(KEY)
        page.keyboard.press("a")
        page.wait_for_function("() => window.took !== null", timeout=30000)
        took.append(page.evaluate("() => window.took"))
        page.wait_for_timeout(150)
    return took


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median": round(statistics.median(ordered), 1), "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 1), "n": len(ordered)}


def wait_for(port: int, seconds: float = 120.0) -> None:
    opener, end = build_opener(ProxyHandler({})), time.perf_counter() + seconds
    while time.perf_counter() < end:
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
