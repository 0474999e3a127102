"""Claims about the looks of the app: every state fits its window and can be read, light and dark. Run by `make test-app`."""

from __future__ import annotations

import io

import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("nicegui")

from playwright.sync_api import Browser, FilePayload, Page, expect  # noqa: E402

from resinflow.media import BundleSettings, draw_micrograph, fibre_bundle  # noqa: E402
from tests.app_server import IN_BROWSER, Server, keep_picture  # noqa: E402

PATIENCE = 60_000  # ms
SIZES = {1920: 1080, 1280: 800, 820: 1180}
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

CUT_OFF = """() => [...document.querySelectorAll('main *')].filter(element => {
  const style = getComputedStyle(element)
  return element.getClientRects().length && element.innerText && !element.closest('.rf-viewer, .rf-sr')
    && style.overflowX === 'hidden' && element.scrollWidth > element.clientWidth + 1
}).map(element => element.innerText.slice(0, 40))"""

pytestmark = [*IN_BROWSER]


def section() -> FilePayload:
    """A single micrograph of 52 fibres, 66 x 66 pixels."""
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    micro = fibre_bundle((1, 66, 66), (1e-6, 66e-6, 66e-6), seed=8, settings=settings)
    buffer = io.BytesIO()
    Image.fromarray(draw_micrograph(micro, seed=1)[0]).save(buffer, "PNG")
    return {"name": "section.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def look(page: Page, state: str, scheme: str) -> None:
    """Keep a picture of a state, and check that it fits its window and can be read."""
    size = page.viewport_size
    assert size is not None
    keep_picture(page, f"states/{state}-{size['width']}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], state
    assert page.evaluate(UNREADABLE, LEAST_CONTRAST) == [], state
    assert page.evaluate(CUT_OFF) == [], state


def look_at_all_widths(page: Page, state: str, scheme: str) -> None:
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        look(page, state, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_fits_its_window_and_can_be_read(browser: Browser, server: Server, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    expect(page.get_by_text("Drop a micrograph here")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "1-empty", scheme)
    damaged = {"name": "noise.tif", "mimeType": "image/tiff", "buffer": b"II*\0" + bytes(range(256))}
    page.locator("input[type=file]").first.set_input_files([damaged])
    expect(page.get_by_role("alert").filter(has_text="damaged")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "2-failed", scheme)
    page.locator("input[type=file]").first.set_input_files([section()])
    page.get_by_label("Pixel size", exact=True).fill("1um")
    page.get_by_label("Pixel size", exact=True).press("Enter")
    expect(page.get_by_text("fibre fraction")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "3-loaded", scheme)
    leaning = page.get_by_text("draw 16 media round this image")
    leaning.click()
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.get_by_text("by their scatter")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "4-busy", scheme)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=PATIENCE)
    look(page, "5-cancelled", scheme)
    leaning.click()
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(page.get_by_role("heading", name="Take away")).to_be_visible(timeout=PATIENCE)
    look_at_all_widths(page, "6-answer", scheme)
    context.close()
