"""What the tests of trainers share."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

Parse = Callable[[Callable[[argparse.ArgumentParser], None], list[str]], argparse.Namespace]


@pytest.fixture
def parse() -> Parse:
    """Parse a trainer's words as `sisgen train NAME` does, on the CPU and with seed 0."""

    def read(add_arguments: Callable[[argparse.ArgumentParser], None], words: list[str]) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        for name, kind in (("--images", int), ("--batch", int), ("--out", Path)):
            parser.add_argument(name, type=kind)
        parser.set_defaults(seed=0, minutes=None, device="cpu", dry_run=False)
        add_arguments(parser)
        return parser.parse_args(words)

    return read
