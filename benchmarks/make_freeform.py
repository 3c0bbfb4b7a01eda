"""Draws the free-form masks of `examples/freeform`: rendered test masks, painted over as a visitor might.

Run `python -m benchmarks.make_freeform`; `--sheet FILE` also draws all of them beside their bases. The edits are those of
`benchmarks/freeform/`; the same files come out every time.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.freeform import EDITS, Edit
from benchmarks.freeform.drawing import Drawing
from sisgen.data.portraits import PORTRAIT_LABELS, render
from sisgen.io.configs import write_json
from sisgen.io.files import write_bytes
from sisgen.io.images import save_png
from sisgen.io.labels import color_labels

SIZE = 128
LEAST = 16  # pixels of a class that count as changed on purpose
MANIFEST = "freeform.json"


def main() -> None:
    """Draw all masks and their list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("examples/freeform"))
    parser.add_argument("--sheet", type=Path, help="picture of all masks beside their bases (default: none)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    drawn = [draw(one) for one in EDITS]
    rows = [describe(i, one, *masks) for i, (one, masks) in enumerate(zip(EDITS, drawn), 1)]
    for row, (_, mask) in zip(rows, drawn):
        write_bytes(args.out / row["file"], encode(mask))
    write_json(args.out / MANIFEST, {"base": "portraits", "size": SIZE, "masks": rows})
    if args.sheet:
        save_png(args.sheet, sheet(drawn))
    print(f"{len(rows)} masks, {np.mean([row['share'] for row in rows]):.1%} of their pixels changed, in {args.out}")


def draw(one: Edit) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the base mask and the edited one, int64 [128, 128] both."""
    base = render([one.seed], SIZE).labels[0].numpy()
    drawing = Drawing(base, one.seed)
    one.draw(drawing)
    return base, drawing.labels()


def describe(number: int, one: Edit, base: NDArray[np.int64], mask: NDArray[np.int64]) -> dict[str, Any]:
    """Say what was changed: "painted" names the classes that came, "removed" those that went, `LEAST` pixels and more."""
    changed = mask != base
    painted, removed = (_names(labels[changed]) for labels in (mask, base))
    return {
        "file": f"{number:02d}-{one.name}.png",
        "words": one.words,
        "seed": one.seed,
        "painted": painted,
        "removed": removed,
        "share": round(float(changed.mean()), 4),
    }


def encode(mask: NDArray[np.int64]) -> bytes:
    """Encode a whole mask as a small indexed PNG of four bits with the portraits' palette."""
    image = Image.fromarray(mask.astype(np.uint8), mode="P")
    image.putpalette(np.array(PORTRAIT_LABELS.colors, dtype=np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=4, optimize=True)
    return buffer.getvalue()


def sheet(drawn: list[tuple[NDArray[np.int64], NDArray[np.int64]]], columns: int = 8) -> NDArray[np.uint8]:
    """Lay out all masks, each to the right of its base at half its size."""
    rows = -(-len(drawn) // columns)
    page = np.full((rows * 132, columns * 200, 3), 255, np.uint8)
    for i, (base, mask) in enumerate(drawn):
        top, left = i // columns * 132, i % columns * 200
        page[top : top + 64, left : left + 64] = color_labels(base[::2, ::2], PORTRAIT_LABELS)
        page[top : top + SIZE, left + 66 : left + 66 + SIZE] = color_labels(mask, PORTRAIT_LABELS)
    return page


def _names(labels: NDArray[np.int64]) -> list[str]:
    counts = np.bincount(labels, minlength=len(PORTRAIT_LABELS))
    return [name for name, count in zip(PORTRAIT_LABELS.names, counts) if count >= LEAST]


if __name__ == "__main__":
    main()
