"""Microstructures refuse what cannot be a medium, stay as they are, and know their geometry."""

import pickle

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure

SPACING = (4e-6, 1e-6, 0.5e-6)


@pytest.fixture
def mask():
    return np.random.default_rng(1).random((3, 4, 5)) > 0.4


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((2, 2, 2), np.nan), "holds NaN; needed: True"),
        (np.arange(8).reshape(2, 2, 2), "8 different values from 0 to 7; needed: 0 and 1 only. Segment"),
        (np.array([0, 255] * 4, dtype=np.uint8).reshape(2, 2, 2), "Pass mask == 255"),
        (np.full((2, 2, 2), np.inf), "from inf to inf"),
        (np.ones((4, 4)), r"shape \(4, 4\); needed: three dimensions.*mask\[None\]"),
        (np.ones((1, 2, 3, 4)), "needed: three dimensions"),
        (np.ones((0, 2, 3)), "each at least 1"),
        (np.full((1, 1, 2), "fluid"), "holds values of type <U5; needed: booleans"),
        (np.full((1, 1, 2), None), "holds values of type object; needed: booleans"),
        (None, "needed: three dimensions"),
    ],
)
def test_a_mask_that_is_none_is_refused(mask, message):
    with pytest.raises(InvalidInputError, match=message) as raised:
        Microstructure(mask, SPACING)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ((1.0, 0.5, 0.5), "largest voxel edge is 1 m; needed: metres"),
        ((-1e-6, 1e-6, 1e-6), "three positive lengths"),
        ((0.0, 1e-6, 1e-6), "three positive lengths"),
        ((np.nan, 1e-6, 1e-6), "three positive lengths"),
        ((np.inf, 1e-6, 1e-6), "three positive lengths"),
        ((1e-6, 1e-6), "three positive lengths"),
        (1e-6, "three positive lengths"),
        ("abc", "three positive lengths"),
        (None, "three positive lengths"),
    ],
)
def test_a_spacing_that_cannot_be_metres_is_refused(mask, spacing, message):
    with pytest.raises(InvalidInputError, match=message):
        Microstructure(mask, spacing)


def test_a_distance_of_another_shape_or_with_nan_is_refused(mask):
    with pytest.raises(InvalidInputError, match=r"signed_distance has shape \(3, 4\); needed: \(3, 4, 5\)"):
        Microstructure(mask, SPACING, np.zeros((3, 4)))
    with pytest.raises(InvalidInputError, match="signed_distance holds NaN"):
        Microstructure(mask, SPACING, np.full((3, 4, 5), np.nan))


@pytest.mark.parametrize("kind", [bool, np.uint8, int, np.float32])
def test_zeros_and_ones_of_any_type_make_the_same_medium(mask, kind):
    assert Microstructure(mask.astype(kind), SPACING).fingerprint == Microstructure(mask, SPACING).fingerprint


def test_a_medium_cannot_be_changed(mask):
    medium = Microstructure(mask, SPACING, np.zeros(mask.shape))
    with pytest.raises(AttributeError):
        medium.spacing = (1e-6, 1e-6, 1e-6)  # pyright: ignore[reportAttributeAccessIssue]
    for array in (medium.fluid, medium.signed_distance):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


def test_the_callers_array_stays_writable_and_does_not_reach_the_medium(mask):
    medium = Microstructure(mask, SPACING)
    before = medium.fluid.copy()
    mask[:] = ~mask
    assert np.array_equal(medium.fluid, before)


def test_a_later_change_of_the_callers_provenance_does_not_reach_the_medium(mask):
    origin = {"seed": 1}
    medium = Microstructure(mask, SPACING, provenance=origin)
    origin["seed"] = 2
    assert medium.provenance == {"seed": 1}


def test_porosity_and_fibre_fraction_share_the_box():
    mask = np.zeros((2, 2, 2), dtype=bool)
    mask[0, 0] = True
    medium = Microstructure(mask, SPACING)
    assert medium.porosity == 0.25
    assert medium.fibre_fraction == 0.75


def test_extent_is_voxels_times_spacing(mask):
    assert Microstructure(mask, SPACING).extent == pytest.approx((12e-6, 4e-6, 2.5e-6))


def test_the_fingerprint_follows_mask_shape_and_spacing_and_nothing_else(mask):
    medium = Microstructure(mask, SPACING)
    flipped = mask.copy()
    flipped[-1, -1, -1] ^= True
    assert Microstructure(flipped, SPACING).fingerprint != medium.fingerprint
    assert Microstructure(mask, (4e-6, 1e-6, 0.6e-6)).fingerprint != medium.fingerprint
    assert Microstructure(mask.reshape(5, 4, 3), SPACING).fingerprint != medium.fingerprint
    assert Microstructure(mask, SPACING, np.ones(mask.shape), {"seed": 5}).fingerprint == medium.fingerprint
    assert Microstructure(np.asfortranarray(mask), SPACING).fingerprint == medium.fingerprint


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_straight_channel_percolates_along_itself_only(axis):
    mask = np.zeros((4, 4, 4), dtype=bool)
    line: list[int | slice] = [1, 1, 1]
    line["zyx".index(axis)] = slice(None)
    mask[tuple(line)] = True
    medium = Microstructure(mask, SPACING)
    assert [name for name in "xyz" if medium.percolates(name)] == [axis]


def test_voxels_that_touch_at_edges_or_corners_do_not_percolate():
    diagonal = np.zeros((3, 3, 3), dtype=bool)
    diagonal[range(3), range(3), range(3)] = True
    staircase = np.zeros((1, 3, 3), dtype=bool)
    staircase[0, range(3), range(3)] = True
    assert not Microstructure(diagonal, SPACING).percolates("x")
    assert not Microstructure(staircase, SPACING).percolates("x")


def test_two_dead_ends_do_not_percolate():
    mask = np.ones((2, 2, 5), dtype=bool)
    mask[:, :, 2] = False
    assert not Microstructure(mask, SPACING).percolates("x")
    assert Microstructure(mask, SPACING).percolates("y")


def test_an_unknown_axis_is_refused(mask):
    with pytest.raises(InvalidInputError, match="axis is 'u'; needed: one of x, y, z"):
        Microstructure(mask, SPACING).percolates("u")


def test_a_slice_keeps_spacing_distance_and_origin(mask):
    distance = np.random.default_rng(2).normal(size=mask.shape)
    part = Microstructure(mask, SPACING, distance, {"seed": 1}).slice_at(2)
    assert part.shape == (1, 4, 5)
    assert part.spacing == SPACING
    assert np.array_equal(part.fluid[0], mask[2])
    assert np.array_equal(part.signed_distance[0], distance[2])
    assert part.provenance == {"seed": 1, "slice": 2}


@pytest.mark.parametrize("index", [-1, 3])
def test_a_slice_outside_the_stack_is_refused(mask, index):
    with pytest.raises(InvalidInputError, match="3 slices; needed: 0 to 2"):
        Microstructure(mask, SPACING).slice_at(index)


def test_the_description_gives_sizes_x_first(mask):
    text = Microstructure(np.ones((3, 4, 5)), SPACING).describe()
    assert text == "5 x 4 x 3 voxels of 0.5 um x 1 um x 4 um (2.5 um x 4 um x 12 um), fibre fraction 0.000"


def test_a_medium_travels_between_processes(mask):
    medium = Microstructure(mask, SPACING, np.ones(mask.shape), {"seed": 1})
    copy = pickle.loads(pickle.dumps(medium))
    assert copy.fingerprint == medium.fingerprint
    assert copy.provenance == medium.provenance
