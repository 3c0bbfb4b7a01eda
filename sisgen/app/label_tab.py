"""The label tab: paint samples with own classes, teach the model, use it. Its looks and its hands are `static/label_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.widgets import mount, read_markup

NAME = "label"
TITLE = "Label"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("label_tab", markup=read_markup("label_tab"), elem_id="label-tab")
