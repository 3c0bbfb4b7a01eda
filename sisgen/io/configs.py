"""Frozen dataclasses <-> JSON: unknown keys refused by name, types and sizes checked before anything is built from them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sisgen.errors import CheckpointError, InputError, SisgenError
from sisgen.io.files import read_source, write_text

T = TypeVar("T")
MAX_JSON_BYTES = 1_000_000
MAX_MODEL_INT = 65_536  # no width, depth or size of a model that this project can run is larger


class _MismatchError(Exception):
    """A value does not fit; its text says where, what was expected and what came."""


def from_dict(
    cls: type[T], data: Any, *, where: str = "The config", largest: int | None = MAX_MODEL_INT, error: type[SisgenError] = CheckpointError
) -> T:
    """Build a config dataclass from plain JSON data.

    Args:
        cls: a dataclass of bool, int, float, str, Path, None, Literal, tuple, list, dict, unions and dataclasses of these.
        data: what `json` gave.
        where: words that name the source in messages.
        largest: greatest magnitude of any integer, so that a hostile file cannot claim 10^9 channels; `None` for no bound.
        error: what to raise.

    Returns:
        an instance of `cls`; missing keys take their defaults.

    Raises:
        SisgenError: of the class `error`: an unknown or missing key, a wrong type, a number that is not finite or too large.
    """
    try:
        return typing.cast(T, _convert(cls, data, "", largest))
    except _MismatchError as mismatch:
        raise error(f"{where} is not usable: {mismatch}; correct it or get the file again.") from None


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a config dataclass into JSON-ready data: tuples become lists, paths become strings."""
    plain = _plain(config)
    assert isinstance(plain, dict), "to_dict takes a dataclass"
    return plain


def read_json(path: str | os.PathLike[str], *, error: type[SisgenError] = CheckpointError) -> dict[str, Any]:
    """Read a JSON object of at most 1 MB.

    Raises:
        SisgenError: of the class `error`: missing, too large, not JSON, not an object, or with NaN in it.
    """
    try:
        data, name = read_source(path, MAX_JSON_BYTES)
    except InputError as problem:
        raise error(str(problem)) from None
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise error(f"{name} must be JSON, but it cannot be read as such; get the file again.") from None
    if not isinstance(value, dict):
        raise error(f"{name} must hold a JSON object, but it holds a {type(value).__name__}; get the file again.")
    return value


def write_json(path: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, in the order of its keys."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _convert(kind: Any, value: Any, at: str, largest: int | None) -> Any:
    """Convert one JSON value to the annotated type `kind`; `at` is its dotted place."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, value, at, largest)
    if origin is typing.Literal:
        if value not in typing.get_args(kind) or isinstance(value, bool):
            raise _MismatchError(f"{_place(at)} must be one of {', '.join(map(repr, typing.get_args(kind)))}, but it is {_short(value)}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(typing.get_args(kind), value, at, largest)
    if origin in (tuple, list):
        return _convert_sequence(origin, typing.get_args(kind), value, at, largest)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _MismatchError(f"{_place(at)} must be an object, but it is {_short(value)}")
        item = typing.get_args(kind)[1]
        return {str(key): _convert(item, entry, f"{at}.{key}".lstrip("."), largest) for key, entry in value.items()}
    return _convert_scalar(kind, value, at, largest)


def _convert_dataclass(cls: Any, value: Any, at: str, largest: int | None) -> Any:
    if not isinstance(value, Mapping):
        raise _MismatchError(f"{_place(at)} must be an object, but it is {_short(value)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    unknown = sorted(str(key) for key in value if key not in fields)
    if unknown:
        raise _MismatchError(f"{_place(at)} has the unknown key {unknown[0]!r} (known are {', '.join(fields)})")
    for name, field in fields.items():
        if name not in value and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _MismatchError(f"{_place(at)} lacks the key {name!r}")
    kinds = typing.get_type_hints(cls)
    try:
        return cls(**{name: _convert(kinds[name], item, f"{at}.{name}".lstrip("."), largest) for name, item in value.items()})
    except (ValueError, SisgenError) as problem:  # the dataclass's own checks
        words = str(problem).rstrip(".")
        raise _MismatchError(f"{_place(at)}: {words}" if at else words) from None


def _convert_union(kinds: tuple[Any, ...], value: Any, at: str, largest: int | None) -> Any:
    if value is None and type(None) in kinds:
        return None
    problems = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _convert(kind, value, at, largest)
            except _MismatchError as mismatch:
                problems.append(mismatch)
    raise problems[0]


def _convert_sequence(origin: Any, kinds: tuple[Any, ...], value: Any, at: str, largest: int | None) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _MismatchError(f"{_place(at)} must be a list, but it is {_short(value)}")
    if origin is list or (len(kinds) == 2 and kinds[1] is Ellipsis):
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _MismatchError(f"{_place(at)} must have {len(kinds)} entries, but it has {len(value)}")
    return origin(_convert(kind, item, f"{at}[{i}]", largest) for i, (kind, item) in enumerate(zip(kinds, value)))


def _convert_scalar(kind: Any, value: Any, at: str, largest: int | None) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        value = float(value)
    if not isinstance(kind, type) or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _MismatchError(f"{_place(at)} must be {getattr(kind, '__name__', kind)}, but it is {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _MismatchError(f"{_place(at)} must be a finite number, but it is {value}")
    if isinstance(value, int) and largest is not None and abs(value) > largest:
        raise _MismatchError(f"{_place(at)} must be at most {largest}, but it is {value}")
    return value


def _place(at: str) -> str:
    return f"'{at}'" if at else "it"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
