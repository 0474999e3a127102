"""Claims about the app in a real browser, Debian's chromium: the whole way from a micrograph to K. Run by `make test-app`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, Locator, Page, expect  # noqa: E402

from resinflow.app.answer_markup import figures  # noqa: E402
from resinflow.flow import FlowField, SolverReport  # noqa: E402
from resinflow.media import BundleSettings, draw_micrograph, fibre_bundle  # noqa: E402
from tests.app_server import (  # noqa: E402
    IN_BROWSER,
    PATIENCE,
    Server,
    drop_on_page,
    image_bytes,
    keep_picture,
    running_app,
    take_example,
    type_into,
)
from tests.drawn_images import drawn_greys  # noqa: E402

pytestmark = [*IN_BROWSER]


def folder_of(page: Page) -> Path:
    """The folder of a session, as its page names it."""
    return Path(page.locator(".rf-folder").inner_text().removeprefix("Work folder: "))


def pixels_of(picture: Locator) -> NDArray[np.uint8]:
    """The pixels of a picture that the page shows, as the server sends them."""
    address = picture.evaluate("image => image.decode().then(() => image.src)")
    return np.asarray(Image.open(io.BytesIO(picture.page.request.get(address).body())))


def compute(page: Page) -> None:
    page.get_by_role("button", name="Compute", exact=True).click()


def bright_fibres() -> NDArray[np.uint8]:
    """A single micrograph of bright fibres in a dark matrix, 64 x 64 pixels."""
    return 255 - drawn_greys()[2]


def test_the_example_leads_from_the_image_to_k_and_files(page: Page) -> None:
    keep_picture(page, "1-empty")
    take_example(page)
    keep_picture(page, "2-fibres")
    compute(page)
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Take away")).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "3-answer")
    flow = FlowField.load(folder_of(page) / "answer-1" / "flow.npz")
    mantissa = f"{flow.permeability:.3e}".split("e")[0]
    assert mantissa in page.locator(".rf-big").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Numbers").click()
    assert f"{flow.permeability:.6g}" in Path(download.value.path()).read_text()
    page.get_by_role("button", name="Pressure", exact=True).click()
    picture = page.locator("img.rf-map")
    expect(picture).to_have_attribute("src", re.compile("pressure-0005.png"))
    before = pixels_of(picture)
    assert before.shape[:2] == (64, 64)
    page.get_by_role("slider", name="Slice of the fields").locator("[tabindex]").press("ArrowRight")
    expect(picture).to_have_attribute("src", re.compile("pressure-0006.png"))
    expect(page.get_by_text("slice 6; fibres grey")).to_be_visible()
    assert (pixels_of(picture) != before).any()


def test_a_single_image_of_bright_fibres_gets_its_scale_from_a_bar_and_is_solved(page: Page) -> None:
    drop_on_page(page, ("bright.png", image_bytes(bright_fibres())))
    expect(page.get_by_text("bright.png: 64 x 64 pixels")).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "4-without-scale")
    page.get_by_role("button", name="Measure scale bar").click()
    expect(page.locator(".rf-viewer")).to_have_attribute("data-tool", "measure")
    box = page.locator(".rf-plane").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=5)
    page.mouse.up()
    page.get_by_label("Length of the scale bar").fill("25um")
    keep_picture(page, "5-scale-bar")
    page.get_by_role("button", name="Use", exact=True).click()
    pixel = page.get_by_label("Pixel size", exact=True)
    expect(pixel).not_to_have_value("")
    assert float(pixel.input_value().removesuffix("um")) == pytest.approx(25 / 32, rel=0.01)
    type_into(page, "Pixel size", "0.78125um")
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("bright", exact=True)).to_be_visible()
    page.get_by_role("button", name="Solve", exact=True).click()
    compute(page)
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("low by no more than")).to_be_visible()


def test_a_run_can_be_cancelled_at_once_and_another_one_survives_a_reload(page: Page, server: Server) -> None:
    take_example(page)
    compute(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    keep_picture(page, "18-cancelled-at-once")
    expect(page.get_by_role("button", name="Compute", exact=True)).to_be_enabled()
    compute(page)
    with server.standing_still():
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        keep_picture(page, "9-busy")
        page.reload()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Pixel size", exact=True)).to_have_value("0.78125um")


def test_a_solver_that_gave_up_can_go_on_from_its_field_or_be_content_with_less(page: Page) -> None:
    take_example(page)
    page.get_by_role("button", name="Solve", exact=True).click()
    page.get_by_text("How exactly it is solved").click()
    type_into(page, "Most iterations", "3")
    type_into(page, "Error of K to stop at", "1e-9")
    compute(page)
    expect(page.get_by_role("alert").filter(has_text="in 3 iterations; needed: 1e-09")).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "15-gave-up")
    page.get_by_role("button", name="Go on: 3 more iterations").click()
    expect(page.get_by_text("kept in answer-2")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Be content with an error of K of").click()
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Take away")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".rf-code").first).to_contain_text("--max-iterations 6")
    flow = FlowField.load(folder_of(page) / "answer-3" / "flow.npz")
    assert isinstance(flow.report, SolverReport)
    assert 1e-9 < flow.report.permeability_error <= 1e-2


def test_the_tensor_has_its_axes_and_a_file(page: Page) -> None:
    take_example(page)
    page.get_by_role("button", name="Tensor", exact=True).click()
    compute(page)
    expect(page.get_by_text("Principal axes")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("link", name="Tensor")).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "10-tensor")


def test_a_tow_has_its_intervals_its_budget_and_its_map(page: Page) -> None:
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    section = fibre_bundle((1, 48, 48), (1e-6, 48e-6, 48e-6), seed=8, settings=settings)
    drop_on_page(page, ("section.png", image_bytes(draw_micrograph(section, seed=1)[0])))
    expect(page.get_by_text("section.png: 48 x 48 pixels")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "1um")
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Tow", exact=True).click()
    type_into(page, "Misalignment of the fibres in degrees", "95")
    expect(page.get_by_text("misalignment is 95 degrees")).to_be_visible()
    type_into(page, "Misalignment of the fibres in degrees", "2")
    type_into(page, "Error of the pixel size in %", "1.5")
    page.get_by_text("How exactly it is solved").click()
    type_into(page, "Error of K to stop at", "1e-3")
    keep_picture(page, "12-tow-question")
    compute(page)
    expect(page.get_by_text("Measuring axes of the whole image").or_(page.get_by_text("Measuring windows"))).to_be_visible()
    expect(page.get_by_text("What to do first", exact=True)).to_be_visible(timeout=3 * PATIENCE)
    expect(page.get_by_role("link", name="Map of local K CSV")).to_be_visible(timeout=PATIENCE)
    saved = json.loads((folder_of(page) / "answer-1" / "tow.json").read_text())
    low, high = (1e12 * end for end in saved["budget"]["axes"]["x"]["interval_m2"])
    expect(page.get_by_text(f"{figures(low)} to {figures(high)}", exact=True)).to_be_visible()
    for source in saved["budget"]["sources"]:
        expect(page.get_by_role("rowheader", name=source["name"])).to_be_visible()
    for figure in page.locator("img.rf-figure").all():
        figure.scroll_into_view_if_needed()
        assert figure.evaluate("image => image.naturalWidth") > 300
    for width in (1280, 820):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        keep_picture(page, f"13-tow-{width}")
    page.emulate_media(color_scheme="dark")
    keep_picture(page, "14-tow-dark")


def test_from_elsewhere_the_token_is_needed_and_a_server_that_is_ended_leaves_no_process(
    tmp_path: Path, browser: Browser
) -> None:
    with running_app(tmp_path / "work", ["--host", "0.0.0.0"]) as server:
        address, _, token = server.address.partition("?token=")
        bare = address.replace("0.0.0.0", "127.0.0.1")
        page = browser.new_page()
        answer = page.goto(bare)
        assert answer is not None
        assert answer.status == 403
        page.goto(f"{bare}?token={token}")
        expect(page.get_by_text("Drop a micrograph here")).to_be_visible(timeout=PATIENCE)
        assert token not in page.url
        page.close()
        workers = server.workers
        assert len(workers) == 2
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
