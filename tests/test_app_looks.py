"""Claims about the looks of the app: every state fits its window and can be read, light and dark. Run by `make test-app`."""

from __future__ import annotations

import re
from typing import Literal

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, FilePayload, Page, expect  # noqa: E402

from resinflow.media import BundleSettings, draw_micrograph, fibre_bundle  # noqa: E402
from tests.app_server import IN_BROWSER, PATIENCE, Server, image_bytes, take_picture, type_into, whole_page  # noqa: E402

SIZES = {1920: 1080, 1280: 800, 820: 1180}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LEAST_CONTRAST = 4.5
"""Of text on its ground, WCAG 2.1 AA."""

UNREADABLE = """limit => {
  const parts = text => (text.match(/[0-9.]+/g) || []).map(Number)
  const mix = (top, ground) => {
    const alpha = top.length > 3 ? top[3] : 1
    return [0, 1, 2].map(k => alpha * top[k] + (1 - alpha) * ground[k])
  }
  const ground = element => {
    const layers = []
    for (let each = element; each; each = each.parentElement) {
      const style = getComputedStyle(each)
      if (style.backgroundImage !== 'none') return null
      layers.push(parts(style.backgroundColor))
    }
    return layers.reverse().reduce((below, layer) => mix(layer, below), [255, 255, 255])
  }
  const light = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const passive = 'svg, .rf-viewer, .waiting, .disabled, [disabled], .rf-sr'
  const bad = []
  for (const element of document.querySelectorAll('main *')) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('')
    if (!text || !element.getClientRects().length || element.closest(passive))
      continue
    const below = ground(element)
    if (!below) continue
    const [a, b] = [light(mix(parts(getComputedStyle(element).color), below)), light(below)]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (contrast < limit) bad.push(`${text.slice(0, 40)}: ${contrast.toFixed(1)}`)
  }
  return bad
}"""

FAULTS = f"""limit => {{
  const unreadable = {UNREADABLE}
  const wide = document.documentElement.scrollWidth - window.innerWidth
  const cut = [...document.querySelectorAll('main *')].filter(element => {{
    const style = getComputedStyle(element)
    return element.getClientRects().length && element.innerText && !element.closest('.rf-viewer, .rf-sr')
      && style.overflowX === 'hidden' && element.scrollWidth > element.clientWidth + 1
  }})
  return [...(wide > 0 ? [`the page is ${{wide}} pixels too wide`] : []), ...unreadable(limit),
    ...cut.map(element => `cut off: ${{element.innerText.slice(0, 40)}}`)]
}}"""
"""What does not fit its window, cannot be read, or is cut off."""

pytestmark = [*IN_BROWSER]


def section() -> FilePayload:
    """A single micrograph of straight fibres, 40 x 40 pixels."""
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    micro = fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=8, settings=settings)
    return {"name": "section.png", "mimeType": "image/png", "buffer": image_bytes(draw_micrograph(micro, seed=1)[0])}


def look(page: Page, state: str) -> None:
    """Keep pictures of a state, light and dark, and check that it fits its window and can be read in both."""
    size = page.viewport_size
    assert size is not None
    with whole_page(page):
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("body")).to_have_class(re.compile(rf"body--{scheme}"))
            take_picture(page, f"states/{state}-{size['width']}-{scheme}")
            assert page.evaluate(FAULTS, LEAST_CONTRAST) == [], f"{state}, {scheme}, {size['width']} pixels wide"


def look_at_all_widths(page: Page, state: str) -> None:
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        look(page, state)


def test_every_state_fits_its_window_and_can_be_read_light_and_dark(browser: Browser, server: Server) -> None:
    context = browser.new_context(reduced_motion="reduce")  # pictures of no transition
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    expect(page.get_by_text("Drop a micrograph here")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "1-empty")
    damaged = {"name": "noise.tif", "mimeType": "image/tiff", "buffer": b"II*\0" + bytes(range(256))}
    page.locator("input[type=file]").first.set_input_files([damaged])
    expect(page.get_by_role("alert").filter(has_text="damaged")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "2-failed")
    page.locator("input[type=file]").first.set_input_files([section()])
    expect(page.get_by_text("section.png: 40 x 40 pixels")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "1um")
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "3-loaded")
    leaning = page.get_by_text("draw 16 media round this image")
    leaning.click()
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.get_by_text("by their scatter")).to_be_visible(timeout=PATIENCE)
    with server.standing_still():  # it is busy however long the pictures take
        look_at_all_widths(page, "4-busy")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=PATIENCE)
    look(page, "5-cancelled")
    leaning.click()
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.get_by_role("heading", name="Take away")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "6-answer")
    page.get_by_role("button", name="Solve", exact=True).click()
    page.get_by_text("How exactly it is solved").click()
    type_into(page, "Most iterations", "1")
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.get_by_role("button", name="Go on: 1 more iterations")).to_be_visible(timeout=PATIENCE)
    type_into(page, "Pixel size", "5")
    expect(page.get_by_text("mend it first")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "7-gave-up-stale-and-faulty")
    context.close()
