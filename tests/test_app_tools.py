"""Claims about the tools of the page in a real browser: brushes, crop, fields, the keyboard. Run by `make test-app`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, Locator, Page, expect  # noqa: E402

from resinflow.app.resins import RESINS  # noqa: E402
from tests.app_server import IN_BROWSER, PATIENCE, Server, keep_picture, open_page, take_example, type_into  # noqa: E402

pytestmark = [*IN_BROWSER]


@pytest.fixture(scope="module")
def example_page(browser: Browser, server: Server) -> Iterator[Page]:
    """A window with the fibres of the embedded example; who uses it leaves it as it was."""
    page = open_page(browser, server)
    take_example(page)
    yield page
    page.context.close()


def choose_tool(page: Page, name: str, tool: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".rf-viewer")).to_have_attribute("data-tool", tool)


def plane_of(page: Page) -> tuple[float, float, float, float]:
    """Where the image lies in the window: left, top, width, height."""
    page.locator(".rf-viewer").scroll_into_view_if_needed()
    box = page.locator(".rf-plane").bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def fraction_of(tile: Locator) -> float:
    """The fibre fraction that the page shows, per cent."""
    return float(tile.inner_text().removesuffix(" %"))


def test_the_brushes_add_and_erase_fibres_a_click_measures_one_and_undo_takes_all_back(example_page: Page) -> None:
    page, fraction = example_page, example_page.locator(".rf-tile b").first
    before = fraction.inner_text()
    left, top, width, height = plane_of(page)
    resin, fibre = (left + width * 0.6, top + height * 0.4), (left + width * 12 / 64, top + height * 6 / 64)
    choose_tool(page, "Add fibre", "add")
    page.mouse.click(*resin)
    expect(fraction).not_to_have_text(before, timeout=PATIENCE)
    more = fraction.inner_text()
    assert fraction_of(fraction) > float(before.removesuffix(" %"))
    expect(page.get_by_text("1 stroke of the brush")).to_be_visible()
    choose_tool(page, "Look", "look")
    page.mouse.click(*resin)
    expect(page.get_by_text("This fibre is")).to_be_visible(timeout=PATIENCE)
    words = page.get_by_text("This fibre is").inner_text()
    assert float(words.split()[3]) == pytest.approx(8 * 0.78125, rel=0.06)  # the brush is 8 pixels wide
    keep_picture(page, "6-brush")
    choose_tool(page, "Erase", "erase")
    page.mouse.click(*fibre)
    expect(fraction).not_to_have_text(more, timeout=PATIENCE)
    assert fraction_of(fraction) < float(more.removesuffix(" %"))
    slider = page.get_by_role("slider", name="Radius of the brush in pixels")
    slider.click(position={"x": slider.evaluate("slider => slider.clientWidth") - 1, "y": 5})
    expect(page.get_by_text("Brush of 60 pixels")).to_be_visible()
    for part in (0.1, 0.5, 0.9):
        page.mouse.move(left + 1, top + height * part)
        page.mouse.down()
        page.mouse.move(left + width - 1, top + height * part, steps=3)
        page.mouse.up()
    line = page.get_by_role("alert").filter(has_text="The strokes leave no fibre; needed: fibres and resin. Undo takes")
    expect(line).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "17-everything-erased")
    choose_tool(page, "Look", "look")
    for number in (4, 3, 2, 1):
        expect(page.get_by_text(re.compile(f"^{number + 1} strokes of the brush"))).to_be_visible()
        page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(fraction).to_have_text(before, timeout=PATIENCE)


def test_a_part_of_the_image_the_threshold_the_resin_and_the_boundary_are_chosen_and_undone(example_page: Page) -> None:
    page, fraction = example_page, example_page.locator(".rf-tile b").first
    before, undo = fraction.inner_text(), page.get_by_role("button", name="Undo", exact=True)
    choose_tool(page, "Crop", "crop")
    left, top, width, height = plane_of(page)
    page.mouse.move(left + width / 4, top + height / 4)
    page.mouse.down()
    page.mouse.move(left + width * 0.75, top + height * 0.75, steps=3)
    page.mouse.up()
    part = page.get_by_label("Part of the image", exact=True)
    expect(part).to_have_value(re.compile("^1[56]:4[89],1[56]:4[89]$"))
    expect(fraction).not_to_have_text(before, timeout=PATIENCE)
    undo.click()
    expect(part).to_have_value("")
    expect(fraction).to_have_text(before, timeout=PATIENCE)
    choose_tool(page, "Look", "look")
    page.get_by_role("button", name="Thresholds", exact=True).click()
    expect(page.get_by_text("Outline at 0.55 of the way")).to_be_visible()
    expect(fraction).not_to_have_text(before, timeout=PATIENCE)
    undo.click()
    expect(fraction).to_have_text(before, timeout=PATIENCE)
    resin = RESINS[0]
    page.get_by_label("Resin", exact=True).click()
    page.get_by_role("option", name=resin.name, exact=True).click()
    viscosity = page.get_by_label("Viscosity in Pa s", exact=True)
    expect(viscosity).to_have_value(f"{resin.viscosity:g}")
    expect(page.get_by_text(resin.description)).to_be_visible()
    undo.click()
    expect(viscosity).to_have_value("0.1")
    page.get_by_role("button", name="Solve", exact=True).click()
    page.get_by_label("Boundary condition", exact=True).click()
    page.get_by_role("option", name="walls at the sides").click()
    expect(page.get_by_text("For a specimen in a narrow mould")).to_be_visible()
    for _ in ("boundary", "task"):
        undo.click()
    expect(page.get_by_role("button", name="Predict", exact=True)).to_have_attribute("aria-pressed", "true")


def test_wrong_numbers_are_told_at_their_field(example_page: Page) -> None:
    page = example_page
    type_into(page, "Pixel size", "five")
    expect(page.get_by_text("the pixel size is 'five'")).to_be_visible()
    type_into(page, "Viscosity in Pa s", "-1")
    expect(page.get_by_text("viscosity is -1.0")).to_be_visible()
    type_into(page, "Part of the image", "0:9999,0:32")
    expect(page.get_by_role("alert").filter(has_text="9999,0:32', but tilted_bundle.tif")).to_be_visible(timeout=PATIENCE)
    keep_picture(page, "8-wrong-numbers")
    for label, text in (("Pixel size", "0.78125um"), ("Viscosity in Pa s", "0.1"), ("Part of the image", "")):
        type_into(page, label, text)
    expect(page.get_by_role("button", name="Compute", exact=True)).to_be_enabled(timeout=PATIENCE)


def test_the_theme_can_be_chosen(example_page: Page) -> None:
    page = example_page
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    page.get_by_role("button", name="Theme: as the system").click()
    expect(page.locator("body")).not_to_have_class(re.compile("body--dark"))
    page.get_by_role("button", name="Theme: light").click()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    page.get_by_role("button", name="Theme: dark").click()
    page.emulate_media(color_scheme="light")
    expect(page.locator("body")).not_to_have_class(re.compile("body--dark"))


def test_everything_that_can_be_used_has_a_name(example_page: Page) -> None:
    page = example_page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, a, [role=button], [role=slider], [tabindex="0"]')]
        .filter(e => e.offsetParent && !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !e.getAttribute('title')
            && !e.getAttribute('aria-labelledby') && !(e.labels && e.labels.length) && !e.closest('[aria-label]'))
        .map(e => e.outerHTML.slice(0, 160))"""
    )
    assert nameless == []
    page.locator(".rf-viewer").focus()
    for key, number in (("ArrowUp", 1), ("ArrowDown", 0)):
        page.keyboard.press(key)
        expect(page.get_by_text(f"slice {number} of 0 to 10")).to_be_visible()


