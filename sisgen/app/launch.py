"""From the command line to a served page, and down again on SIGTERM."""

from __future__ import annotations

import getpass
import os
import signal
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.app.context import Context, Registry
from sisgen.app.models import Downloads, LocalModels, is_private, why_no_training
from sisgen.app.serve.live import Lane, LaneConfig
from sisgen.app.settings import Settings, default_examples, read_settings
from sisgen.app.training.runner import Trainings
from sisgen.app.zero import is_zero, make_loans
from sisgen.errors import SisgenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import gradio as gr

    from sisgen.pipeline import Pipeline

GRACE = 8.0  # seconds until the process ends by force after SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until SIGINT or SIGTERM; return the exit code."""
    try:
        settings = read_settings(arguments)
    except SisgenError as error:
        return _fail(error)
    prepare_environment()
    stop = catch_signals()  # before the page is up: whoever can reach it can end it
    context = build_context(settings)
    page = serve(context)
    sys.stdout.write(f"Open {page.share_url or page.local_url} in a browser; Ctrl+C ends it.\n")
    sys.stdout.flush()
    try:
        warm_up(context)  # while the first browser is still loading the page
        code = wait_for_signal(stop)
    except SisgenError as error:
        code = _fail(error)
    threading.Thread(target=_end_by_force, args=(code,), daemon=True).start()
    context.trainings.close()
    context.lane.close()
    page.close(verbose=False)
    return code


def prepare_environment() -> None:
    """Set what gradio reads while it is imported: no analytics, no node server, own folder, no proxy to ourselves.

    Variables that are set already stay as they are, but for analytics and server-side rendering, which are always off.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_SSR_MODE"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / f"sisgen-{_user()}"))
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))
    from sisgen.io.images import guard_decoders

    guard_decoders()


def build_context(settings: Settings) -> Context:
    """Make the registry and the lane; no model is loaded yet."""
    downloads, trainings = Downloads(), Trainings(why_no_training(settings))
    options: dict[str, Any] = {"max_bytes": int(settings.memory * 2**30), "allow_any": settings.allow_any_model}
    load = partial(_load, downloads=downloads, own=settings.names)
    # On ZeroGPU all but the loans stays on the CPU; the workers load models of their own.
    loans = make_loans(Registry(settings.names, partial(load, device=None), **options)) if is_zero() else None
    device = settings.device or ("cpu" if loans else None)
    local = LocalModels(settings.names) if is_private(settings) and not settings.models else tuple
    registry = Registry(
        settings.names,
        partial(load, device=device),
        more=lambda: (*local(), *trainings.saved_names()),
        **options,
    )
    lane = Lane(lambda batch, payloads: batch(payloads), LaneConfig(max_waiting=settings.queue_size))
    return Context(
        settings=settings,
        registry=registry,
        lane=lane,
        examples=default_examples(),
        downloads=downloads,
        trainings=trainings,
        loans=loans,
    )


def warm_up(context: Context) -> None:
    """Load the first model and paint one picture, so that the first visitor does not wait for it.

    Raises:
        SisgenError: the model cannot be loaded.
    """
    with context.registry.lease() as pipe:
        seed = int(pipe.defaults.get("seed", 0))
        pipe(None, seeds=[seed])


def serve(context: Context) -> gr.Blocks:
    """Build the page and serve it from a thread."""
    from sisgen.app import page as page_module
    from sisgen.app.serve.routes import build_routes

    settings = context.settings
    page = page_module.build(context)
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=settings.login,
        share=settings.share,
        root_path=settings.root_path,
        app_kwargs={"routes": build_routes(context)},
        max_file_size="20mb",
        state_session_capacity=200,
        ssr_mode=False,
        show_error=True,
        quiet=True,
        prevent_thread_lock=True,
        **page_module.launch_arguments(),
    )
    return page


def catch_signals() -> threading.Event:
    """Turn SIGINT and SIGTERM into an event from now on."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def wait_for_signal(stop: threading.Event) -> int:
    """Sleep until SIGINT or SIGTERM has come; return the exit code for that, 0."""
    while not stop.wait(1.0):
        pass
    return 0


def _load(name: str, *, device: str | None, downloads: Downloads, own: Sequence[str] = ()) -> Pipeline:
    """Load a model, or fetch it first; the page and the terminal are told how far that is. `own` names may be bare generators."""
    from sisgen.app.untaught import open_untaught
    from sisgen.devices import keep_freed_memory
    from sisgen.hub.bar import download_bar
    from sisgen.pipeline import Pipeline

    keep_freed_memory()
    bare = open_untaught(name, device) if name in own else None
    if bare is not None:
        return bare
    told = downloads.report_for(name)
    try:
        with download_bar() as draw:
            return Pipeline.from_pretrained(name, device=device, report=lambda *progress: (told(*progress), draw(*progress))[1])
    finally:
        downloads.finish(name)


def _fail(error: SisgenError) -> int:
    sys.stderr.write(f"{error}\n")
    return 2


def _end_by_force(code: int) -> None:
    threading.Event().wait(GRACE)
    os._exit(code)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "user"
