"""The photo tab: own photographs are repainted, or lend their shape or style. Its looks and its hands are `static/photo_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.widgets import mount, read_markup

NAME = "photo"
TITLE = "Photo"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("photo_tab", markup=read_markup("photo_tab"), elem_id="photo-tab")
