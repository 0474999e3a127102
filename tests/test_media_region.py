"""What does not show the specimen never becomes fibre: it is cut off and said, or refused with what to crop to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from resinflow.cli.options import MediumOptions
from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.images import from_image
from resinflow.media.micrograph import draw_micrograph
from resinflow.media.region import largest_rectangle
from tests.measures import dice

PIXEL = 0.5e-6
SIZES: dict[str, Any] = {"pixel_size": PIXEL, "depth": 50e-6}


def medium(rows: int = 160, columns: int = 200, *, diameter: float = 14.0, seed: int = 1):
    settings = BundleSettings(0.45, diameter * PIXEL, 0.08, 0.0, 0.06 * diameter * PIXEL)
    return fibre_bundle((1, rows, columns), (300e-6, rows * PIXEL, columns * PIXEL), seed=seed, settings=settings)


@pytest.fixture(scope="module")
def bundle():
    return medium()


@pytest.fixture(scope="module")
def grey(bundle):
    return draw_micrograph(bundle, seed=1)[0]


def refusal(image, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as error:
        from_image(image, **SIZES, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def from_centre(shape: tuple[int, ...]):
    y, x = (np.arange(count) - (count - 1) / 2 for count in shape)
    return np.hypot(y[:, None], x[None, :])


def region_of(micro) -> tuple[slice, slice]:
    x0, x1, y0, y1 = micro.provenance["region"]
    return slice(y0, y1), slice(x0, x1)


def check_inside(micro, bundle, outside: np.ndarray, least: float) -> None:
    """The region holds nothing of the outside, at least a share of the rest, and the fibres there; and it is said."""
    rows, columns = region_of(micro)
    assert not outside[rows, columns].any()
    assert (rows.stop - rows.start) * (columns.stop - columns.start) >= least * (~outside).sum()
    assert dice(~micro.fluid[0], ~bundle.fluid[0, rows, columns]) > 0.93
    assert any(f"--crop {columns.start}:{columns.stop},{rows.start}:{rows.stop}" in note for note in micro.provenance["notes"])


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_rectangle_is_the_largest_of_all(seed: int):
    inside = np.random.default_rng(seed).random((9, 12)) < 0.8
    rows, columns = largest_rectangle(inside)
    assert inside[rows, columns].all()
    areas = [
        (y1 - y0) * (x1 - x0)
        for y0 in range(9)
        for y1 in range(y0 + 1, 10)
        for x0 in range(12)
        for x1 in range(x0 + 1, 13)
        if inside[y0:y1, x0:x1].all()
    ]
    assert (rows.stop - rows.start) * (columns.stop - columns.start) == max(areas)
    assert largest_rectangle(np.zeros((3, 4), dtype=bool)) == (slice(0, 0), slice(0, 0))


def test_a_crop_is_the_medium_of_that_part(bundle, grey):
    micro = from_image(grey, **SIZES, crop="20:120,30:150")
    assert micro.shape[1:] == (120, 100)
    assert region_of(micro) == (slice(30, 150), slice(20, 120))
    assert np.array_equal(micro.fluid, from_image(grey[30:150, 20:120], **SIZES).fluid)
    assert from_image(grey, **SIZES, crop=":,40:").shape[1:] == (120, 200)
    assert np.array_equal(from_image(bundle.fluid, **SIZES, crop="0:50,0:60").fluid[0], bundle.fluid[0, :60, :50])


@pytest.mark.parametrize("crop", ["0:300,0:20", "20:10,0:50", "0:20", "a:b,c:d", "-5:20,0:20", ""])
def test_crops_outside_of_the_image_are_refused(grey, crop):
    assert "needed: X0" in refusal(grey, crop=crop)


def test_a_region_of_interest_is_a_rectangle_or_a_mask(tmp_path: Path, grey):
    disc = (from_centre(grey.shape) < 70).astype(np.uint8)
    Image.fromarray(disc * 200).save(tmp_path / "roi.png")
    for roi in (disc, tmp_path / "roi.png"):
        micro = from_image(grey, **SIZES, roi=roi)
        rows, columns = region_of(micro)
        assert disc[rows, columns].all()
        assert micro.shape[1] * micro.shape[2] > 0.6 * disc.sum()
    assert from_image(grey, **SIZES, roi="0:50,0:60").shape[1:] == (60, 50)
    assert "size (160, 200)" in refusal(grey, roi=disc[:-1])
    assert "0 everywhere" in refusal(grey, roi=0 * disc)
    assert "leave one" in refusal(grey, roi=disc, crop="0:50,0:50")


@pytest.mark.parametrize("radius", [60.0, 79.0])
def test_a_transparent_outside_is_cut_off(tmp_path: Path, bundle, grey, radius):
    outside = from_centre(grey.shape) > radius
    rgba = np.dstack([np.repeat(np.where(outside, 0, grey)[..., None], 3, axis=-1), np.where(outside, 0, 255)]).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "fov.png")
    for image in (tmp_path / "fov.png", rgba):
        check_inside(from_image(image, **SIZES), bundle, outside, least=0.6)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("beyond", ["black", "white", "grey", "noise"])
def test_the_outside_of_a_round_field_of_view_is_cut_off(tmp_path: Path, dark, beyond):
    bundle = medium(200, 200, seed=3)
    half = 30 if dark else -30
    grey = draw_micrograph(bundle, seed=2, fibre_grey=125 - half, matrix_grey=125 + half)[0]
    outside = from_centre(grey.shape) > 96
    noise = 20 + 4 * np.random.default_rng(1).standard_normal(grey.shape)
    value = {"black": 0, "white": 255, "grey": 60, "noise": noise}[beyond]
    image = np.where(outside, value, grey).astype(np.uint8)
    check_inside(from_image(image, **SIZES), bundle, from_centre(grey.shape) > 97, least=0.5)
    tifffile.imwrite(tmp_path / "fov.tif", np.stack([image, image]))
    assert from_image(tmp_path / "fov.tif", **SIZES).shape[1] < 150


def test_the_outside_of_a_round_mask_is_cut_off(tmp_path: Path):
    bundle = medium(300, 300, seed=5)
    outside = from_centre((300, 300)) > 140
    for value in (0, 255):
        Image.fromarray(np.where(outside, value, 255 * bundle.fluid[0]).astype(np.uint8)).save(tmp_path / "mask.png")
        check_inside(from_image(tmp_path / "mask.png", **SIZES), bundle, outside, least=0.5)


@pytest.mark.parametrize("angle", [7, 20])
def test_plain_corners_of_a_turned_image_are_cut_off(angle):
    bundle = medium(260, 260, seed=4)
    image = Image.fromarray(draw_micrograph(bundle, seed=1)[0])
    corner = np.asarray(Image.new("L", image.size, 255).rotate(angle, fillcolor=0)) == 0
    micro = from_image(np.asarray(image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=0)), **SIZES)
    rows, columns = region_of(micro)
    assert not corner[rows, columns].any()
    assert micro.fibre_fraction == pytest.approx(bundle.fibre_fraction, abs=0.04)


def test_a_data_bar_below_a_micrograph_is_cut_off(tmp_path: Path, bundle, grey):
    framed = Image.new("L", (200, 190), 0)
    framed.paste(Image.fromarray(grey), (0, 0))
    draw = ImageDraw.Draw(framed)
    draw.text((10, 168), "20 um   15 kV   x 2000", fill=255)
    draw.rectangle((130, 172, 180, 176), fill=255)
    outside = np.arange(190)[:, None] >= 160 + np.zeros((1, 200), dtype=int)
    check_inside(from_image(np.asarray(framed), **SIZES), bundle, outside, least=0.95)
    framed.save(tmp_path / "bar.jpg", quality=92)
    micro = from_image(tmp_path / "bar.jpg", **SIZES)
    assert 150 <= micro.shape[1] <= 160


def test_margins_and_drawn_axes_are_cut_off(grey):
    page = Image.new("L", (260, 220), 255)
    page.paste(Image.fromarray(grey), (35, 25))
    draw = ImageDraw.Draw(page)
    draw.rectangle((34, 24, 235, 185), outline=0)
    for tick in range(50, 230, 40):
        draw.line((tick, 186, tick, 190), fill=0)
        draw.text((tick - 6, 192), str(tick), fill=0)
    draw.text((4, 90), "y", fill=0)
    rows, columns = region_of(from_image(np.asarray(page), **SIZES))
    assert (rows, columns) == (slice(25, 185), slice(35, 235))


def test_a_scale_bar_in_the_image_is_refused_with_a_crop_that_works(grey):
    image = grey.copy()
    image[145:150, 140:190] = 255
    message = refusal(image)
    assert "rows 145 to 149 and columns 140 to 189" in message
    crop = message.rsplit("--crop ", 1)[1].rstrip(".")
    assert from_image(image, **SIZES, crop=crop).shape[1] > 100


def test_a_drawing_in_colour_on_a_grey_image_is_refused_with_a_crop_that_works(grey):
    image = np.repeat(grey[..., None], 3, axis=-1)
    image[10:14, 20:70] = (255, 0, 0)
    message = refusal(image)
    assert "rows 10 to 13 and columns 20 to 69" in message
    crop = message.rsplit("--crop ", 1)[1].rstrip(".")
    assert from_image(image, **SIZES, crop=crop).shape[2] == 200


@pytest.mark.parametrize("fraction", [0.1, 0.35, 0.6])
@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_of_whole_images_nothing_is_cut_off(fraction, noise):
    for seed in range(3):
        settings = BundleSettings(fraction, 20 * PIXEL, 0.08, 0.0, 1e-6)
        bundle = fibre_bundle((1, 150, 150), (300e-6, 150 * PIXEL, 150 * PIXEL), seed=seed, settings=settings)
        for dark in (60.0, 150.0):
            image = draw_micrograph(bundle, seed=seed, fibre_grey=dark, matrix_grey=210 - dark, noise=noise, rim=0)
            assert "region" not in from_image(image, **SIZES).provenance


def test_the_figures_show_the_region_that_was_used(tmp_path: Path, grey):
    tifffile.imwrite(tmp_path / "image.tif", grey)
    options = MediumOptions(pixel_size="0.5um", depth="50um", crop="20:120,30:150")
    shown = options.greys(tmp_path / "image.tif", options.read(tmp_path / "image.tif"))
    assert np.array_equal(shown, grey[None, 30:150, 20:120])
