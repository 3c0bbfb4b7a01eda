"""What every route shares: the login, one sentence for every error, bounded bodies, and waiting for the lane."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from sisgen.app.limits import Wish, read_wish
from sisgen.app.serve.live import BusyError, SupersededError
from sisgen.errors import InputError, SisgenError

if TYPE_CHECKING:
    from sisgen.app.context import Context

_log = logging.getLogger(__name__)
_VISITOR = re.compile(r"[A-Za-z0-9_-]{8,64}")
Handler = Callable[["Context", Request], Awaitable[Response]]


def guarded(context: Context, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
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


def read_settings(request: Request) -> Wish:
    """Check the settings of one picture in a request's address."""
    return read_wish(request.query_params)


def read_visitor(request: Request) -> str:
    """Read who asks: a random name that the page made up."""
    visitor = request.query_params.get("visitor", "")
    if not _VISITOR.fullmatch(visitor):
        raise InputError("The page that asks is too old; reload it.")
    return visitor


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body, and stop at the limit instead of holding all that comes."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise InputError(f"A file may have at most {limit / 2**20:g} MB, but this one is larger; make it smaller.")
    return bytes(data)


async def wait_for(request: Request, future: Future[Any]) -> Any:
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
