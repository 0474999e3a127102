"""The command `resinflow app`: the way from a micrograph to K in a browser."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from resinflow.cli.console import make_console
from resinflow.flow import InvalidInputError, MissingDependencyError


def serve_app(
    *,
    folder: Path | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    no_browser: Annotated[bool, Parameter(negative="")] = False,
    jobs: int = 1,
    upload_limit: int = 1024,
) -> None:
    """Open the app in a browser: from a micrograph to K with its interval and the flow in 3-D. Ctrl-C ends it.

    Needs the extra app: pip install 'resinflow[app]'. Nothing leaves this machine; all files lie in the work folder.

    Parameters
    ----------
    folder
        Work folder of all that comes in and goes out; by default resinflow in your home.
    host
        Address to listen on; beyond 127.0.0.1 others can reach the app, who then need the token that is printed.
    port
        Port to listen on; by default the first free one from 8550 up.
    no_browser
        Open no browser.
    jobs
        Long computations at once; each of them uses all cores.
    upload_limit
        Largest file that is taken, MB.
    """
    if find_spec("nicegui") is None:
        raise MissingDependencyError("the app needs nicegui, which is not installed; run: pip install 'resinflow[app]'.")
    if jobs < 1 or upload_limit < 1:
        raise InvalidInputError(f"--jobs is {jobs} and --upload-limit is {upload_limit}; needed: 1 or more each.")
    import webbrowser

    from resinflow.app.server import AppSettings, free_port, serve
    from resinflow.app.work_folder import default_folder

    console = make_console()
    settings = AppSettings(
        folder or default_folder(), host, free_port(host, port), not no_browser, jobs, upload_limit * 1_000_000
    )

    def announce(address: str) -> None:
        console.print(f"the app is at {address} (Ctrl-C ends it); its files lie in {settings.folder}")
        if not settings.is_local:
            console.print(
                "warning: others in the network can reach it, and what they send is not encrypted; give the address with its "
                "token to nobody but those who may use it",
                style="yellow",
            )
        if settings.show:
            webbrowser.open(address)

    serve(settings, announce)
