"""Label images are told from greys and need their fibres named; folders of other scenes are no stacks; lengths have units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from resinflow.flow import check_image_sizes
from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.images import from_image
from resinflow.media.micrograph import draw_micrograph
from tests.commands import refusal as refused_command
from tests.commands import run

PIXEL = 0.5e-6
SIZES: dict[str, Any] = {"pixel_size": PIXEL, "depth": 50e-6}


def medium(slices: int, side: int, *, seed: int, fraction: float = 0.45, diameter: float = 14.0):
    settings = BundleSettings(fraction, diameter * PIXEL, 0.08, 3.0, 1e-6)
    return fibre_bundle((slices, side, side), (50e-6, side * PIXEL, side * PIXEL), seed=seed, settings=settings)


def refusal(image, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as error:
        from_image(image, **{**SIZES, **options})
    assert "\n" not in str(error.value)
    return str(error.value)


def classes(fluid: np.ndarray, seed: int) -> np.ndarray:
    """0 matrix, 1 fibre, 2 voids in the matrix."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(fluid.shape), (0, 4, 4))
    return np.where(fluid, np.where(noise > 1.3 * noise.std(), 2, 0), 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("side", [64, 150])
def test_classes_are_refused_with_their_values_and_taken_by_their_label(dtype, side):
    fluid = medium(3, side, seed=side).fluid
    labels = (classes(fluid, side) * 7).astype(dtype)
    message = refusal(labels)
    assert "3 values (0, 7, 14)" in message
    assert "--fibre-label" in message
    assert np.array_equal(from_image(labels, **SIZES, fibre_label=7).fluid, fluid)
    assert np.array_equal(from_image(labels, **SIZES, fibre_label="7,14").fluid, labels == 0)
    assert np.array_equal(from_image(labels, **SIZES, fibre_label="nonzero").fluid, labels == 0)
    assert "holds no 3; it holds 0, 7, 14" in refusal(labels, fibre_label=3)
    assert "needed: a value" in refusal(labels, fibre_label="fibres")


@pytest.mark.parametrize("side", [64, 300])
def test_numbers_of_fibres_are_refused_and_taken_as_nonzero(side):
    fluid = medium(2, side, seed=1).fluid
    numbers, count = ndimage.label(~fluid)
    assert count > 8
    assert f"{count + 1} values" in refusal(numbers.astype(np.uint16))
    assert np.array_equal(from_image(numbers.astype(np.uint16), **SIZES, fibre_label="nonzero").fluid, fluid)


def test_a_mask_is_taken_by_its_label_against_its_sections():
    fluid = medium(1, 64, seed=2).fluid
    mask = np.where(fluid, 9, 40).astype(np.uint8)
    assert np.array_equal(from_image(mask, **SIZES, fibre_label=9, slices=1).fluid, ~fluid)


@pytest.mark.parametrize("levels", [6, 16, 40])
@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_greys_of_few_levels_are_greys(levels, noise):
    bundle = medium(1, 120, seed=3)
    image = draw_micrograph(bundle, seed=1, fibre_grey=40, matrix_grey=215, blur=1.5, noise=noise, gradient=0.2)
    step = 256 // levels
    coarse = from_image(image // step * step, **SIZES, slices=1)
    assert coarse.provenance["segmentation"]["method"] == "grey"
    assert (coarse.fluid == bundle.fluid).mean() > 0.93
    if levels > 16:
        assert "greys" in refusal(image, fibre_label=1)


def test_a_folder_of_other_scenes_is_no_stack(tmp_path: Path):
    for index in range(3):
        Image.fromarray(draw_micrograph(medium(1, 96, seed=index), seed=index)[0]).save(tmp_path / f"image{index}.png")
    message = refusal(tmp_path)
    assert "image0.png and image1.png show different scenes" in message
    assert "multi-page TIFF" in message


@pytest.mark.parametrize("noise", [3.0, 15.0])
@pytest.mark.parametrize("side", [48, 150])
def test_a_folder_of_slices_is_a_stack(tmp_path: Path, noise, side):
    bundle = medium(6, side, seed=4)
    for index, page in enumerate(draw_micrograph(bundle, seed=1, noise=noise)):
        Image.fromarray(page).save(tmp_path / f"slice{index}.png")
    assert from_image(tmp_path, **SIZES).shape == (6, side, side)
    masks = tmp_path / "masks"
    masks.mkdir()
    for index, page in enumerate(bundle.fluid):
        Image.fromarray(page).save(masks / f"{index}.png")
    assert np.array_equal(from_image(masks, **SIZES).fluid, bundle.fluid)


@pytest.mark.parametrize(
    "text", ["0.47um", "0.47 um", "470nm", "0.47µm", "0.47μm", "0.00047mm", "4.7e-7m", "0.47e-6", " 4.7E-1 um "]
)
def test_lengths_have_units(text: str):
    assert check_image_sizes(text, text) == pytest.approx((0.47e-6, 0.47e-6), rel=1e-12)
    assert check_image_sizes("0.47um", "50um") == (0.47e-6, 50e-6)


@pytest.mark.parametrize("text", ["0.47 furlong", "um", "0,47um", "nan", "inf", "-1um", "0.47", "1e999um", "", "tag"])
def test_other_lengths_are_refused_in_one_line(text: str):
    with pytest.raises(InvalidInputError, match=r"needed: .*met") as error:
        check_image_sizes(text, "50um")
    assert "\n" not in str(error.value)


def test_implausible_scales_are_warned_of():
    bundle = medium(4, 96, seed=5)
    grey = draw_micrograph(bundle, seed=1)

    def warnings(**sizes: Any) -> str:
        return " ".join(from_image(grey, **sizes).provenance.get("warnings", ()))

    assert warnings(pixel_size="0.5um", depth="20um") == ""
    assert "outside the usual" in warnings(pixel_size="50um", depth="4mm")
    assert "outside the usual" in warnings(pixel_size="50nm", depth="4um")
    assert "distance of two slices" in warnings(pixel_size="0.5um", depth="0.4um")
    assert "draw what lies between them" in warnings(pixel_size="0.5um", depth="4mm")
    assert "far" not in " ".join(from_image(grey[0], pixel_size="0.5um", depth="4mm").provenance.get("warnings", ()))


def test_the_commands_take_labels_crops_and_units_and_say_what_was_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = medium(1, 48, seed=6, fraction=0.3)
    tifffile.imwrite(tmp_path / "labels.tif", (classes(bundle.fluid, 1)[0] + 3).astype(np.uint8))
    sizes = ["--pixel-size", "0.5um", "--depth", "12um", "--slices", "2"]
    assert "3, 4, 5" in refused_command(capsys, "solve", tmp_path / "labels.tif", *sizes)
    run("solve", tmp_path / "labels.tif", *sizes, "--fibre-label", "4", "--crop", "0:40,0:40")
    printed = capsys.readouterr().out
    assert "40 x 40 x 2 voxels of 500 nm" in printed or "40 x 40 x 2 voxels of 0.5 um" in printed
    assert "fibres: label 4 of labels.tif, as asked" in printed
    assert "the part 0:40,0:40 is used" in printed
