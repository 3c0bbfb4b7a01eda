"""Imports inside `sisgen` may only point down the table, siblings never at each other; heavy libraries stay at home."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = [  # high -> low; names in one row are independent siblings
    {"app", "cli"},
    {"train"},
    {"pipeline"},
    {"engines"},
    {"inversion", "editing", "metrics"},
    {"conditions", "proxy", "rearrange"},
    {"generators"},
    {"nets"},
    {"data"},
    {"hub"},
    {"io"},
    {"types"},
    {"shapes"},
    {"devices"},
    {"errors"},
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
HOMES = {
    "gradio": {"app"},
    "cv2": {"io", "conditions", "data"},
    "sklearn": {"proxy", "editing", "metrics"},
    "huggingface_hub": {"hub"},
    "transformers": {"editing"},
    "pickle": {"io"},
}
UNLAYERED = {"__init__", "__main__"}


def imported_names(tree):
    """Yield (line, dotted name) of every import; relative imports come as ".name"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, f".{node.module or ''}"
        elif isinstance(node, ast.ImportFrom):
            whole = node.module != "sisgen"
            yield from [(node.lineno, node.module)] if whole else ((node.lineno, f"sisgen.{alias.name}") for alias in node.names)


def violations(package):
    found = []
    for path in sorted(package.rglob("*.py")):
        here = path.relative_to(package).with_suffix("").parts[0]
        if here in UNLAYERED:
            continue
        if here not in RANK:
            found.append(f"{path.name}: part '{here}' is in no layer")
            continue
        for line, name in imported_names(ast.parse(path.read_text(encoding="utf-8"))):
            problem = judge(here, name)
            if problem:
                found.append(f"{path.relative_to(package)}:{line}: {problem}")
    return found


def judge(here, name):
    top, _, rest = name.partition(".")
    there = rest.split(".")[0]
    if not top:
        return "relative import"
    if top in HOMES and here not in HOMES[top]:
        return f"{here} may not import {top}"
    if top != "sisgen" or not there or there in (here, "__version__"):
        return None
    if there not in RANK:
        return f"unknown part {there}"
    return f"{here} imports {there} (up or sideways)" if RANK[there] <= RANK[here] else None


def test_imports_point_down():
    assert violations(ROOT / "sisgen") == []


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("io/a.py", "from sisgen.hub import find_model", "io imports hub (up or sideways)"),
        ("proxy/a.py", "import sisgen.rearrange.attention", "proxy imports rearrange (up or sideways)"),
        ("train/a.py", "def f():\n    import gradio", "train may not import gradio"),
        ("nets/a.py", "from . import b", "relative import"),
        ("odd/a.py", "", "part 'odd' is in no layer"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, text, expected):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)

    found = violations(tmp_path)

    assert len(found) == 1
    assert expected in found[0]
