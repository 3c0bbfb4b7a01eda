"""What the verbs share: parsers that complain in one sentence, late ones for slow modules, and checked argument types."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

MAX_SEED = 2**32 - 1

Fill = Callable[[argparse.ArgumentParser], None]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence, and which may learn its arguments late.

    Attributes:
        fill: adds the arguments when this parser is really used, so that a module that is slow to import is imported only
            for its own verb; `None` when they are there already.
    """

    fill: Fill | None = None

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Parse as `argparse` does, after the late arguments were added."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print one sentence on stderr and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def seed(text: str) -> int:
    """Read a seed: a whole number in 0..2**32 - 1."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"a seed must be a whole number from 0 to {MAX_SEED}, but it is {_short(text)}")
    return value


def count(text: str) -> int:
    """Read a whole number of at least 1; 5k and 1M mean 5,000 and 1,000,000."""
    factor = {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    try:
        value = round(float(text[:-1]) * factor) if factor > 1 else int(text.replace("_", ""))
    except (ValueError, OverflowError):
        value = 0
    if not 1 <= value <= 10**12:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 was expected (5k and 1M are understood), but it is {_short(text)}")
    return value


def class_number(text: str) -> int:
    """Read the number of a generator's class: a whole number of at least 0."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"a class is a whole number from 0 on, but it is {_short(text)}")
    return int(text)


def region(text: str) -> tuple[str, int]:
    """Read a class and the seed whose style it takes: CLASS=SEED."""
    name, _, value = text.rpartition("=")
    if not name.strip():
        raise argparse.ArgumentTypeError(f"a class and a seed were expected, such as hair=7, but it is {_short(text)}")
    return name.strip(), seed(value)


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """Make an argument type: a finite number in [low, high]."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            wanted = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
            raise argparse.ArgumentTypeError(f"a number {wanted} was expected, but it is {_short(text)}")
        return value

    return read


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."
