"""Claims about the app in a real browser, Debian's chromium: the whole way from a micrograph to K. Run by `make test-app`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from resinflow.flow import FlowField  # noqa: E402
from tests.app_server import Server, running_app  # noqa: E402

CHROMIUM = Path("/usr/bin/chromium")
SCREENS = Path(__file__).parents[1] / "build" / "app-screens"
PATIENCE = 60_000  # ms: of a machine that does other things, too

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("app")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tool:
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
        browser = tool.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A new session in a window of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    yield page
    context.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(400)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


def folder_of(page: Page, server: Server) -> Path:
    """The folder of the session that a page shows: the last one that was made."""
    return max((path for path in server.folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_ctime_ns)


def compute(page: Page) -> None:
    page.get_by_role("button", name="Compute", exact=True).click()


def test_the_example_leads_from_the_image_to_k_and_files(page: Page, server: Server) -> None:
    shoot(page, "empty")
    page.get_by_role("button", name="Try the example").click()
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    shoot(page, "fibres")
    compute(page)
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Take away")).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(2500)
    shoot(page, "answer")
    flow = FlowField.load(folder_of(page, server) / "answer-1" / "flow.npz")
    mantissa = f"{flow.permeability:.3e}".split("e")[0]
    assert mantissa in page.locator(".rf-big").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Numbers").click()
    assert f"{flow.permeability:.6g}" in Path(download.value.path()).read_text()
