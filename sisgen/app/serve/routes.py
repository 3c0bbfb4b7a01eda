"""The routes behind the page's scripts: they check the caller, call one function each and turn errors into sentences.

Drawings go this way and not through Gradio's queue because a queued event costs two requests and an event stream, which is
several times the work of a stroke; logins and the proxy's path are those of the Gradio app that carries the routes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sisgen.app import actions, mask_actions, models, tracing
from sisgen.app.agreeing import tell_following
from sisgen.app.description import describe_model
from sisgen.app.drawings import encode_runs, read_drawings
from sisgen.app.limits import MAX_CANVAS_BYTES, MAX_FILE_BYTES, Wish, read_whole
from sisgen.app.painting import encode_shown
from sisgen.app.serve import label_routes, photo_routes
from sisgen.app.serve.requests import Handler, guarded, read_body, read_settings, read_visitor, wait_for

if TYPE_CHECKING:
    from sisgen.app.context import Context

STATIC = Path(__file__).resolve().parents[1] / "static"
PREFIX = "/sisgen"


def build_routes(context: Context) -> list[BaseRoute]:
    """Make all routes, to be handed to the Gradio app."""
    posts: dict[str, Handler] = {
        "paint": _paint,
        "reading": _reading,
        "open-mask": _open_mask,
        "save-mask": _save_mask,
        "trace": _trace_body,
        "labels": _labels,
        "save-picture": _save_picture,
        **label_routes.POSTS,
        **photo_routes.POSTS,
    }
    gets: dict[str, Handler] = {
        "model": _model,
        "sample": _sample,
        "trace": _trace_sample,
        "examples": _examples,
        "palette": _palette,
        "health": _health,
        "download": _download,
        **label_routes.GETS,
        **photo_routes.GETS,
    }
    routes: list[BaseRoute] = [Mount(f"{PREFIX}/static/{static_version()}", _Static(directory=STATIC))]
    routes += [Route(f"{PREFIX}/{name}", guarded(context, handler), methods=["POST"]) for name, handler in posts.items()]
    routes += [Route(f"{PREFIX}/{name}", guarded(context, handler), methods=["GET"]) for name, handler in gets.items()]
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


async def _paint(context: Context, request: Request) -> Response:
    wish, canvas = read_settings(request), await read_body(request, MAX_CANVAS_BYTES)
    rank = actions.VARIATION if request.query_params.get("rest") else actions.STROKE
    future = await run_in_threadpool(actions.submit, context, read_visitor(request), wish, canvas, rank=rank)
    painted = await wait_for(request, future)
    picture = await run_in_threadpool(encode_shown, painted.image)
    report = {"model": painted.model, "seed": painted.seed, "ms": round(painted.milliseconds, 1), "size": painted.image.shape[0]}
    headers = {"X-Sisgen": json.dumps(report), "Cache-Control": "no-store"}
    return Response(picture, media_type="image/jpeg", headers=headers)


async def _reading(context: Context, request: Request) -> Response:
    wish, canvas = read_settings(request), await read_body(request, MAX_CANVAS_BYTES)
    rank = actions.READING
    future = await run_in_threadpool(actions.submit, context, read_visitor(request), wish, canvas, rank=rank, read_back=True)
    painted = await wait_for(request, future)

    def tell() -> dict[str, Any]:
        with context.registry.lease(wish.model) as pipe:
            return tell_following(wish.kind, painted, read_drawings(wish.kinds, canvas, pipe.labels)[0], pipe)

    return JSONResponse(await run_in_threadpool(tell))


async def _sample(context: Context, request: Request) -> Response:
    future = await run_in_threadpool(actions.submit_sample, context, read_visitor(request), read_settings(request))
    labels = await wait_for(request, future)
    return JSONResponse({"runs": encode_runs(labels)})


async def _trace_sample(context: Context, request: Request) -> Response:
    wish = read_settings(request)
    return await _answer_trace(context, request, wish, tracing.of_sample(wish))


async def _trace_body(context: Context, request: Request) -> Response:
    wish, data = read_settings(request), await read_body(request, MAX_FILE_BYTES)
    read = tracing.of_canvas if request.query_params.get("of") == "mask" else tracing.of_file
    return await _answer_trace(context, request, wish, await run_in_threadpool(read, data))


async def _answer_trace(context: Context, request: Request, wish: Wish, source: Any) -> Response:
    trace = tracing.read_trace(request.query_params, wish.kind)
    cells = await wait_for(request, tracing.submit_trace(context, read_visitor(request), wish, trace, source))
    return JSONResponse({"runs": encode_runs(cells), "by": tracing.DETECTORS.get(wish.kind)})


async def _examples(context: Context, request: Request) -> Response:
    return JSONResponse(await wait_for(request, tracing.submit_examples(context, read_visitor(request), read_settings(request))))


async def _labels(context: Context, request: Request) -> Response:
    wish, data = read_settings(request), await read_body(request, MAX_FILE_BYTES)
    return JSONResponse({"runs": encode_runs(await run_in_threadpool(tracing.read_picture_labels, context, wish, data))})


async def _open_mask(context: Context, request: Request) -> Response:
    wish, data = read_settings(request), await read_body(request, MAX_FILE_BYTES)
    labels = await run_in_threadpool(mask_actions.open_mask, context, wish, data)
    return JSONResponse({"runs": encode_runs(labels)})


async def _save_mask(context: Context, request: Request) -> Response:
    wish, canvas = read_settings(request), await read_body(request, MAX_CANVAS_BYTES)
    return Response(await run_in_threadpool(mask_actions.save_mask, context, wish, canvas), media_type="image/png")


async def _save_picture(context: Context, request: Request) -> Response:
    wish, canvas = read_settings(request), await read_body(request, MAX_CANVAS_BYTES)
    scale = read_whole("scale", request.query_params.get("scale", 1), 1, 4)
    picture = await run_in_threadpool(actions.save_picture, context, read_visitor(request), wish, canvas, scale)
    return Response(picture, media_type="image/png")


async def _palette(context: Context, request: Request) -> Response:
    form = request.query_params.get("format", "json")
    text = await run_in_threadpool(mask_actions.save_palette, context, read_settings(request), form)
    return Response(text, media_type="application/json" if form == "json" else "text/plain")


async def _model(context: Context, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(describe_model, context, read_settings(request).model))


async def _download(context: Context, request: Request) -> Response:
    return JSONResponse(models.tell_download(context, read_settings(request).model))


async def _health(context: Context, request: Request) -> Response:
    return JSONResponse({"models": context.registry.loaded(), "waiting": context.lane.num_waiting})
