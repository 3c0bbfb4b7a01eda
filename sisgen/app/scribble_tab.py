"""The scribble tab: a few strokes in the colours of classes. Its looks and its hands are `static/scribble_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.widgets import mount, read_markup

NAME = "scribble"
TITLE = "Scribble"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("scribble_tab", markup=read_markup("scribble_tab"), elem_id="scribble-tab")
