"""Fibre surfaces from a signed distance: gaps of any real width, second order on round fibres, the same solver."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from resinflow import stokes
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.cases import fibre_array, rectangular_duct
from resinflow.stokes.problem.cutcell import cut_faces

STEP = 1e-6


def straight_channel(width, offset, rows, length=4):
    """A channel along x of any real width, in voxels, its lower wall ``3.5 + offset`` voxels above the floor."""
    y = np.arange(rows) + 0.5
    low = 3.5 + offset
    distance = np.minimum(y - low, low + width - y) * STEP
    distance = np.broadcast_to(distance[None, :, None], (1, rows, length)).copy()
    return Microstructure(distance > 0, (STEP,) * 3, distance)


def error(arrangement, fraction, diameter, direction):
    case = fibre_array(arrangement, fraction, diameter, direction)
    flow = stokes.solve(case.microstructure, axis=case.axis, boundary="periodic", wall_rule="surface")
    return flow.permeability / case.permeability - 1


@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
@pytest.mark.parametrize("width", [2.0, 2.5, 3.7, 5.2, 10.4])
def test_channels_of_any_real_width_are_exact(width, boundary):
    for offset in (0.0, 0.13, 0.37, 0.5, 0.8):
        rows = int(np.ceil(width + 8))
        flow = stokes.solve(straight_channel(width, offset, rows), boundary=boundary, wall_rule="surface", tolerance=1e-10)
        assert flow.permeability == pytest.approx((width * STEP) ** 3 / (12 * rows * STEP), rel=5e-3)


def test_apertures_are_the_open_fractions_of_the_faces():
    _, y, x = cut_faces(straight_channel(3.7, 0.2, 12).signed_distance, (STEP,) * 3, "periodic", "periodic")
    assert x.aperture[0, :, 0] == pytest.approx([0, 0, 0, 0.3, 1, 1, 1, 0.4, 0, 0, 0, 0], abs=1e-6)
    assert y.aperture[0, :, 0] == pytest.approx([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0], abs=1e-9)


def test_aperture_of_a_slanted_wall_is_exact():
    """The plane 3 x + 4 y = 5 d cuts faces where it should; volumes under it are known in closed form."""
    shape = (1, 12, 12)
    y, x = (np.arange(12) + 0.5)[None, :, None], (np.arange(12) + 0.5)[None, None, :]
    distance = np.broadcast_to((3 * x + 4 * y - 40) / 5, shape)
    _, _, faces = cut_faces(distance, (1.0, 1.0, 1.0), "pressure", "symmetry")
    line = (40 - 3 * np.arange(13)) / 4  # height of the wall at the x faces
    bottom = np.arange(12)[:, None]
    expected = np.clip(bottom + 1 - line, 0, 1)
    inner = (slice(3, 9), slice(3, 10))
    assert faces.aperture[0][inner] == pytest.approx(np.where(expected >= 0.02, expected, 0)[inner], abs=1e-6)


@pytest.mark.parametrize("arrangement", ["square", "hexagonal"])
@pytest.mark.parametrize(("direction", "fraction"), [("transverse", 0.1), ("transverse", 0.5), ("longitudinal", 0.6)])
def test_arrays_at_32_voxels_a_diameter_are_within_one_percent(arrangement, direction, fraction):
    assert abs(error(arrangement, fraction, 32, direction)) < 0.008  # measured: 0.6 % at most


@pytest.mark.parametrize("direction", ["transverse", "longitudinal"])
def test_error_falls_with_the_square_of_the_voxel_size(direction):
    fractions = (0.3, 0.5) if direction == "transverse" else (0.3, 0.6)
    rms = []
    for diameter in (12, 24, 40):
        errors = [error(a, c, diameter, direction) for a in ("square", "hexagonal") for c in fractions]
        rms.append(float(np.sqrt(np.mean(np.square(errors)))))
    assert np.log(rms[0] / rms[2]) / np.log(40 / 12) > 1.6


def test_tilted_bundle_agrees_with_itself_on_a_grid_three_times_finer():
    settings = BundleSettings(0.45, 10e-6, 0.08, 12.0, 0.8e-6)
    coarse, fine = (fibre_bundle((4 * k, 30 * k, 30 * k), (24e-6,) * 3, seed=1, settings=settings) for k in (1, 3))
    change = fine.provenance["radius_change"] - coarse.provenance["radius_change"]
    distance = fine.signed_distance.astype(float) + change  # the radii of the coarse one
    same = Microstructure(distance > 0, fine.spacing, distance)
    for axis in ("x", "z"):
        values = [stokes.solve(micro, axis=axis, wall_rule="surface", tolerance=1e-4).permeability for micro in (coarse, same)]
        assert values[0] == pytest.approx(values[1], rel=0.03)


@pytest.mark.parametrize("thin", [0, 1, 2])
@pytest.mark.parametrize("condition", [("pressure", "symmetry"), ("pressure", "no-slip"), ("periodic", "periodic")])
def test_faces_of_one_slice_are_those_amid_a_thick_medium(thin, condition):
    rng = np.random.default_rng(3)
    plane = np.expand_dims(3 * gaussian_filter(rng.standard_normal((20, 24)), 1.5), thin)
    one, thick = (cut_faces(distance, (1.0, 0.7, 0.9), *condition) for distance in (plane, np.repeat(plane, 9, thin)))
    for single, repeated in zip(one, thick, strict=True):
        assert np.array_equal(np.take(single.width, [0], thin), np.take(repeated.width, [4], thin))
        if single.unknown.any():
            assert np.array_equal(np.take(single.aperture, [0], thin), np.take(repeated.aperture, [4], thin))
        else:  # both faces of the slice lie on walls or symmetry planes
            assert single.normal == thin


@pytest.mark.parametrize(("boundary", "lateral"), [("pressure", "symmetry"), ("pressure", "no-slip"), ("periodic", "periodic")])
def test_flux_is_equal_through_every_plane(boundary, lateral):
    micro = fibre_bundle((5, 24, 24), (24e-6,) * 3, seed=4, settings=BundleSettings(0.4, 8e-6))
    flow = stokes.solve(micro, boundary=boundary, lateral=lateral, wall_rule="surface")
    flux = flow.face_velocity[0].sum(axis=(0, 1))
    assert np.ptp(flux) < 1e-5 * flux.mean()
    assert flow.permeability == pytest.approx(
        flow.viscosity * flow.face_velocity[0].mean(axis=(0, 1))[0] * flow.length / flow.pressure_drop, rel=1e-5
    )


def test_iterations_do_not_grow_with_resolution():
    iterations = []
    for diameter in (16, 64):
        case = fibre_array("hexagonal", 0.4, diameter)
        iterations.append(stokes.solve(case.microstructure, boundary="periodic", wall_rule="surface").report.iterations)
    assert max(iterations) <= 25


def test_duct_with_no_slip_sides_approaches_the_series():
    errors = []
    for width in (8, 16):
        case = rectangular_duct(width, width)
        flow = stokes.solve(case.microstructure, lateral="no-slip", wall_rule="surface", tolerance=1e-10)
        errors.append(abs(flow.permeability / case.permeability - 1))
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 2


def test_blocked_medium_has_no_permeability():
    y, x = np.mgrid[:8, :12] + 0.5
    distance = np.broadcast_to((np.abs(x - 6) - 2)[None] * STEP + 0 * y, (1, 8, 12)).copy()
    for boundary in ("pressure", "periodic"):
        flow = stokes.solve(Microstructure(distance > 0, (STEP,) * 3, distance), boundary=boundary, wall_rule="surface")
        assert flow.permeability == 0


def test_medium_without_signed_distance_is_refused():
    fluid = np.ones((1, 4, 4), bool)
    fluid[0, 0] = False
    with pytest.raises(InvalidInputError, match="signed_distance"):
        stokes.solve(Microstructure(fluid, (STEP,) * 3), wall_rule="surface")


def test_medium_without_walls_is_refused():
    distance = np.full((1, 4, 4), 5 * STEP)
    with pytest.raises(InvalidInputError, match="unbounded"):
        stokes.solve(Microstructure(distance > 0, (STEP,) * 3, distance), wall_rule="surface")
