"""What a request must have to come in: a host that is ours, a page of ours as its origin, and beyond this machine a token."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

__all__ = ["LOCAL_HOSTS", "Gate"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_COOKIE = "resinflow-token"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # an address may hold a token
    (b"x-frame-options", b"SAMEORIGIN"),
)


class Gate:
    """An ASGI layer that lets through what may come in.

    Args:
        application: behind it.
        hosts: names by which this machine may be called; empty: any, for a server that others reach under names it does not
            know.
        token: that a browser must show once; None: none is needed.
    """

    def __init__(self, application: Application, hosts: tuple[str, ...] = LOCAL_HOSTS, token: str | None = None) -> None:
        self._application = application
        self._hosts = hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or a websocket, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        fault = self._fault(scope, headers)
        if fault:
            await _refuse(scope, send, fault)
        elif scope["type"] == "http" and self._shown(scope) is not None:
            await self._admit(scope, send)
        else:
            await self._application(scope, receive, _with_headers(send) if scope["type"] == "http" else send)

    def _fault(self, scope: Scope, headers: dict[bytes, str]) -> str:
        """Why a request does not come in; empty where it does."""
        host = urlsplit(f"//{headers.get(b'host', '')}").hostname or ""
        if self._hosts and host not in self._hosts:
            return "this app answers to its own address only; open it as it was printed when it was started"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            return "this app answers to its own pages only"
        if self._token is None or self._is_token(self._shown(scope)) or self._is_token(_cookie(headers)):
            return ""
        return "this app needs its token: open the address that was printed when it was started"

    def _shown(self, scope: Scope) -> str | None:
        """The token in the address of a request."""
        if self._token is None:
            return None
        return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))).get("token")

    def _is_token(self, text: str | None) -> bool:
        return text is not None and self._token is not None and secrets.compare_digest(text.encode(), self._token.encode())

    async def _admit(self, scope: Scope, send: Send) -> None:
        """Take the token out of the address and into a cookie."""
        query = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
        place = scope["path"] + (f"?{urlencode(query)}" if query else "")
        place = "/" + place.lstrip("/\\")  # never another site's
        cookie = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", place.encode("latin-1", "replace")), (b"set-cookie", cookie.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _cookie(headers: dict[bytes, str]) -> str | None:
    """The token that a browser keeps."""
    jar: SimpleCookie = SimpleCookie()
    jar.load(headers.get(b"cookie", ""))
    return jar[_COOKIE].value if _COOKIE in jar else None


async def _refuse(scope: Scope, send: Send, fault: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": f"{fault}.\n".encode()})


def _with_headers(send: Send) -> Send:
    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return guarded
