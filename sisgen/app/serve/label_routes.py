"""The routes of the label tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from sisgen.app import label_actions
from sisgen.app.serve.requests import Handler, read_body

if TYPE_CHECKING:
    from sisgen.app.context import Context


async def _start(context: Context, request: Request) -> Response:
    data = await read_body(request, label_actions.MAX_JOB_BYTES)
    return JSONResponse(await run_in_threadpool(label_actions.start_training, context, data))


async def _state(context: Context, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(label_actions.describe_training, context, _job(request)))


async def _stop(context: Context, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(label_actions.stop_training, context, _job(request)))


async def _insight(context: Context, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(label_actions.read_insight, context, _job(request)))


async def _preview(context: Context, request: Request) -> Response:
    picture = await run_in_threadpool(label_actions.read_preview, context, _job(request))
    return Response(picture, media_type="image/png", headers={"Cache-Control": "no-store"})


async def _save(context: Context, request: Request) -> Response:
    title = request.query_params.get("title", "")
    return JSONResponse(await run_in_threadpool(label_actions.save_training, context, _job(request), title))


async def _pack(context: Context, request: Request) -> Response:
    path, name = await run_in_threadpool(label_actions.pack_training, context, _job(request))
    return FileResponse(path, media_type="application/zip", filename=name)


def _job(request: Request) -> str:
    return request.query_params.get("job", "")


POSTS: dict[str, Handler] = {"train": _start, "stop-training": _stop, "save-model": _save}
GETS: dict[str, Handler] = {"training": _state, "insight": _insight, "preview": _preview, "model.zip": _pack}
