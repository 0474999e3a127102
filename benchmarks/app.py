"""How long the app takes from the drop of the embedded stack to its first answer.

    python benchmarks/app.py [--sessions 3] [--limit 60]

Starts `resinflow app` and chromium (/usr/bin/chromium), drops the embedded stack on the page as a file, types pixel size and
depth, and asks for a prediction, the first question of the page, all of it as fast as the page lets a user do it. Prints for
each session the seconds from the drop until the fibres, K, and the last file are shown, with the processor seconds that the
server and its processes have spent by then; those of the browser are not counted. The first session finds worker processes
that were started a moment ago, as a user's does. A session that takes longer than the limit ends the program with one line
that says what was waited for.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from stopwatch import ROOT, command_line

sys.path.insert(0, str(ROOT))

from tests.app_server import Server, drop_on_page, running_app, running_browser, type_into

from resinflow.media import example_path

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class Limit:
    """Ends the program and all its processes where a session takes too long, whatever it waits for.

    Args:
        seconds: that a session may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.awaited = ""
        self._timer = threading.Timer(seconds, self._end)

    def begin(self, awaited: str) -> None:
        """Count anew from here."""
        self.stop()
        self.awaited = awaited
        self._timer = threading.Timer(self.seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Count no more."""
        self._timer.cancel()

    def _end(self) -> None:
        print(f"not finished after {self.seconds:g} s: {self.awaited} was waited for.", flush=True)
        for process in psutil.Process().children(recursive=True):
            process.kill()
        os._exit(1)


def processor_seconds(server: Server) -> float:
    """Processor time of the server and of its processes so far."""
    times = [each.cpu_times() for each in (psutil.Process(server.process.pid), *server.workers)]
    return sum(each.user + each.system for each in times)


def first_answer(page: Page, server: Server, limit: Limit) -> list[tuple[float, float]]:
    """Seconds since the drop, and processor seconds, when the fibres, K, and the last file are shown."""
    limit.begin("the page")
    page.goto(server.address)
    page.get_by_text("Drop a micrograph here").wait_for()
    compute = page.get_by_role("button", name="Compute", exact=True)
    began, spent = time.perf_counter(), processor_seconds(server)
    limit.begin("the image")
    drop_on_page(page, example_path())
    page.get_by_text(f"{example_path().name}: 64 x 64 pixels, 11 slices").wait_for()
    type_into(page, "Pixel size", "0.78125um")
    type_into(page, "Depth of the stack", "50um")

    def moment(awaited: str, locator: Locator) -> tuple[float, float]:
        limit.awaited = awaited
        locator.wait_for()
        return time.perf_counter() - began, processor_seconds(server) - spent

    fibres = moment("the outlines of the fibres", page.get_by_text("fibre fraction"))
    limit.awaited = "the button Compute"
    compute.click()
    answer = moment("K", page.get_by_text("Permeability K"))
    files = moment("the last file", page.get_by_role("heading", name="Take away"))
    limit.stop()
    return [fibres, answer, files]


def main() -> None:
    """Print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a session may take")
    arguments = parser.parse_args()
    limit = Limit(arguments.limit)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; in brackets processor seconds")
    print("| session | fibres, s | K, s | all files, s |\n| --- | ---: | ---: | ---: |", flush=True)
    limit.begin("the server")
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder)) as server, running_browser() as browser:
        for number in range(arguments.sessions):
            page = browser.new_page()
            page.set_default_timeout(1000 * arguments.limit)
            moments = first_answer(page, server, limit)
            page.close()
            print(f"| {number + 1} | {' | '.join(f'{wall:.1f} ({spent:.1f})' for wall, spent in moments)} |", flush=True)


if __name__ == "__main__":
    main()
