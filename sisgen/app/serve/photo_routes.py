"""The routes of the photo tab; see `routes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sisgen.app import photo_actions
from sisgen.app.limits import MAX_FILE_BYTES, read_whole
from sisgen.app.serve.requests import Handler, read_body, read_settings, read_visitor, wait_for

if TYPE_CHECKING:
    from sisgen.app.context import Context


async def _open(context: Context, request: Request) -> Response:
    data = await read_body(request, MAX_FILE_BYTES) if request.method == "POST" else None
    future, photo = await run_in_threadpool(photo_actions.open_photo, context, read_visitor(request), read_settings(request), data)
    inversion = await wait_for(request, future)
    return JSONResponse(await run_in_threadpool(photo_actions.keep_photo, context, photo, inversion))


async def _state(context: Context, request: Request) -> Response:
    def tell() -> dict:
        return photo_actions.tell_photo(context, photo_actions.find_photo(context, read_settings(request)))

    return JSONResponse(await run_in_threadpool(tell))


async def _refine(context: Context, request: Request) -> Response:
    steps = read_whole("steps", request.query_params.get("steps", 20), 1, 1000)
    return JSONResponse(await run_in_threadpool(photo_actions.refine_photo, context, read_settings(request), steps))


async def _stop(context: Context, request: Request) -> Response:
    photo_actions.find_photo(context, read_settings(request)).stop.set()
    return JSONResponse({})


async def _forget(context: Context, request: Request) -> Response:
    context.photos.forget(read_settings(request).photo or "")
    return JSONResponse({})


POSTS: dict[str, Handler] = {"photo": _open, "refine-photo": _refine, "stop-photo": _stop, "forget-photo": _forget}
GETS: dict[str, Handler] = {"photo": _open, "photo-state": _state}
