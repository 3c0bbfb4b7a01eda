"""The routes behind the page's scripts: they check the caller, call one function each and turn errors into sentences.

Drawings go this way and not through Gradio's queue because a queued event costs two requests and an event stream, which is
several times the work of a stroke; logins and the proxy's path are those of the Gradio app that carries the routes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sisgen.app import mask_actions, models
from sisgen.app.limits import MAX_CANVAS_BYTES, MAX_FILE_BYTES, Wish, read_canvas, read_whole, read_wish
from sisgen.app.painting import encode_shown
from sisgen.app.serve.live import BusyError, SupersededError
from sisgen.errors import InputError, SisgenError

if TYPE_CHECKING:
    from sisgen.app.context import Context

STATIC = Path(__file__).resolve().parents[1] / "static"
PREFIX = "/sisgen"

_log = logging.getLogger(__name__)
_VISITOR = re.compile(r"[A-Za-z0-9_-]{8,64}")
Handler = Callable[["Context", Request], Awaitable[Response]]


def build_routes(context: Context) -> list[BaseRoute]:
    """Make all routes, to be handed to the Gradio app."""
    posts: dict[str, Handler] = {
        "paint": _paint,
        "reading": _reading,
        "open-mask": _open_mask,
        "save-mask": _save_mask,
        "save-picture": _save_picture,
    }
    gets: dict[str, Handler] = {"model": _model, "sample": _sample, "palette": _palette, "health": _health, "download": _download}
    routes: list[BaseRoute] = [Mount(f"{PREFIX}/static/{static_version()}", _Static(directory=STATIC))]
    routes += [Route(f"{PREFIX}/{name}", _guarded(context, handler), methods=["POST"]) for name, handler in posts.items()]
    routes += [Route(f"{PREFIX}/{name}", _guarded(context, handler), methods=["GET"]) for name, handler in gets.items()]
    return routes


def static_version() -> str:
    """Fingerprint of the page's scripts and styles, part of their address so that a browser never mixes two versions."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


class _Static(StaticFiles):
    """Files that never change under their address."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _guarded(context: Context, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler: no answer without a login where one is set, and one sentence for every error."""

    async def endpoint(request: Request) -> Response:
        if not is_logged_in(request):
            return _refuse(401, "Please log in first; reload the page.")
        try:
            return await handler(context, request)
        except BusyError as error:
            return _refuse(503, str(error))
        except (SupersededError, ClientDisconnect):
            return _refuse(409, "A newer drawing took the place of this one.")
        except SisgenError as error:
            return _refuse(422, str(error))
        except Exception:
            _log.exception("a request of the page failed")
            return _refuse(500, "Something went wrong on the server; the drawing is safe, try once more.")

    return endpoint


def is_logged_in(request: Request) -> bool:
    """Whether the caller has logged in, by the same cookie as Gradio's own routes; true where no login is set."""
    app = request.app
    if getattr(app, "auth", None) is None:
        return True
    cookies = request.cookies
    token = cookies.get(f"access-token-{app.cookie_id}") or cookies.get(f"access-token-unsecure-{app.cookie_id}")
    return app.tokens.get(token) is not None


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


async def _paint(context: Context, request: Request) -> Response:
    wish, canvas = _wish(request), await _body(request, MAX_CANVAS_BYTES)
    rank = mask_actions.VARIATION if request.query_params.get("rest") else mask_actions.STROKE
    future = await run_in_threadpool(mask_actions.submit, context, _visitor(request), wish, canvas, rank=rank)
    painted = await _answer(request, future)
    picture = await run_in_threadpool(encode_shown, painted.image)
    report = {"model": painted.model, "seed": painted.seed, "ms": round(painted.milliseconds, 1), "size": painted.image.shape[0]}
    headers = {"X-Sisgen": json.dumps(report), "Cache-Control": "no-store"}
    return Response(picture, media_type="image/jpeg", headers=headers)


async def _reading(context: Context, request: Request) -> Response:
    wish, canvas = _wish(request), await _body(request, MAX_CANVAS_BYTES)
    rank = mask_actions.READING
    future = await run_in_threadpool(mask_actions.submit, context, _visitor(request), wish, canvas, rank=rank, read_back=True)
    painted = await _answer(request, future)

    def tell() -> dict[str, Any]:
        with context.registry.lease(wish.model) as pipe:
            return mask_actions.tell_agreement(painted, read_canvas(canvas, len(pipe.labels)), pipe.labels)

    return JSONResponse(await run_in_threadpool(tell))


async def _sample(context: Context, request: Request) -> Response:
    future = await run_in_threadpool(mask_actions.submit_sample, context, _visitor(request), _wish(request))
    labels = await _answer(request, future)
    return JSONResponse({"runs": mask_actions.encode_runs(labels)})


async def _open_mask(context: Context, request: Request) -> Response:
    wish, data = _wish(request), await _body(request, MAX_FILE_BYTES)
    labels = await run_in_threadpool(mask_actions.open_mask, context, wish, data)
    return JSONResponse({"runs": mask_actions.encode_runs(labels)})


async def _save_mask(context: Context, request: Request) -> Response:
    wish, canvas = _wish(request), await _body(request, MAX_CANVAS_BYTES)
    return Response(await run_in_threadpool(mask_actions.save_mask, context, wish, canvas), media_type="image/png")


async def _save_picture(context: Context, request: Request) -> Response:
    wish, canvas = _wish(request), await _body(request, MAX_CANVAS_BYTES)
    scale = read_whole("scale", request.query_params.get("scale", 1), 1, 4)
    picture = await run_in_threadpool(mask_actions.save_picture, context, _visitor(request), wish, canvas, scale)
    return Response(picture, media_type="image/png")


async def _palette(context: Context, request: Request) -> Response:
    kind = request.query_params.get("kind", "json")
    text = await run_in_threadpool(mask_actions.save_palette, context, _wish(request), kind)
    return Response(text, media_type="application/json" if kind == "json" else "text/plain")


async def _model(context: Context, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(mask_actions.describe_model, context, _wish(request).model))


async def _download(context: Context, request: Request) -> Response:
    return JSONResponse(models.tell_download(context, _wish(request).model))


async def _health(context: Context, request: Request) -> Response:
    return JSONResponse({"models": context.registry.loaded(), "waiting": context.lane.num_waiting})


def _wish(request: Request) -> Wish:
    return read_wish(request.query_params)


def _visitor(request: Request) -> str:
    visitor = request.query_params.get("visitor", "")
    if not _VISITOR.fullmatch(visitor):
        raise InputError("The page that asks is too old; reload it.")
    return visitor


async def _body(request: Request, limit: int) -> bytes:
    """Read a request's body, and stop at the limit instead of holding all that comes."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise InputError(f"A file may have at most {limit / 2**20:g} MB, but this one is larger; make it smaller.")
    return bytes(data)


async def _answer(request: Request, future: Future[Any]) -> Any:
    """Wait for the lane; take the request out of it when the visitor goes away or aborts."""
    waiting = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_until_gone(request))
    await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not waiting.done():
        future.cancel()
        raise ClientDisconnect
    return await waiting


async def _until_gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.05)
