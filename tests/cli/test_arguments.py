import argparse

import pytest

from sisgen.cli.arguments import Parser, count, number, region, seed


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("4294967295", 2**32 - 1)])
def test_seed(text, value):
    assert seed(text) == value


@pytest.mark.parametrize("text", ["-1", str(2**32), str(2**70), "1.5", "nan", "x", "", "9" * 5000])
def test_no_seed(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a seed must be a whole number from 0 to 4294967295"):
        seed(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("400k", 400_000), ("1.5M", 1_500_000), ("10_000", 10_000)])
def test_count(text, value):
    assert count(text) == value


@pytest.mark.parametrize("text", ["0", "-3", "k", "nank", "infM", "1e99M", "many", ""])
def test_no_count(text):
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
        count(text)


def test_number():
    assert number(0, 1.5)("0.7") == 0.7


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1.6", "x"])
def test_no_number(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"a number from 0 to 1\.5 was expected"):
        number(0, 1.5)(text)


def test_region():
    assert region("upper lip=7") == ("upper lip", 7)
    assert region("a=b = 12") == ("a=b", 12)


@pytest.mark.parametrize(
    ("text", "words"), [("hair", "such as hair=7"), ("=7", "such as hair=7"), ("", "hair=7"), ("hair=-1", "a seed must be")]
)
def test_no_region(text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        region(text)


def test_late_arguments_are_added_once_and_only_when_needed():
    filled = []

    def fill(parser):
        filled.append(parser.prog)
        parser.add_argument("--width", type=int)

    root = Parser(prog="root")
    subparsers = root.add_subparsers(dest="verb")
    for verb in ("one", "two"):
        subparsers.add_parser(verb).fill = fill

    assert filled == []
    assert root.parse_args(["two", "--width", "3"]).width == 3
    assert root.parse_args(["two", "--width", "4"]).width == 4
    assert filled == ["root two"]


def test_a_complaint_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as stop:
        Parser(prog="p").parse_args(["--odd"])

    assert stop.value.code == 2
    assert capsys.readouterr().err == "p: unrecognized arguments: --odd; see p --help.\n"
