from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from sisgen.errors import CheckpointError, InputError
from sisgen.io.configs import from_dict, read_json, to_dict, write_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    width: int = 8
    rate: float = 0.5

    def __post_init__(self):
        if self.width == 13:
            raise ValueError("width 13 brings bad luck.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    channels: tuple[int, ...] = (4, 8)
    color: tuple[int, int, int] = (0, 0, 0)
    kind: Literal["a", "b"] = "a"
    minutes: float | None = None
    path: Path | None = None
    on: bool = False
    parts: Mapping[str, Inner] = field(default_factory=dict)


FULL = {
    "name": "x",
    "inner": {"width": 3, "rate": 2},
    "channels": [1, 2, 3],
    "color": [1, 2, 3],
    "kind": "b",
    "minutes": 1.5,
    "path": "a/b",
    "on": True,
    "parts": {"mask": {"width": 5, "rate": 0.25}},
}


def test_round_trip():
    config = from_dict(Outer, FULL)

    assert config.inner == Inner(width=3, rate=2.0)
    assert config.channels == (1, 2, 3)
    assert config.path == Path("a/b")
    assert config.parts["mask"].width == 5
    assert from_dict(Outer, to_dict(config)) == config
    assert to_dict(config) == {**FULL, "inner": {"width": 3, "rate": 2.0}}


def test_defaults_fill_what_is_missing():
    assert from_dict(Outer, {"name": "x"}) == Outer(name="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wdth": 3}, "unknown key 'wdth'"),
        ({"inner": {"wdth": 3}}, "'inner' has the unknown key 'wdth'"),
        ({"inner": {"width": 10**9}}, "'inner.width' must be at most 65536, but it is 1000000000"),
        ({"channels": [1, 10**9]}, r"'channels\[1\]' must be at most 65536"),
        ({"channels": [1, 2.5]}, r"'channels\[1\]' must be int"),
        ({"channels": "12"}, "must be a list"),
        ({"color": [1, 2]}, "must have 3 entries, but it has 2"),
        ({"kind": "c"}, "must be one of 'a', 'b'"),
        ({"kind": ["a"]}, "must be one of"),
        ({"minutes": float("nan")}, "finite"),
        ({"minutes": "soon"}, "'minutes' must be float, but it is 'soon'"),
        ({"on": 1}, "must be bool"),
        ({"name": 3}, "must be str"),
        ({"name": None}, "must be str"),
        ({"inner": {"width": True}}, "must be int"),
        ({"inner": {"width": 13}}, "brings bad luck"),
        ({"inner": 3}, "'inner' must be an object"),
        ({"parts": {"mask": {"width": "x"}}}, "'parts.mask.width' must be int"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(CheckpointError, match=message):
        from_dict(Outer, {**FULL, **change})


def test_missing_key_and_other_errors():
    with pytest.raises(InputError, match="My file is not usable: it lacks the key 'name'"):
        from_dict(Outer, {}, where="My file", error=InputError)
    with pytest.raises(CheckpointError, match="must be an object"):
        from_dict(Outer, [])


def test_the_bound_is_the_callers():
    assert from_dict(Inner, {"width": 10**9}, largest=None).width == 10**9


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "c.json", FULL)

    assert read_json(tmp_path / "c.json") == FULL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "holds a list"),
        ('{"a": NaN}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("", "is empty"),
    ],
)
def test_bad_json(tmp_path, text, message):
    (tmp_path / "c.json").write_text(text)

    with pytest.raises(CheckpointError, match=message):
        read_json(tmp_path / "c.json")


def test_missing_json(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        read_json(tmp_path / "c.json")
