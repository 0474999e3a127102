"""Drawn micrographs show the medium they were drawn from, and stacks survive the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import fibre_bundle
from resinflow.media.images import read_stack
from resinflow.media.micrograph import draw_micrograph, save_stack


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((4, 64, 64), (50e-6, 50e-6, 50e-6), seed=3, volume_fraction=0.4)


def disc_mask(size: int = 80, radius: float = 20.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.hypot(x, y) > radius


def test_phases_have_the_asked_greys(bundle):
    grey = draw_micrograph(bundle, seed=1, fibre_grey=60, matrix_grey=180, blur=0.5, noise=4, rim=0)
    distance = bundle.signed_distance / bundle.spacing[1]
    assert np.median(grey[distance < -3]) == pytest.approx(60, abs=1)
    assert np.median(grey[distance > 3]) == pytest.approx(180, abs=1)


def test_equal_seeds_give_equal_images_and_other_seeds_other_noise(bundle):
    assert np.array_equal(draw_micrograph(bundle, seed=5), draw_micrograph(bundle, seed=5))
    assert not np.array_equal(draw_micrograph(bundle, seed=5), draw_micrograph(bundle, seed=6))


def test_noise_has_the_asked_strength_and_is_independent_between_slices():
    fluid = np.ones((2, 100, 100), dtype=bool)
    pages = draw_micrograph(fluid, seed=1, noise=8, rim=0).astype(float)
    assert pages.std() == pytest.approx(8, rel=0.05)
    assert abs(np.corrcoef(pages[0].ravel(), pages[1].ravel())[0, 1]) < 0.04


@pytest.mark.parametrize(("fibre", "matrix"), [(90, 150), (150, 90)])
def test_rim_overshoots_the_matrix_by_the_asked_share_of_the_contrast(fibre, matrix):
    plain = draw_micrograph(disc_mask(), seed=1, fibre_grey=fibre, matrix_grey=matrix, noise=0, rim=0).astype(float)
    rimmed = draw_micrograph(disc_mask(), seed=1, fibre_grey=fibre, matrix_grey=matrix, noise=0, rim=0.4).astype(float)
    sign = np.sign(matrix - fibre)
    assert (sign * (plain - matrix)).max() == 0
    assert (sign * (rimmed - matrix)).max() == pytest.approx(0.4 * 60, rel=0.3)


def test_illumination_changes_by_the_asked_share_across_the_image():
    fluid = np.ones((1, 90, 90), dtype=bool)
    grey = draw_micrograph(fluid, seed=2, matrix_grey=120, noise=0, rim=0, gradient=0.5).astype(float)
    assert np.ptp(grey) == pytest.approx(60, abs=1.5)
    assert grey.mean() == pytest.approx(120, abs=1)


def test_signed_distance_gives_edge_pixels_intermediate_greys(bundle):
    sharp = {"seed": 1, "blur": 0.0, "noise": 0.0, "rim": 0.0}
    assert len(np.unique(draw_micrograph(bundle.fluid, **sharp))) == 2
    assert len(np.unique(draw_micrograph(bundle, **sharp))) > 20


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_stack_comes_back_from_a_multi_page_tiff(tmp_path: Path, count):
    stack = np.random.default_rng(count).integers(0, 256, (count, 20, 24), dtype=np.uint8)
    path = save_stack(tmp_path / "new" / "stack.tif", stack)
    assert np.array_equal(read_stack(path), stack)


def test_saving_replaces_an_older_stack_and_leaves_nothing_else(tmp_path: Path, bundle):
    path = tmp_path / "stack.tiff"
    save_stack(path, np.zeros((2, 8, 8), dtype=np.uint8))
    save_stack(path, bundle.fluid)
    assert np.array_equal(read_stack(path), bundle.fluid * np.uint8(255))
    assert [file.name for file in tmp_path.iterdir()] == ["stack.tiff"]


@pytest.mark.parametrize(
    ("option", "message"),
    [({"blur": -1}, "blur is -1"), ({"fibre_grey": 300}, "fibre_grey is 300"), ({"noise": np.nan}, "noise is nan")],
)
def test_impossible_numbers_are_refused(bundle, option, message):
    with pytest.raises(InvalidInputError, match=message):
        draw_micrograph(bundle, seed=1, **option)


def test_greys_in_place_of_a_mask_are_refused():
    with pytest.raises(InvalidInputError, match="bool fluid mask"):
        draw_micrograph(np.zeros((3, 8, 8)), seed=1)  # pyright: ignore[reportArgumentType]


def test_other_suffixes_and_dimensions_are_not_written(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"'\.png'"):
        save_stack(tmp_path / "a.png", np.zeros((1, 4, 4), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match="shape"):
        save_stack(tmp_path / "a.tif", np.zeros(4, dtype=np.uint8))
    assert not list(tmp_path.iterdir())
