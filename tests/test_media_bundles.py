"""Random fibre bundles hold what was asked of them."""

import numpy as np
import pytest
from scipy import ndimage

from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle

EXTENT = (50e-6, 50e-6, 50e-6)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.6])
@pytest.mark.parametrize("seed", [1, 2])
def test_fraction_asked_is_fraction_got(fraction, seed):
    micro = fibre_bundle((11, 64, 64), EXTENT, seed=seed, volume_fraction=fraction)
    assert micro.fibre_fraction == pytest.approx(fraction, abs=0.005)


def test_same_seed_same_bundle_and_other_seed_other_bundle():
    first, again, other = (fibre_bundle((5, 32, 32), EXTENT, seed=seed) for seed in (7, 7, 8))
    assert first.fingerprint == again.fingerprint
    assert np.array_equal(first.signed_distance, again.signed_distance)
    assert first.fingerprint != other.fingerprint


def test_zero_of_the_signed_distance_is_the_mask():
    micro = fibre_bundle((6, 48, 48), EXTENT, seed=3)
    assert np.array_equal(micro.signed_distance > 0, micro.fluid)


def test_signed_distance_has_slope_one():
    """Except where two fibres are equally far, and on the axes of the fibres."""
    micro = fibre_bundle((60, 60, 60), EXTENT, seed=3, volume_fraction=0.3)
    slope = np.sqrt(sum(part**2 for part in np.gradient(micro.signed_distance.astype(float), *micro.spacing)))
    inside = slope[1:-1, 1:-1, 1:-1]
    assert np.median(np.abs(inside - 1)) < 5e-3
    assert np.mean(np.abs(inside - 1) < 0.05) > 0.75
    assert inside.max() < 1.05


def test_signed_distance_does_not_depend_on_the_grid():
    coarse, fine = (fibre_bundle((k, 20 * k, 20 * k), EXTENT, seed=4, volume_fraction=0.4) for k in (1, 3))
    # the fraction is met on each grid, by a change of all radii alike
    change = fine.provenance["radius_change"] - coarse.provenance["radius_change"]
    assert fine.signed_distance[1, 1::3, 1::3] == pytest.approx(coarse.signed_distance[0] - change, abs=1e-11)


def sections(micro, index):
    labels, count = ndimage.label(~micro.fluid[index])
    return labels, count


def smallest_gap(micro, index):
    """Clear distance between the two closest sections of a slice, to a voxel."""
    labels, count = sections(micro, index)
    step = micro.spacing[1]
    closest = np.inf
    for number in range(1, count + 1):
        away = ndimage.distance_transform_edt(labels != number) * step
        others = (labels > 0) & (labels != number)
        if others.any():
            closest = min(closest, away[others].min() - step)
    return closest


@pytest.mark.parametrize(("misalignment", "gap"), [(0.0, 1.5e-6), (10.0, 1.5e-6), (30.0, 1.5e-6)])
def test_minimum_gap_is_kept_in_slice_planes(misalignment, gap):
    settings = BundleSettings(0.4, 11e-6, 0.08, misalignment, gap)
    for seed in (1, 2):
        micro = fibre_bundle((3, 250, 250), EXTENT, seed=seed, settings=settings)
        for index in range(3):
            assert smallest_gap(micro, index) > gap - 1.5 * micro.spacing[1]


def test_dense_bundles_keep_their_gap():
    settings = BundleSettings(0.6, 8e-6, 0.05, 5.0, 0.5e-6)
    micro = fibre_bundle((2, 400, 400), EXTENT, seed=2, settings=settings)
    assert min(smallest_gap(micro, index) for index in range(2)) > 0.5e-6 - 1.5 * micro.spacing[1]


