"""The bar of a download, for programs with a terminal that may have to fetch a model; the library itself draws none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sisgen.hub.download import Report


@contextmanager
def download_bar() -> Iterator[Report]:
    """Lend a report that draws one bar for each thing that is fetched; where no terminal is, it draws none."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def report(name: str, done: int, total: int) -> None:
        if name not in bars:
            for bar in bars.values():
                bar.close()
            # What an earlier command fetched already counts as done, but not for the speed.
            bars[name] = tqdm(desc=name, total=total or None, initial=done, unit="B", unit_scale=True, unit_divisor=1000, disable=None)
        bar = bars[name]
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        for bar in bars.values():
            bar.close()
