"""The sketch tab: lines by hand, edges of a photo, soft edges or depth. Its looks and its hands are `static/sketch_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.widgets import mount, read_markup

NAME = "sketch"
TITLE = "Sketch"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("sketch_tab", markup=read_markup("sketch_tab"), elem_id="sketch-tab")
