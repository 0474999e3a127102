"""Images are read as their files mean them: inverted greys, palettes, opacity, every depth and kind, and their scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from resinflow.media.image_files import read_picture
from resinflow.media.images import from_image, read_stack
from tests.drawn_images import SIZES, drawn_bundle, drawn_greys, refusal
from tests.measures import dice

CASES = Path(__file__).parents[1].parent / "shared" / "cases"
REAL = Path(__file__).parents[1].parent / "shared" / "real"


@pytest.fixture(scope="module")
def bundle():
    return drawn_bundle()


@pytest.fixture(scope="module")
def grey():
    return drawn_greys()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("pages", [1, 5])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_files_whose_zero_is_white_are_turned(tmp_path: Path, grey, dtype, pages, compression):
    stack = grey[:pages].astype(dtype)
    stored = stack.max() + stack.min() - stack if dtype == np.float32 else np.iinfo(dtype).max - stack
    tifffile.imwrite(tmp_path / "white.tif", stored, photometric="miniswhite", compression=compression)
    assert np.array_equal(read_stack(tmp_path / "white.tif"), stack)
    assert "MinIsWhite" in read_picture(tmp_path / "white.tif").notes[0]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_files_of_pillow_whose_zero_is_white_are_turned_once(tmp_path: Path, grey, compression):
    options: dict[str, Any] = {"tiffinfo": {262: 0}, "compression": compression}
    Image.fromarray(grey[0]).save(tmp_path / "white.tif", **options)  # which turns what it writes
    with tifffile.TiffFile(tmp_path / "white.tif") as file:
        assert int(file.pages.first.photometric) == 0
    assert np.array_equal(read_stack(tmp_path / "white.tif"), grey[:1])


def test_one_bit_files_are_masks_of_0_and_255_the_right_way_round(tmp_path: Path, bundle):
    fluid = bundle.fluid[0]
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / "bits.tif", fluid if photometric == "minisblack" else ~fluid, photometric=photometric)
        assert np.array_equal(read_stack(tmp_path / "bits.tif")[0], 255 * fluid)
    Image.fromarray(fluid).save(tmp_path / "bits.png")
    assert np.array_equal(read_stack(tmp_path / "bits.png")[0], 255 * fluid)


@pytest.mark.parametrize("name", ["page.bmp", "page.png", "page.tif"])
def test_files_without_loss_keep_their_greys(tmp_path: Path, grey, name):
    Image.fromarray(grey[0]).save(tmp_path / name)
    assert np.array_equal(read_stack(tmp_path / name), grey[:1])


@pytest.mark.parametrize("name", ["page.jpg", "page.JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_files_are_read(tmp_path: Path, bundle, grey, name, mode):
    Image.fromarray(grey[0]).convert(mode).save(tmp_path / name, quality=90)
    assert np.abs(read_stack(tmp_path / name)[0].astype(float) - grey[0]).mean() < 4
    assert from_image(tmp_path / name, **SIZES).provenance["segmentation"]["polarity"] == "dark"
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert "cannot be read" in refusal(read_stack, tmp_path / name)


def test_palettes_of_greys_in_any_order_give_the_greys(tmp_path: Path, grey):
    order = np.random.default_rng(1).permutation(256).astype(np.uint8)
    numbers = np.argsort(order).astype(np.uint8)[grey[0]]
    image = Image.fromarray(numbers)
    image.putpalette(np.repeat(order, 3).tobytes())
    for name in ("palette.png", "palette.bmp"):
        image.save(tmp_path / name)
        assert np.array_equal(read_stack(tmp_path / name), grey[:1])
    colormap = np.repeat(order[None].astype(np.uint16) * 257, 3, axis=0)
    tifffile.imwrite(tmp_path / "palette.tif", numbers, photometric="palette", colormap=colormap)
    assert np.array_equal(read_stack(tmp_path / "palette.tif"), grey[:1])


def test_false_colours_give_their_luminance_and_labels_their_numbers(tmp_path: Path, grey):
    shade = np.arange(256)
    fire = np.stack([np.minimum(2 * shade, 255), shade, np.maximum(2 * shade - 255, 0)], axis=1).astype(np.uint8)
    image = Image.fromarray(grey[0])
    image.putpalette(fire.tobytes())
    image.save(tmp_path / "fire.png")
    medium = from_image(tmp_path / "fire.png", **SIZES)
    assert medium.provenance["segmentation"]["polarity"] == "dark"
    assert any("luminance" in note for note in medium.provenance["notes"])
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[4:12, 4:12], labels[20:30, 5:15], labels[8:20, 22:34] = 1, 2, 3
    image = Image.fromarray(labels)
    image.putpalette(bytes([0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 255, 0]))
    image.save(tmp_path / "labels.png")
    assert np.array_equal(read_stack(tmp_path / "labels.png")[0], labels)
    assert "--fibre-label" in refusal(from_image, tmp_path / "labels.png", **SIZES)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.float64])
def test_deep_and_floating_greys_are_segmented_as_eight_bits_are(tmp_path: Path, grey, dtype):
    tifffile.imwrite(tmp_path / "deep.tif", (grey * 100.0 - 9000).clip(0 if dtype == np.uint16 else None).astype(dtype))
    tifffile.imwrite(tmp_path / "bits.tif", grey)
    deep, bits = (from_image(tmp_path / name, **SIZES) for name in ("deep.tif", "bits.tif"))
    assert (deep.fluid == bits.fluid).mean() > 0.97


def test_a_mask_of_one_colour_upon_nothing_is_a_mask(tmp_path: Path, bundle):
    fibre = ~bundle.fluid[0]
    for alpha in (127, 255):
        rgba = np.zeros((*fibre.shape, 4), dtype=np.uint8)
        rgba[fibre] = (255, 0, 0, alpha)
        Image.fromarray(rgba).save(tmp_path / "mask.png")
        assert np.array_equal(from_image(tmp_path / "mask.png", **SIZES, slices=1).fluid[0], bundle.fluid[0])


def test_a_transparent_grey_of_a_png_is_no_specimen(tmp_path: Path, grey):
    image = np.maximum(grey[0], 1)
    image[:, :20] = 0
    Image.fromarray(image).save(tmp_path / "part.png", transparency=0)
    assert from_image(tmp_path / "part.png", **SIZES).provenance["region"] == [20, 64, 0, 64]


@pytest.mark.parametrize(("options", "scale"), [({"resolution": (1e4, 1e4), "resolutionunit": 3}, 1e-6),
                                                ({"resolution": (50800, 50800), "resolutionunit": 2}, 0.5e-6),
                                                ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um"}}, 0.5e-6),
                                                ({"resolution": (1, 1), "resolutionunit": 1}, None)])  # fmt: skip
def test_the_resolution_tag_is_told_and_taken_only_if_asked(tmp_path: Path, grey, options, scale):
    tifffile.imwrite(tmp_path / "image.tif", grey[0], **options)
    message = refusal(from_image, tmp_path / "image.tif", pixel_size=None, depth=50e-6)
    assert "pixel size is missing" in message
    assert ("--pixel-size tag" in message) == (scale is not None)
    if scale is None:
        assert "no resolution tag" in refusal(from_image, tmp_path / "image.tif", pixel_size="tag", depth=50e-6)
        return
    assert from_image(tmp_path / "image.tif", pixel_size="tag", depth=50e-6).spacing[1:] == pytest.approx((scale, scale))


def test_the_tag_of_a_screen_is_doubted_and_an_array_has_none(tmp_path: Path, grey):
    Image.fromarray(grey[0]).save(tmp_path / "image.png", dpi=(96, 96))
    assert "screen" in refusal(from_image, tmp_path / "image.png", pixel_size=None, depth=50e-6)
    assert "length" in refusal(from_image, grey, pixel_size="tag", depth=50e-6)


@pytest.mark.skipif(not CASES.exists(), reason="the inputs are not at hand")
@pytest.mark.parametrize(
    ("name", "fraction"),
    [("mask_fibre1.tif", 0.298), ("miniswhite_1page.tif", 0.297), ("ij_zyx.tif", 0.298), ("one_disc_512.tif", 0.0312)],
)
def test_inputs_that_once_were_wrong_have_their_fibre_fraction(name: str, fraction: float):
    assert from_image(CASES / name, **SIZES).fibre_fraction == pytest.approx(fraction, abs=0.004)


@pytest.mark.skipif(not CASES.exists(), reason="the inputs are not at hand")
def test_inputs_that_cannot_be_taken_are_refused_with_what_to_do():
    for name in ("labels_0matrix_1fibre_2void.tif", "labels_instances.tif"):
        assert "--fibre-label" in refusal(from_image, CASES / name, **SIZES)
    assert "slices of one size" in refusal(from_image, CASES / "stack_plus_thumb.tif", **SIZES)


@pytest.mark.skipif(not REAL.exists(), reason="the images are not at hand")
@pytest.mark.parametrize(
    ("name", "polarity"),
    [
        ("ud_composite_ct_slice.tif", "dark"),
        ("ud_composite_ct_slice_mask.png", "bright"),
        ("fcn_crop.png", "bright"),
        ("fcn_crop_mask.png", "bright"),
        ("carbon0103_inner.png", "bright"),
        ("libenke_fail_48_48_144_x.tif", "bright"),
        ("libenke_fail_64_0_128_y.tif", "bright"),
    ],
)
def test_of_real_images_the_polarity_is_decided_rightly(name: str, polarity: str):
    medium = from_image(REAL / name, pixel_size="0.47um", depth="50um")
    assert medium.provenance["segmentation"]["polarity"] == polarity
    assert medium.shape[1:] == read_stack(REAL / name).shape[1:]


@pytest.mark.skipif(not REAL.exists(), reason="the images are not at hand")
@pytest.mark.parametrize(
    ("name", "mask"), [("ud_composite_ct_slice.tif", "ud_composite_ct_slice_mask.png"), ("fcn_crop.png", "fcn_crop_mask.png")]
)
def test_real_images_agree_with_their_hand_masks_without_options(name: str, mask: str):
    micro, truth = (from_image(REAL / file, pixel_size="0.47um", depth="50um", slices=1) for file in (name, mask))
    assert dice(~micro.fluid, ~truth.fluid) >= 0.89
