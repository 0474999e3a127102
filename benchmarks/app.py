"""How long the app takes from the drop of the embedded stack to its first answer, and what of it is processor time.

    python benchmarks/app.py [--repeats 3]

Starts `resinflow app` and chromium (/usr/bin/chromium), drops the embedded stack on the page as a file, types pixel size and
depth, and asks for a prediction, the first question of the page. Prints for each session the seconds from the drop to the
outlines, to K on the page, and to the last file, and the processor seconds of the server with its processes; those of the
browser are not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from stopwatch import ROOT, command_line

sys.path.insert(0, str(ROOT))

from tests.app_server import Server, running_app, running_browser, type_into

from resinflow.media import example_path

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PATIENCE = 300_000  # ms
_STEPS = ("fibre fraction", "Permeability K", "Take away")
"""Words that appear with the outlines, with K, and with the last file."""


def processor_seconds(server: Server) -> float:
    """Processor time of the server and of its processes so far."""
    root = psutil.Process(server.process.pid)
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def first_answer(page: Page, server: Server) -> list[tuple[float, float]]:
    """Seconds since the drop, and processor seconds, at every step of one session."""
    page.goto(server.address, timeout=_PATIENCE)
    page.get_by_text("Drop a micrograph here").wait_for()
    began, spent = time.perf_counter(), processor_seconds(server)
    page.locator("input[type=file]").first.set_input_files(example_path())
    type_into(page, "Pixel size", "0.78125um")
    type_into(page, "Depth of the stack", "50um")
    moments = []
    for words in _STEPS:
        page.get_by_text(words, exact=words == "Take away").first.wait_for()
        moments.append((time.perf_counter() - began, processor_seconds(server) - spent))
        if words == _STEPS[0]:
            page.get_by_role("button", name="Compute", exact=True).click()
    return moments


def main() -> None:
    """Print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print("| session | outlines, s | K, s | all files, s | processor time to K, s | to all files, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder)) as server, running_browser() as browser:
        time.sleep(10)  # the worker processes load what they need, as they do while a user looks for a file
        for number in range(arguments.repeats):
            page = browser.new_page()
            page.set_default_timeout(_PATIENCE)
            outlines, answer, files = first_answer(page, server)
            page.close()
            wall = f"{outlines[0]:.1f} | {answer[0]:.1f} | {files[0]:.1f}"
            print(f"| {number + 1} | {wall} | {answer[1]:.1f} | {files[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
