"""The page around the tabs: name, model menu, light and dark, and the one look of it all."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import gradio as gr

from sisgen.app import api, mask_tab
from sisgen.app.context import Context
from sisgen.app.serve.routes import STATIC
from sisgen.app.widgets import mount

TABS: tuple[ModuleType, ...] = (mask_tab,)
TITLE = "sisgen: draw where things go, get a picture"

# Before anything is painted on the screen: the visitor's choice of light or dark, else the system's.
_THEME_SCRIPT = """
(() => {
  let theme = null;
  try { theme = localStorage.getItem("sisgen.theme"); } catch { /* storage is off */ }
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("sis-dark", dark);
})();
"""


def build(context: Context) -> gr.Blocks:
    """Build the whole page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, 600), fill_width=True) as page:
        mount("header", markup=(STATIC / "header.html").read_text(encoding="utf-8"), elem_id="sis-header")
        if len(TABS) == 1:
            TABS[0].build(context)
        else:
            with gr.Tabs():
                for tab in TABS:
                    with gr.Tab(tab.TITLE):
                        tab.build(context)
        api.build(context)
    return page.queue(max_size=64, default_concurrency_limit=2)


def launch_arguments() -> dict[str, Any]:
    """Make the arguments of `launch` that belong to the look."""
    styles = (STATIC / "page.css").read_text(encoding="utf-8")
    return {
        "theme": gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        "head": f"<script>{_THEME_SCRIPT}</script><style>{styles}</style>",
        "favicon_path": STATIC / "mark.svg",
        "footer_links": [],
    }
