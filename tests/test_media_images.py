"""Images become media only with their scale, and files that cannot be used are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from resinflow.media.images import from_image, read_stack
from resinflow.media.micrograph import save_stack
from resinflow.media.segment import SegmentationSettings
from tests.drawn_images import PIXEL, SIZES, drawn_bundle, drawn_greys, refusal
from tests.measures import dice


@pytest.fixture(scope="module")
def bundle():
    return drawn_bundle()


@pytest.fixture(scope="module")
def grey():
    return drawn_greys()


def test_stack_file_gives_its_medium_back(tmp_path: Path, bundle, grey):
    medium = from_image(save_stack(tmp_path / "stack.tif", grey), **SIZES)
    assert medium.spacing == pytest.approx((10e-6, PIXEL, PIXEL))
    assert medium.shape == (5, 64, 64)
    assert dice(~medium.fluid, ~bundle.fluid) > 0.94
    assert medium.fibre_fraction == pytest.approx(bundle.fibre_fraction, abs=0.03)


def test_single_image_is_extruded_over_the_depth(grey):
    medium = from_image(grey[0], **SIZES, slices=7)
    assert medium.shape == (7, 64, 64)
    assert medium.extent == pytest.approx((50e-6, 50e-6, 50e-6))
    assert (medium.fluid == medium.fluid[:1]).all()
    assert medium.provenance["extruded"] is True
    assert from_image(grey[:2], **SIZES).provenance["extruded"] is False


def test_provenance_tells_all_that_was_decided_and_no_path(tmp_path: Path, grey):
    path = save_stack(tmp_path / "secret" / "stack.tif", grey)
    medium = from_image(path, **SIZES, segmentation=SegmentationSettings(rim_weight=0.2))
    told = json.loads(json.dumps(dict(medium.provenance)))
    assert told["file"] == "stack.tif"
    assert "secret" not in json.dumps(told)
    assert (told["pixel_size"], told["depth"], told["slices"]) == (PIXEL, 50e-6, 5)
    found = told["segmentation"]
    assert found["polarity"] == "dark"
    assert found["settings"]["rim_weight"] == 0.2
    assert 95 < found["threshold"] < 150
    assert found["fibre_diameter"] == pytest.approx(11e-6 / PIXEL, rel=0.15)


@pytest.mark.parametrize("missing", ["pixel_size", "depth"])
def test_sizes_have_no_default(grey, missing):
    message = refusal(from_image, grey, **{**SIZES, missing: None})
    assert "missing" in message
    assert f"--{missing.replace('_', '-')}" in message


@pytest.mark.parametrize(
    "bad", [{"pixel_size": 0.47}, {"pixel_size": -1e-6}, {"pixel_size": np.nan}, {"depth": 50.0}, {"depth": 0}]
)
def test_sizes_that_cannot_be_metres_are_refused(grey, bad):
    assert "needed: metres" in refusal(from_image, grey, **{**SIZES, **bad})


def test_boolean_masks_are_true_in_the_fluid_whatever_they_show(bundle):
    for fluid in (bundle.fluid, ~bundle.fluid):
        medium = from_image(fluid, **SIZES)
        assert np.array_equal(medium.fluid, fluid)
        assert medium.provenance["segmentation"] == {"method": "mask", "fluid_value": 1}
    assert np.array_equal(from_image(bundle.fluid, **SIZES, fibres="bright").fluid, ~bundle.fluid)


@pytest.mark.parametrize("fibre", [0, 1])
def test_fibres_of_masks_of_zero_and_one_are_those_of_disc_like_sections(tmp_path: Path, bundle, fibre):
    mask = (bundle.fluid == (fibre == 0)).astype(np.uint8)
    np.save(tmp_path / "mask.npy", mask)
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    for image in (mask, mask.astype(float), tmp_path / "mask.npy", tmp_path / "mask.tif"):
        medium = from_image(image, **SIZES)
        assert np.array_equal(medium.fluid, bundle.fluid)
        assert medium.provenance["segmentation"]["fluid_value"] == 1 - fibre
        assert f"fibres: {fibre} of the mask" in medium.provenance["notes"][-1]


def test_arrays_of_zero_and_one_that_show_no_sections_have_one_in_the_fluid(tmp_path: Path):
    plates = np.zeros((1, 32, 32), dtype=np.uint8)
    plates[:, ::2] = 1  # channels between plates: no phase has sections like discs
    medium = from_image(plates, **SIZES)
    assert np.array_equal(medium.fluid[:1], plates == 1)
    assert "do not tell" in medium.provenance["notes"][-1]
    tifffile.imwrite(tmp_path / "plates.tif", plates)
    assert "--fibres dark or --fibres bright" in refusal(from_image, tmp_path / "plates.tif", **SIZES)
    assert np.array_equal(from_image(tmp_path / "plates.tif", **SIZES, fibres="bright").fluid[:1], plates == 0)


@pytest.mark.parametrize(("fibre", "matrix"), [(0, 255), (200, 30)])
def test_image_of_two_greys_is_a_mask_whose_fibres_are_recognised(bundle, fibre, matrix):
    image = np.where(bundle.fluid, matrix, fibre).astype(np.uint8)
    medium = from_image(image, **SIZES)
    assert np.array_equal(medium.fluid, bundle.fluid)
    named = from_image(image, **SIZES, fibres="dark")
    assert np.array_equal(named.fluid, bundle.fluid if fibre < matrix else ~bundle.fluid)


def test_media_of_one_phase_are_refused():
    assert "every pixel" in refusal(from_image, np.full((32, 32), 90, dtype=np.uint8), **SIZES)
    assert "all fluid" in refusal(from_image, np.ones((3, 32, 32), dtype=bool), **SIZES)
    assert "all solid" in refusal(from_image, np.zeros((3, 32, 32), dtype=bool), **SIZES)


@pytest.mark.parametrize("slices", [0, -3, 2.5, True])
def test_impossible_numbers_of_slices_are_refused(grey, slices):
    assert "slices is" in refusal(from_image, grey[0], **SIZES, slices=slices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_format_keeps_the_greys(tmp_path: Path, grey, dtype):
    page = grey[0].astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    Image.fromarray(page).save(tmp_path / "page.png")
    tifffile.imwrite(tmp_path / "page.TIFF", page)
    np.save(tmp_path / "page.npy", page)
    for name in ("page.png", "page.TIFF", "page.npy"):
        stack = read_stack(tmp_path / name)
        assert stack.dtype == dtype
        assert np.array_equal(stack, page[None])


def test_lzw_compressed_tiff_is_read(tmp_path: Path, grey):
    pages = [Image.fromarray(page) for page in grey]
    pages[0].save(tmp_path / "stack.tif", compression="tiff_lzw", save_all=True, append_images=pages[1:])
    assert np.array_equal(read_stack(tmp_path / "stack.tif"), grey)


def test_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path, grey):
    for index, page in zip((1, 2, 9, 10, 11), grey, strict=True):
        Image.fromarray(page).save(tmp_path / f"slice{index}.png")
    (tmp_path / "notes.txt").write_text("not a slice")
    assert np.array_equal(read_stack(tmp_path), grey)
    Image.fromarray(grey[0, :10]).save(tmp_path / "slice12.png")
    assert "slice12.png is 64 x 10 pixels" in refusal(read_stack, tmp_path)


def test_of_colour_images_the_luminance_is_taken_and_said(tmp_path: Path, grey):
    colour = np.repeat(grey[0][..., None], 3, axis=-1)
    alpha = np.dstack([colour, np.full(grey[0].shape, 255, dtype=np.uint8)])
    tinted = colour.copy()
    tinted[..., 0] //= 2
    for name, image in (("rgb.png", colour), ("rgba.png", alpha)):
        Image.fromarray(image).save(tmp_path / name)
        assert np.array_equal(read_stack(tmp_path / name), grey[:1])
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb")
    assert np.array_equal(read_stack(tmp_path / "rgb.tif"), grey[:1])
    Image.fromarray(tinted).save(tmp_path / "tinted.png")
    tifffile.imwrite(tmp_path / "tinted.tif", tinted, photometric="rgb")
    luminance = tinted.astype(float) @ [0.2126, 0.7152, 0.0722]
    for name in ("tinted.png", "tinted.tif"):
        assert np.abs(read_stack(tmp_path / name)[0] - luminance).max() <= 0.5
        assert any("luminance" in note for note in from_image(tmp_path / name, **SIZES).provenance["notes"])
    assert not any("luminance" in note for note in from_image(tmp_path / "rgb.png", **SIZES).provenance["notes"])


@pytest.mark.parametrize("name", ["cut.png", "cut.tif", "cut.npy"])
def test_truncated_files_are_refused(tmp_path: Path, grey, name):
    whole = tmp_path / f"whole{Path(name).suffix}"
    if whole.suffix == ".npy":
        np.save(whole, grey)
    elif whole.suffix == ".tif":
        save_stack(whole, grey)
    else:
        Image.fromarray(grey[0]).save(whole)
    data = whole.read_bytes()
    for share in (0.6, 0.01, 0.0):
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        assert f"{name} cannot be read" in refusal(read_stack, tmp_path / name)


def test_files_that_hold_no_stack_are_refused(tmp_path: Path):
    arrays = {
        "nan.npy": (np.where(np.eye(20) > 0, np.nan, 1.0), "NaN"),
        "line.npy": (np.zeros(20), "shape"),
        "deep.npy": (np.zeros((2, 2, 20, 20)), "shape"),
        "empty.npy": (np.zeros((0, 20, 20)), "empty"),
        "text.npy": (np.array([["a", "b"]]), "type"),
        "pickled.npy": (np.array([[{}]], dtype=object), "cannot be read"),
    }
    for name, (array, message) in arrays.items():
        np.save(tmp_path / name, array)
        assert message in refusal(read_stack, tmp_path / name)
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as writer:
        writer.write(np.zeros((20, 20), dtype=np.uint8))
        writer.write(np.zeros((20, 30), dtype=np.uint8))
    assert "different sizes" in refusal(read_stack, tmp_path / "mixed.tif")


def test_missing_and_unknown_files_are_refused(tmp_path: Path):
    (tmp_path / "image.gif").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert "does not exist" in refusal(read_stack, tmp_path / "none.tif")
    assert "'.gif'" in refusal(read_stack, tmp_path / "image.gif")
    assert "holds no" in refusal(read_stack, tmp_path / "empty")
