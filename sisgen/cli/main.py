"""The `sisgen` command: finds the verb, runs it, and turns every expected failure into one sentence and an exit code."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

import sisgen
from sisgen.cli.arguments import Parser
from sisgen.errors import SisgenError

VERBS = (
    "generate",
    "invert",
    "edit",
    "directions",
    "video",
    "data",
    "train",
    "ablate",
    "evaluate",
    "evaluate-edges",
    "release",
    "push",
    "convert",
    "adapt",
)
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def build_parser() -> Parser:
    """Build the parser of all verbs; each verb is a module of `sisgen.cli` with `add_parser(subparsers)`."""
    parser = Parser(prog="sisgen", description="Draw where things go, get a picture.")
    parser.add_argument("--version", action="version", version=f"sisgen {sisgen.__version__}")
    subparsers = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        importlib.import_module(f"sisgen.cli.{verb.replace('-', '_')}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the arguments after the command's name; `None` takes those of the process.

    Returns:
        0 when all went well, 1 when a job finished with failures, 2 for bad input, 130 after Ctrl+C.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "httpcore", "urllib3", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        args = build_parser().parse_args(argv)
        from sisgen.devices import keep_freed_memory  # brings torch in: not for --help

        keep_freed_memory()
        return int(args.run(args) or 0)
    except SystemExit as stop:  # argparse's own way out of --help, --version and wrong arguments
        return stop.code if isinstance(stop.code, int) else EXIT_BAD_INPUT
    except SisgenError as error:
        return _complain(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(f"'{error.filename}' cannot be used ({error.strerror}); check the path, its permissions and the free space.")
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on where it stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _complain(sentence: str) -> int:
    print(f"sisgen: {sentence}", file=sys.stderr)
    return EXIT_BAD_INPUT
