"""Media whose slices are alike are solved by one slice, and along z by one Poisson problem."""

import numpy as np
import pytest

from resinflow.flow import Drive, Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import posed_stokes, solve

TIGHT = 1e-10


def extruded(slices=3, count=20, seed=4):
    """A straight bundle of slices that are alike, with its fibre surfaces."""
    settings = BundleSettings(0.35, 7e-6, 0.1, 0.0, 0.6e-6)
    layer = fibre_bundle((1, count, count + 2), (3e-6, 24e-6, 26.4e-6), seed=seed, settings=settings).slice_at(0)
    distance = np.repeat(layer.signed_distance, slices, axis=0)
    return Microstructure(np.repeat(layer.fluid, slices, axis=0), layer.spacing, distance)


def solved_whole(micro, drive, rule):
    """The flow of the medium as a 3-D problem."""
    with posed_stokes(micro, drive, rule) as posed:
        return posed.solve(TIGHT)


@pytest.mark.parametrize("rule", ["surface", "plain", "gap"])
@pytest.mark.parametrize(
    ("boundary", "lateral"),
    [("pressure", "symmetry"), ("pressure", "periodic"), ("pressure", "no-slip"), ("periodic", "periodic")],
)
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_flow_of_an_extruded_medium_is_its_three_dimensional_one(axis, boundary, lateral, rule):
    micro = extruded()
    drive = Drive(axis, 2e4, 0.3, boundary, lateral)
    flow, whole = solve(micro, drive, wall_rule=rule, tolerance=TIGHT), solved_whole(micro, drive, rule)
    scale = np.abs(whole.velocity).max()
    assert flow.permeability == pytest.approx(whole.permeability, rel=1e-8)
    assert np.abs(flow.velocity - whole.velocity).max() < 1e-5 * scale
    assert (
        np.abs(flow.pressure - whole.pressure).max() < 0.01 * drive.pressure_drop
    )  # voxels that are next to closed tell little of it
    for one, other in zip(flow.face_velocity, whole.face_velocity, strict=True):
        assert np.abs(one - other).max() < 1e-5 * scale
