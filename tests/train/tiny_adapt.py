"""A tiny adaptation as a program, to be killed: `tiny_adapt.py MODEL ROOT ANNOTATOR`."""

import importlib.util
import sys
from pathlib import Path

import torch

from sisgen.train.adapt import adapt

if __name__ == "__main__":
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("test_adapt", Path(__file__).with_name("test_adapt.py"))
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    adapt(tests.snapping(*map(Path, sys.argv[1:])))
