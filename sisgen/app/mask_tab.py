"""The mask tab: paint with named classes, see the picture follow. Its looks and its hands are `static/mask_tab.*`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.context import Context
from sisgen.app.widgets import mount, read_markup

NAME = "mask"
TITLE = "Mask"


def build(context: Context) -> gr.HTML:
    """Add the tab's one component to the Blocks that are being built."""
    return mount("mask_tab", markup=read_markup("mask_tab"), elem_id="mask-tab")
