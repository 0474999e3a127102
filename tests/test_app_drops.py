"""Claims about files that are dropped on the page, in a real browser: what is taken and what is not. Run by `make test-app`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, Page, expect  # noqa: E402

from tests.app_server import (  # noqa: E402
    IN_BROWSER,
    PATIENCE,
    Server,
    drop_on_page,
    expect_fibres,
    image_bytes,
    keep_picture,
    open_page,
    take_example,
    type_into,
)
from tests.drawn_images import drawn_greys  # noqa: E402

pytestmark = [*IN_BROWSER]

REFUSALS = {
    "page.html": (b"<html>", "suffix of page.html"),
    "fake.png": (b"<html><script>alert(1)</script>", "does not begin as an image"),
    "noise.tif": (b"II*\0" + bytes(range(256)), "damaged"),
}


def array_bytes(values: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def expect_refusal(page: Page, words: str) -> str:
    """Wait for the line that says why something cannot be, and return it."""
    line = page.get_by_role("alert").filter(has_text=words)
    expect(line).to_be_visible(timeout=PATIENCE)
    return line.inner_text()


def test_wrong_files_are_refused_in_one_line_and_the_page_goes_on(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    for name, (data, words) in REFUSALS.items():
        drop_on_page(page, (name, data))
        assert "\n" not in expect_refusal(page, words)
    keep_picture(page, "7-refused")
    slices = drawn_greys()
    drop_on_page(page, ("cut-1.png", image_bytes(slices[0])), ("cut-2.png", image_bytes(slices[1, :, :48])))
    line = expect_refusal(page, "cut-2.png is 48 x 64 pixels")
    assert line == "cut-2.png is 48 x 64 pixels; needed: one image a file, of 64 x 64 pixels as cut-1.png."
    keep_picture(page, "16-slices-of-two-sizes")
    drop_on_page(page, ("plain.png", image_bytes(np.full((64, 64), 7, dtype=np.uint8))))
    expect(page.get_by_text("plain.png: 64 x 64")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "0.5um")
    expect_refusal(page, "every pixel has grey 7")
    page.context.close()


def test_files_of_slices_arrays_and_photographs_are_dropped_one_after_the_other(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    slices = drawn_greys()
    order = (9, 10, 8)  # in the order of the numbers in their names, 8 is the first
    drop_on_page(page, *((f"cut-{number}.png", image_bytes(slices[number - 8])) for number in order))
    expect(page.get_by_text("cut-8.png and 2 more: 64 x 64 pixels, 3 slices")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "0.78125um")
    type_into(page, "Depth of the stack", "30um")
    expect_fibres(page)
    page.get_by_text("Another image", exact=True).click()
    drop_on_page(page, ("stack.npy", array_bytes(slices)))
    expect(page.get_by_text("stack.npy: 64 x 64 pixels, 5 slices")).to_be_visible(timeout=PATIENCE)
    drop_on_page(page, ("photograph.jpg", image_bytes(slices[0], "JPEG")))
    expect(page.get_by_text("photograph.jpg: 64 x 64 pixels, one slice")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "0.78125um")
    expect_fibres(page)
    page.context.close()


def test_a_second_tab_is_a_second_session_and_an_image_of_labels_asks_which_are_fibres(
    browser: Browser, server: Server
) -> None:
    first = open_page(browser, server)
    take_example(first)
    fraction = first.locator(".rf-tile b").first.inner_text()
    labels = np.zeros((64, 64), dtype=np.uint8)
    for number, (row, column) in enumerate([(14, 14), (14, 46), (44, 18), (48, 50)], start=1):
        labels[np.hypot(*np.ogrid[-row : 64 - row, -column : 64 - column]) < 9] = number
    second = first.context.new_page()
    second.set_default_timeout(PATIENCE)
    second.goto(server.address)
    expect(second.get_by_text("Drop a micrograph here")).to_be_visible()
    assert second.url != first.url
    drop_on_page(second, ("labels.png", image_bytes(labels)))
    expect(second.get_by_text("labels.png: 64 x 64 pixels")).to_be_visible(timeout=PATIENCE)
    type_into(second, "Pixel size", "0.5um")
    expect_refusal(second, "which of them are fibres, e.g. 1,")
    type_into(second, "Labels that are fibres", "nonzero")
    expect_fibres(second)
    assert second.locator(".rf-folder").inner_text() != first.locator(".rf-folder").inner_text()
    expect(first.get_by_text("tilted_bundle.tif (embedded example): 64 x 64 pixels")).to_be_visible()
    expect(first.get_by_label("Pixel size", exact=True)).to_have_value("0.78125um")
    expect(first.locator(".rf-tile b").first).to_have_text(fraction)
    first.context.close()
