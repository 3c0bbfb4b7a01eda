"""The flags of `app.py`; each of them is an environment variable too, since a Space passes no flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sisgen.errors import InputError
from sisgen.hub import DEFAULT_MODEL


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How this server runs.

    Attributes:
        model: the model that the page opens with: a name or a folder.
        models: further models that visitors may choose.
        allow_any_model: let visitors load any model by name.
        allow_training: let visitors train models of their own where others than the people at this machine reach the page.
        device: "cpu", "cuda", ...; `None` chooses.
        host: address to listen on; `None` leaves it to GRADIO_SERVER_NAME, then to this machine only.
        port: port to listen on; `None` leaves it to GRADIO_SERVER_PORT, then to the first free one from 7860.
        auth: "name:password" that visitors must give; `None` asks for nothing.
        share: open a public link through Gradio's relay.
        root_path: path under which a proxy serves the page.
        memory: idle models are let go beyond this many gigabytes.
        queue_size: requests that may wait; more are asked to come again.
    """

    model: str = DEFAULT_MODEL
    models: tuple[str, ...] = ()
    allow_any_model: bool = False
    allow_training: bool = False
    device: str | None = None
    host: str | None = None
    port: int | None = None
    auth: str | None = None
    share: bool = False
    root_path: str | None = None
    memory: float = 4.0
    queue_size: int = 64

    @property
    def login(self) -> tuple[str, str] | None:
        """Name and password for Gradio, `None` when the page is open to all."""
        if self.auth is None:
            return None
        name, _, password = self.auth.partition(":")
        return name, password

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models on offer, the default one first, each once."""
        return tuple(dict.fromkeys((self.model, *self.models)))


_HELP = {
    "model": "model that the page opens with: a name or a folder",
    "models": "further models on offer, separated by commas",
    "allow_any_model": "let visitors load any model by name",
    "allow_training": "let visitors teach models of their own on a public page",
    "device": "cpu, cuda or cuda:N (default: a GPU where one works)",
    "host": "address to listen on (default: this machine only)",
    "port": "port to listen on (default: the first free one from 7860)",
    "auth": "NAME:PASSWORD that visitors must give",
    "share": "open a public link",
    "root_path": "path under which a proxy serves the page",
    "memory": "gigabytes that idle models may take",
    "queue_size": "requests that may wait (default: 64)",
}


def read_settings(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the flags, then SISGEN_* variables for those that were not given.

    Args:
        arguments: the command line without the program's name; `None` reads the process's own.
        environment: the variables; `None` reads the process's own.

    Raises:
        InputError: a variable's or a flag's value cannot be used.
    """
    environment = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(prog="app.py", description="Draw where things go, get a picture: the page.")
    for item in fields(Settings):
        flag = "--" + item.name.replace("_", "-")
        about = f"{_HELP[item.name]} [{_variable(item.name)}]"
        if isinstance(item.default, bool):
            parser.add_argument(flag, action="store_true", default=None, help=about)
        else:
            parser.add_argument(flag, default=None, help=about)
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = given[item.name] if given[item.name] is not None else environment.get(_variable(item.name))
        if text not in (None, ""):
            values[item.name] = _convert(item.name, item.default, text)
    settings = Settings(**values)
    if settings.auth is not None and not all(settings.login or ()):
        raise InputError("--auth must look like NAME:PASSWORD; write both, with a colon between them.")
    if settings.share and settings.allow_training and settings.auth is None:
        raise InputError("A public link with --allow-training needs --auth NAME:PASSWORD too, or anybody could train here.")
    return settings


def default_examples() -> Path:
    """Folder of the example drawings: in the checkout, else inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "examples" / "masks"
    return checkout if checkout.is_dir() else package / "_examples" / "masks"


def _variable(name: str) -> str:
    return f"SISGEN_{name.upper()}"


def _convert(name: str, default: object, text: str | bool) -> object:
    if isinstance(default, bool):
        return text is True or str(text).strip().lower() in ("1", "true", "yes", "on")
    if isinstance(default, tuple):
        return tuple(part.strip() for part in str(text).split(",") if part.strip())
    if name not in ("port", "memory", "queue_size"):
        return str(text)
    try:
        number = float(text) if name == "memory" else int(text)
    except ValueError:
        number = -1
    if not 0 < number <= 65535:
        flag = name.replace("_", "-")
        raise InputError(f"--{flag} must be a positive number, but it is {text!r}; leave it away for the default.")
    return number
