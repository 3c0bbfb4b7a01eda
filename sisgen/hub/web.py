"""Asking web servers: https only, with patience for passing troubles, and every failure one phrase."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

ATTEMPTS = 3
PAUSE = 0.25  # seconds before the second attempt, doubled for each further one
_TRY_AGAIN = (429, 500, 502, 503, 504)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class FetchError(Exception):
    """A server did not give a file; the text is a phrase for the end of a sentence.

    Args:
        reason: the phrase.
        status: the server's answer, 0 where it gave none.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


def read_json_from(url: str, headers: Mapping[str, str], *, max_bytes: int) -> Any:
    """Ask a server for JSON.

    Raises:
        FetchError: it gives no answer, refuses, or gives something else.
    """
    with open_url(url, headers) as answer:
        try:
            data = answer.read(max_bytes + 1)
            if len(data) > max_bytes:
                raise FetchError(f"its answer is larger than {max_bytes / 1e6:g} MB")
            return json.loads(data)
        except (TimeoutError, OSError, http.client.HTTPException):
            raise FetchError("the connection broke off; try again") from None
        except (ValueError, RecursionError):
            raise FetchError("its answer is no JSON, so it does not seem to be a Hub; check HF_ENDPOINT") from None


def check_address(url: str) -> None:
    """Check that an address is https, or http on this machine.

    Raises:
        FetchError: otherwise.
    """
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
    except ValueError:
        good = False
    if not good:
        raise FetchError("only https:// addresses are fetched")


def timeout() -> float:
    """Seconds that a server may be silent, HF_HUB_DOWNLOAD_TIMEOUT or 10."""
    text = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    return max(1.0, float(text)) if re.fullmatch(r"\d{1,5}", text) else 10.0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https only, and keep what opens the door to ourselves when another server answers."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_address(newurl)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.hostname in _LOOPBACK and old.hostname not in _LOOPBACK:
            raise FetchError("it points to an address on this machine, which is refused")
        if request is not None and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            for name, value in req.unredirected_hdrs.items():
                request.add_unredirected_header(name, value)
        return request


def open_url(url: str, headers: Mapping[str, str], more: Mapping[str, str] | None = None) -> Any:
    """Ask; an answer in the 300s other than a redirect comes back like any other."""
    check_address(url)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", **(more or {})})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    opener = urllib.request.build_opener(_Redirects())
    for attempt in range(ATTEMPTS):
        try:
            return opener.open(request, timeout=timeout())
        except urllib.error.HTTPError as refusal:
            if refusal.code in (304, 416):
                return refusal
            if refusal.code not in _TRY_AGAIN or attempt == ATTEMPTS - 1:
                raise FetchError(words_for_status(refusal.code), refusal.code) from None
            refusal.close()
            time.sleep(PAUSE * 2**attempt)
        except urllib.error.URLError as problem:
            raise FetchError(words_for_network(problem.reason)) from None
        except (OSError, http.client.HTTPException) as problem:
            raise FetchError(words_for_network(problem)) from None
        except ValueError:
            raise FetchError("its address cannot be used") from None
    raise AssertionError("the loop ends by return or raise")


def words_for_status(status: int) -> str:
    """Put a server's refusal into words."""
    known = {
        401: "it answers 401: there is no such model, or it is private and HF_TOKEN holds no token that may read it",
        403: "it answers 403: this token may not do that; accept the conditions on the model's page or ask its owner",
        404: "it answers 404: there is no such model or file",
        429: "it answers 429: too many requests; wait a while",
    }
    if status >= 500:
        return f"it answers {status}: it is out of order just now; try again later"
    return known.get(status, f"it answers {status}")


def words_for_network(problem: object) -> str:
    """Put a failure of the network into words."""
    if isinstance(problem, TimeoutError):
        return f"it gave no answer within {timeout():g} s; try again later or set HF_HUB_DOWNLOAD_TIMEOUT"
    if isinstance(problem, ssl.SSLError):
        return "its certificate is not trusted"
    strerror = getattr(problem, "strerror", None)
    return f"it cannot be reached ({strerror})" if strerror else "it cannot be reached"
