"""A server of the app in a process of its own, and a browser to look at it: what the tests of the app share."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

PATIENCE = 120_000
"""Milliseconds that a page may take on a machine that does other things, too."""
SCREENS = Path(__file__).parents[1] / "build" / "app-screens"
_HIGH = ".rf-viewer, .rf-drop"
"""What is as high as a part of the window."""
CHROMIUM = Path("/usr/bin/chromium")
_BROWSER_OPTIONS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
)
IN_BROWSER = (
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium: apt-get install chromium"),
)
"""Marks of tests in a browser."""


@dataclass(frozen=True)
class Server:
    """A running app."""

    address: str
    folder: Path
    process: subprocess.Popen[str]

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop its processes that compute meanwhile, however long it takes."""
        workers = self.workers
        for worker in workers:
            worker.suspend()
        yield
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.resume()

    @property
    def workers(self) -> list[psutil.Process]:
        """Its processes that compute."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running_app(folder: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """Run `resinflow app` on a free port and end it afterwards."""
    with socket.socket() as probe:  # tests of several processes start apps at once
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "resinflow", "app", "--folder", str(folder), "--no-browser", "--port", port, *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # NiceGUI heeds it
    environment["PYTHONUNBUFFERED"] = "1"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        yield Server(_address(process), folder, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Debian's chromium, which draws in 3-D without a graphics card; pages are put together without 3-D, far faster."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=str(CHROMIUM), args=_BROWSER_OPTIONS)
        yield browser
        browser.close()


def open_page(browser: Browser, server: Server, hear: Callable[[Request], object] | None = None) -> Page:
    """Open a new session in a window of its own; what it asks any server for is heard."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    if hear is not None:
        page.on("request", hear)
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    return page


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in ``build/app-screens``, as its window would show it piece by piece."""
    with whole_page(page):
        take_picture(page, name)


@contextmanager
def whole_page(page: Page) -> Iterator[None]:
    """Make the window as high as the page meanwhile.

    Chromium draws what lies outside of a window late or not at all, scenes in 3-D above all. What is measured by the height of
    the window keeps its own.
    """
    size = page.viewport_size
    assert size is not None
    page.evaluate("window.scrollTo(0, 0)")
    page.evaluate(f"for (const each of document.querySelectorAll('{_HIGH}')) each.style.height = each.clientHeight + 'px'")
    page.set_viewport_size({"width": size["width"], "height": page.evaluate("document.documentElement.scrollHeight")})
    scene = page.locator("iframe.rf-scene")
    if scene.count():
        scene.content_frame.locator("canvas").wait_for(state="attached", timeout=60_000)
        page.wait_for_timeout(1000)  # without a GPU it is drawn slowly
    yield
    page.evaluate(f"for (const each of document.querySelectorAll('{_HIGH}')) each.style.height = ''")
    page.set_viewport_size(size)


def take_picture(page: Page, name: str) -> None:
    """Keep a picture of what the window shows."""
    page.wait_for_timeout(250)
    path = SCREENS / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)


_DROP = """(zone, files) => {
  const data = new DataTransfer()
  for (const [name, text] of files)
    data.items.add(new File([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], name))
  zone.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}))
}"""


def drop_on_page(page: Page, *files: Path | tuple[str, bytes]) -> None:
    """Drop files on the place for them that is seen, as a hand lets go of them; a file is a path, or a name with bytes."""
    pairs = [(each.name, each.read_bytes()) if isinstance(each, Path) else each for each in files]
    zone = page.locator(".rf-drop").filter(visible=True).first
    zone.evaluate(_DROP, [[name, base64.b64encode(data).decode()] for name, data in pairs])


def image_bytes(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """Return the file of an image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def take_example(page: Page) -> None:
    """Take the embedded example and wait for its fibres."""
    page.get_by_role("button", name="Try the example").click()
    expect_fibres(page)


def expect_fibres(page: Page) -> None:
    """Wait until the fibres are told."""
    page.get_by_text("fibre fraction").wait_for(timeout=PATIENCE)


def type_into(page: Page, label: str, text: str) -> None:
    """Fill a field as a user does."""
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(label, exact=True).press("Enter")


def _address(process: subprocess.Popen[str]) -> str:
    """The address that the app prints."""
    lines = []
    until = time.monotonic() + 60
    while process.stdout is not None and time.monotonic() < until:
        line = process.stdout.readline()
        if not line:
            break
        lines.append(line)
        if match := re.search(r"http://\S+", line):
            return match.group()
    raise RuntimeError(f"the app did not start: {''.join(lines)}")