def drift(micro):
    """Shift of every fibre section from the first to the last slice over their distance: slopes of the axes."""
    first, count = sections(micro, 0)
    centres = np.array(ndimage.center_of_mass(first > 0, first, range(1, count + 1)))
    whole = [n for n in range(1, count + 1) if not (first[[0, -1]] == n).any() and not (first[:, [0, -1]] == n).any()]
    slopes = []
    for index in (1,):
        later, later_count = sections(micro, index)
        moved = np.array(ndimage.center_of_mass(later > 0, later, range(1, later_count + 1)))
        complete = [
            n for n in range(1, later_count + 1) if not (later[[0, -1]] == n).any() and not (later[:, [0, -1]] == n).any()
        ]
        for number in whole:
            step = moved[[n - 1 for n in complete]] - centres[number - 1]
            nearest = step[np.argmin(np.hypot(*step.T))]
            slopes.append(nearest * micro.spacing[1] / micro.spacing[0])
    return np.array(slopes)


def test_fibres_tilt_as_asked():
    aligned = fibre_bundle((8, 160, 160), EXTENT, seed=5, settings=BundleSettings(0.35, 10e-6, 0.0, 0.0))
    assert np.abs(drift(aligned)).max() < 0.01
    tilts = []
    for seed in range(3):
        tilted = fibre_bundle((40, 120, 120), EXTENT, seed=seed, settings=BundleSettings(0.35, 10e-6, 0.0, 12.0))
        tilts.append(np.degrees(np.arctan(np.hypot(*drift(tilted).T))).mean())
    assert max(tilts) < 12 * 1.5  # a third of the limit as scatter per axis, on top of the bundle's own tilt
    assert max(tilts) > 4


def test_aligned_bundle_is_the_same_in_every_slice():
    micro = fibre_bundle((6, 40, 40), EXTENT, seed=6, settings=BundleSettings(misalignment=0.0))
    assert (micro.fluid == micro.fluid[:1]).all()


def test_diameter_is_as_asked():
    """The widest place of a fibre lies a radius deep."""
    micro = fibre_bundle((1, 300, 300), EXTENT, seed=9, settings=BundleSettings(0.4, 9e-6, 0.0, 0.0))
    deepest = -micro.signed_distance.min()
    assert 2 * deepest == pytest.approx(9e-6, rel=0.35)
    assert 2 * deepest == pytest.approx(9e-6 + 2 * micro.provenance["radius_change"], abs=2 * micro.spacing[1])


def test_provenance_rebuilds_the_bundle():
    micro = fibre_bundle((3, 24, 24), EXTENT, seed=11, settings=BundleSettings(0.4, 9e-6, 0.05, 4.0))
    names = BundleSettings.__dataclass_fields__
    again = fibre_bundle(
        micro.shape,
        micro.extent,
        seed=micro.provenance["seed"],
        settings=BundleSettings(**{n: micro.provenance[n] for n in names}),
    )
    assert again.fingerprint == micro.fingerprint


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: BundleSettings(volume_fraction=0.9), "volume_fraction"),
        (lambda: BundleSettings(volume_fraction=0.0), "volume_fraction"),
        (lambda: BundleSettings(diameter=11.0), "diameter"),
        (lambda: BundleSettings(diameter=0.0), "diameter"),
        (lambda: BundleSettings(diameter_scatter=0.5), "diameter_scatter"),
        (lambda: BundleSettings(misalignment=45.0), "misalignment"),
        (lambda: BundleSettings(misalignment=float("nan")), "misalignment"),
        (lambda: BundleSettings(minimum_gap=-1e-6), "minimum_gap"),
        (lambda: fibre_bundle((5, 32, 32), EXTENT, seed=1, volume_fraction=0.95), "volume_fraction"),
        (lambda: fibre_bundle((5, 32, 32), (5e-6,) * 3, seed=1), "box"),
        (lambda: fibre_bundle((5, 32, 32), EXTENT, seed=1, settings=BundleSettings(0.65, minimum_gap=4e-6)), "gap"),
        (lambda: fibre_bundle((0, 32, 32), EXTENT, seed=1), "shape"),
    ],
)
def test_impossible_bundles_are_refused_in_one_line(build, match):
    with pytest.raises(InvalidInputError, match=match) as refusal:
        build()
    assert "\n" not in str(refusal.value)
