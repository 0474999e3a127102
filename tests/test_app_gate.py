"""Claims about who comes in: this machine's browser, pages of ours, and from elsewhere those who show the token."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resinflow.app.gate import LOCAL_HOSTS, Gate

TOKEN = "secret-token"


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(gate: Gate, path: str = "/", query: str = "", kind: str = "http", **headers: str) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of an answer; a websocket that is closed has its code."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1:8550", **headers}.items()]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": pairs}
    asyncio.run(gate(scope, receive, send))
    return sent[0].get("status", sent[0].get("code")), dict(sent[0].get("headers", []))


@pytest.mark.parametrize("host", ["127.0.0.1:8550", "localhost:8550", "[::1]:8550"])
def test_this_machine_comes_in_by_its_own_names(host: str):
    status, headers = ask(Gate(behind), host=host)
    assert status == 200
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8550", "", "10.0.0.5:8550"])
def test_a_page_that_points_its_own_name_at_this_machine_stays_out(host: str):
    assert ask(Gate(behind), host=host)[0] == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_pages_of_other_sites_stay_out(kind: str):
    status, _ = ask(Gate(behind), kind=kind, origin="http://evil.example")
    assert status == (403 if kind == "http" else 1008)
    assert ask(Gate(behind), origin="http://127.0.0.1:8550")[0] == 200
    assert ask(Gate(behind), origin="null")[0] == 403


def test_beyond_this_machine_the_token_is_needed_once():
    gate = Gate(behind, hosts=(), token=TOKEN)
    assert ask(gate, host="10.0.0.5:8550")[0] == 403
    assert ask(gate, host="10.0.0.5:8550", query="token=wrong")[0] == 403
    assert ask(gate, kind="websocket", host="10.0.0.5:8550")[0] == 1008
    status, headers = ask(gate, host="10.0.0.5:8550", query=f"token={TOKEN}")
    assert (status, headers[b"location"]) == (303, b"/")
    assert b"HttpOnly" in headers[b"set-cookie"]
    cookie = headers[b"set-cookie"].split(b";")[0].decode()
    assert ask(gate, host="10.0.0.5:8550", cookie=cookie)[0] == 200


def test_a_path_with_two_slashes_leads_to_no_other_site():
    gate = Gate(behind, hosts=(), token=TOKEN)
    _, headers = ask(gate, path="//evil.example/", query=f"token={TOKEN}", host="10.0.0.5")
    assert headers[b"location"] == b"/evil.example/"


def test_the_names_of_this_machine_are_loopback():
    assert set(LOCAL_HOSTS) == {"127.0.0.1", "localhost", "::1"}
