"""Flags and their environment variables."""

from __future__ import annotations

import pytest

from sisgen.app.settings import default_examples, read_settings
from sisgen.errors import InputError


def test_every_flag_is_an_environment_variable_too() -> None:
    environment = {"SISGEN_MODEL": "cats", "SISGEN_MODELS": "portraits, cats", "SISGEN_PORT": "7999", "SISGEN_SHARE": "yes"}
    settings = read_settings([], environment)
    assert settings.names == ("cats", "portraits")
    assert (settings.port, settings.share, settings.host) == (7999, True, None)
    assert read_settings(["--model", "dogs"], environment).names[0] == "dogs", "a flag stands above its variable"


def test_login_needs_both_parts() -> None:
    assert read_settings(["--auth", "ada:secret:x"], {}).login == ("ada", "secret:x")
    with pytest.raises(InputError, match="NAME:PASSWORD"):
        read_settings(["--auth", "ada"], {})


@pytest.mark.parametrize("port", ["x", "-1", "0", "70000"])
def test_a_port_must_be_one(port: str) -> None:
    with pytest.raises(InputError, match="port"):
        read_settings(["--port", port], {})


def test_the_queue_has_a_size() -> None:
    assert read_settings(["--queue-size", "12"], {}).queue_size == 12
    for wrong in ("0", "many", "1.5"):
        with pytest.raises(InputError, match="--queue-size"):
            read_settings(["--queue-size", wrong], {})


def test_examples_are_found() -> None:
    assert len(list(default_examples().glob("*.png"))) >= 6


def test_a_public_link_with_trainings_needs_a_login() -> None:
    assert read_settings([], {"SISGEN_ALLOW_TRAINING": "1"}).allow_training
    with pytest.raises(InputError, match="--auth"):
        read_settings(["--share", "--allow-training"], {})
    assert read_settings(["--share", "--allow-training", "--auth", "ada:secret"], {}).allow_training
