"""The server of the app: its pages, its files, and what comes in."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse
from nicegui import app, ui

from resinflow.app.front_page import FrontPage
from resinflow.app.gate import LOCAL_HOSTS, Gate
from resinflow.app.jobs import Desk
from resinflow.app.sessions import Sessions
from resinflow.app.uploads import MOST_BYTES, Upload, receive
from resinflow.app.work_folder import WorkFolder
from resinflow.flow import InvalidInputError
from resinflow.media import example_path

__all__ = ["AppSettings", "add_pages", "free_port", "serve"]

_FILES = re.compile(
    r"view/slice-\d{4}\.png|fibres/outline-\d{4}\.json|answer-\d{1,4}/(maps/[a-z|]{1,10}-\d{4}\.png|flow\.npz|flow\.vti|figure\.png|"
    r"scene\.html|report\.html|numbers\.csv|tensor\.json|tow\.json|map\.(png|csv|vti)|curve\.png|reproduce\.sh|reproduce\.py)"
)
"""Files of a session that its page may ask for."""
_FIRST_PORT, _PORTS = 8550, 50
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f6b75"/>'
    '<circle cx="10" cy="11" r="5" fill="#fff"/><circle cx="22" cy="10" r="4.5" fill="#fff"/><circle cx="15" cy="22" r="5.5" '
    'fill="#fff"/></svg>'
)


@dataclass(frozen=True)
class AppSettings:
    """How the app is served.

    Attributes:
        folder: of all that it is given and makes.
        host: address that it listens on.
        port: of it.
        show: whether a browser is opened.
        lanes: long computations at once.
        upload_limit: most bytes of one file that comes in.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = _FIRST_PORT
    show: bool = True
    lanes: int = 1
    upload_limit: int = MOST_BYTES

    @property
    def is_local(self) -> bool:
        """Whether nobody else's machine can reach it."""
        return self.host in LOCAL_HOSTS


def free_port(host: str, port: int | None) -> int:
    """Return a port that can be listened on: the one asked for, or the first free one of the app's own.

    Raises:
        InvalidInputError: none is free, or the address is not this machine's.
    """
    reason = ""
    for candidate in range(_FIRST_PORT, _FIRST_PORT + _PORTS) if port is None else (port,):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except (OSError, OverflowError) as error:
                reason = str(error)
                continue
            return int(probe.getsockname()[1])
    raise InvalidInputError(f"{host}, port {port or _FIRST_PORT}, cannot be listened on ({reason}); needed: another --port.")


def serve(settings: AppSettings, announce: Callable[[str], None]) -> None:
    """Serve the app until it is interrupted; no process is left behind.

    Args:
        settings: how.
        announce: called with the address when the server is up.

    Raises:
        InvalidInputError: a folder that cannot be written.
    """
    work = WorkFolder(settings.folder)
    desk = Desk(work.log, settings.lanes)
    sessions = Sessions(work, desk)
    token = None if settings.is_local else secrets.token_urlsafe(24)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}/{'' if token is None else f'?token={token}'}"
    app.add_middleware(Gate, hosts=LOCAL_HOSTS if settings.is_local else (), token=token)
    add_pages(sessions, settings)
    app.on_startup(lambda: announce(address))
    app.on_shutdown(desk.close)
    desk.start()
    try:
        ui.run(
            host=settings.host,
            port=settings.port,
            title="resinflow",
            favicon=_ICON,
            dark=None,
            reload=False,
            show=False,
            tailwind=False,
            show_welcome_message=False,
            reconnect_timeout=20.0,
        )
    finally:
        desk.close()


def add_pages(sessions: Sessions, settings: AppSettings) -> None:
    """Add the pages and the ways of the files to the NiceGUI app of this process.

    Args:
        sessions: that the pages show.
        settings: of uploads.
    """
    arrivals: dict[str, dict[int, Upload]] = {}

    @ui.page("/")
    def start() -> RedirectResponse:
        return RedirectResponse(f"/s/{sessions.new().key}/", status_code=303)

    @ui.page("/s/{key}/")
    def page(key: str) -> Response | None:
        session = sessions.find(key)
        if session is None:
            return RedirectResponse("/", status_code=303)

        def take() -> list[Upload]:
            return [upload for _, upload in sorted(arrivals.pop(key, {}).items())]

        FrontPage(session, take, example_path())
        return None

    @app.put("/s/{key}/files/{number}")
    async def come_in(key: str, number: int, name: str, request: Request) -> Response:
        session = sessions.find(key)
        if session is None:
            return PlainTextResponse("this session is over; open the app anew.", status_code=404)
        try:
            upload = await receive(request.stream(), name, session.folder, number, settings.upload_limit)
        except InvalidInputError as error:
            return PlainTextResponse(str(error), status_code=422)
        arrivals.setdefault(key, {})[number] = upload
        return PlainTextResponse("taken")

    @app.get("/s/{key}/{path:path}")
    def go_out(key: str, path: str, download: bool = False) -> Response:
        session = sessions.find(key)
        if session is None or _FILES.fullmatch(path) is None or not (session.folder / path).is_file():
            return PlainTextResponse("there is no such file.", status_code=404)
        place = session.folder / path
        name = f"resinflow-{path.split('/')[0]}-{place.name}" if download else None
        return FileResponse(place, filename=name, headers={"cache-control": "no-cache"})
