"""Parts of the page that are drawn by the page's own scripts: a `gr.HTML` whose markup and script are files in `static/`."""

from __future__ import annotations

import gradio as gr

from sisgen.app.serve.routes import PREFIX, STATIC, static_version

SHARED = ("tools", "drawing", "picture", "result", "mix", "parts")  # that several tabs have; one may hold a later one

# Runs when Gradio has put the markup on the page; the address keeps to the proxy's path that Gradio was told.
_ON_LOAD = """
const root = (window.gradio_config?.root ?? "").replace(/\\/$/, "");
import(`${root}%(prefix)s/static/%(version)s/%(script)s.js`).then((module) => module.mount(element, `${root}%(prefix)s`));
"""


def mount(script: str, *, markup: str, elem_id: str) -> gr.HTML:
    """Add a part to the Blocks that are being built.

    Args:
        script: `static/SCRIPT.js`, a module with `mount(element, base)`.
        markup: fixed HTML; nothing that a visitor or a model chose may be in it.
        elem_id: the part's id on the page.
    """
    on_load = _ON_LOAD % {"prefix": PREFIX, "version": static_version(), "script": script}
    return gr.HTML(
        html_template=markup, js_on_load=on_load, elem_id=elem_id, elem_classes=["sis-part"], apply_default_css=False, padding=False
    )


def read_markup(name: str) -> str:
    """Read `static/NAME.html`, with the parts that tabs share put where it asks for them, as in `<!-- tools -->`."""
    markup = (STATIC / f"{name}.html").read_text(encoding="utf-8")
    for part in SHARED:
        markup = markup.replace(f"<!-- {part} -->", (STATIC / f"{part}.html").read_text(encoding="utf-8").strip())
    return markup