UNSEEN = """() => {
  const one = document.activeElement
  const style = getComputedStyle(one)
  const shown = style.boxShadow !== 'none' || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)
  const own = '.q-field--focused, .rf-drop, .q-slider, iframe, body > *:not(#app)'
  return shown || one.closest(own) ? '' : one.outerHTML.slice(0, 120)
}"""
"""What has the focus and does not show it; fields, sliders and the place for files do it in ways of their own."""


def tab_to(page: Page, name: str) -> None:
    """Press the tabulator until a button has the focus; each stop on the way shows that it has it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(UNSEEN) == ""
        if page.evaluate("document.activeElement.innerText || ''").strip() == name:
            return
    raise AssertionError(f"the tabulator does not lead to {name}")


def test_the_keyboard_alone_leads_to_an_answer(page: Page) -> None:
    expect(page.get_by_text("Drop a micrograph here")).to_be_visible(timeout=PATIENCE)
    tab_to(page, "Try the example")
    page.keyboard.press("Enter")
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    fraction = page.locator(".rf-tile b").first
    before = fraction.inner_text()
    tab_to(page, "Add fibre")
    page.keyboard.press("Enter")
    expect(page.locator(".rf-viewer")).to_have_attribute("data-tool", "add")
    page.locator(".rf-viewer").focus()
    for key in ("Shift+ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("1 stroke of the brush")).to_be_visible(timeout=PATIENCE)
    expect(fraction).not_to_have_text(before, timeout=PATIENCE)
    page.keyboard.press("Control+z")
    expect(fraction).to_have_text(before, timeout=PATIENCE)
    page.get_by_role("button", name="Crop").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".rf-viewer")).to_have_attribute("data-tool", "crop")
    page.locator(".rf-viewer").focus()
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp", "Enter", *["Shift+ArrowRight"] * 3, *["Shift+ArrowDown"] * 3, "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_label("Part of the image", exact=True)).to_have_value("32:63,21:52")
    expect(page.get_by_role("button", name="Compute", exact=True)).to_be_enabled(timeout=PATIENCE)
    tab_to(page, "Compute")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Permeability K")).to_be_visible(timeout=PATIENCE)
