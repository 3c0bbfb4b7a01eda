"""The mask tab: paint with named classes, see the picture follow. Its looks and its hands are `static/mask_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.serve.routes import STATIC
from sisgen.app.widgets import mount

TITLE = "Mask"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("mask_tab", markup=(STATIC / "mask_tab.html").read_text(encoding="utf-8"), elem_id="mask-tab")
