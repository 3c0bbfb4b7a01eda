"""The page around the tabs: name, model menu, light and dark, and the one look of it all."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import gradio as gr

from sisgen.app import api, label_tab, mask_tab, photo_tab, scribble_tab, sketch_tab
from sisgen.app.context import Context
from sisgen.app.serve.routes import STATIC
from sisgen.app.widgets import mount, read_markup

TABS: tuple[ModuleType, ...] = (mask_tab, scribble_tab, sketch_tab, photo_tab, label_tab)
TITLE = "sisgen: draw where things go, get a picture"

# Before anything is painted on the screen: the visitor's choice of light or dark, else the system's; and the first tab.
_START_SCRIPT = """
(() => {
  let theme = null;
  try { theme = localStorage.getItem("sisgen.theme"); } catch { /* storage is off */ }
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("sis-dark", dark);
  document.documentElement.dataset.tab = "%(first)s";
})();
"""


def build(context: Context) -> gr.Blocks:
    """Build the whole page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, 600), fill_width=True) as page:
        mount("header", markup=_header(), elem_id="sis-header")
        for tab in TABS:
            tab.build(context)
        api.build(context)
    return page.queue(max_size=context.settings.queue_size, default_concurrency_limit=2)


def _header() -> str:
    """Make the top of the page: a tab is one button there, and only the chosen tab's part of the page is shown."""
    buttons = "".join(
        f'<button type="button" role="tab" data-tab="{tab.NAME}" aria-controls="{tab.NAME}-tab" aria-selected="false">{tab.TITLE}</button>'
        for tab in TABS
    )
    return read_markup("header").replace("<!-- tabs -->", buttons)


def launch_arguments() -> dict[str, Any]:
    """Make the arguments of `launch` that belong to the look."""
    styles = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("page.css", "label_tab.css"))
    start = _START_SCRIPT % {"first": TABS[0].NAME}
    others = "".join(f":root:not([data-tab={tab.NAME}]) #{tab.NAME}-tab {{ display: none !important; }}\n" for tab in TABS)
    return {
        "theme": gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        "head": f"<script>{start}</script><style>{styles}{others}</style>",
        "favicon_path": STATIC / "mark.svg",
        "footer_links": [],
    }
