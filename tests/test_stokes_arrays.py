"""Regular arrays of fibres against the literature, at the solid fraction of the voxel mask."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.media.cases import fibre_array, table_fractions

ARRANGEMENTS = ("square", "hexagonal")


def _error(arrangement, fraction, diameter, direction):
    case = fibre_array(arrangement, fraction, diameter, direction)
    flow = stokes.solve(case.microstructure, axis=case.axis, boundary="periodic", wall_rule="gap")
    return flow.permeability / case.mask_permeability - 1


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize(("fraction", "bound"), [(0.1, 0.006), (0.2, 0.013), (0.3, 0.020), (0.4, 0.055), (0.5, 0.035)])
def test_transverse_flow_at_32_voxels_a_diameter(arrangement, fraction, bound):
    assert abs(_error(arrangement, fraction, 32, "transverse")) < bound


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("fraction", table_fractions("longitudinal"))
def test_longitudinal_flow_at_32_voxels_a_diameter(arrangement, fraction):
    assert abs(_error(arrangement, fraction, 32, "longitudinal")) < (0.012 if fraction <= 0.3 else 0.030)


@pytest.mark.parametrize("direction", ["transverse", "longitudinal"])
def test_error_falls_with_resolution(direction):
    """A single size may be lucky: root mean square over both arrangements and four fractions."""
    rms = []
    for diameter in (8, 16, 32):
        errors = [_error(a, c, diameter, direction) for a in ARRANGEMENTS for c in (0.2, 0.3, 0.4, 0.5)]
        rms.append(float(np.sqrt(np.mean(np.square(errors)))))
    assert rms[1] < rms[0] / 1.4
    assert rms[2] < rms[1] / 1.3


def test_flow_along_aligned_fibres_does_not_depend_on_the_number_of_layers():
    values = []
    for layers in (1, 3):
        case = fibre_array("square", 0.4, 12, "longitudinal", layers=layers)
        for boundary in ("periodic", "pressure"):
            flow = stokes.solve(
                case.microstructure, axis="z", boundary=boundary, lateral="periodic", tolerance=1e-12, wall_rule="plain"
            )
            values.append(flow.permeability)
    assert values == pytest.approx([values[0]] * 4, rel=1e-6)


def test_hexagonal_array_is_isotropic_in_its_plane():
    case = fibre_array("hexagonal", 0.3, 24)
    along_x, along_y = (
        stokes.solve(case.microstructure, axis=axis, boundary="periodic", wall_rule="plain").permeability for axis in ("x", "y")
    )
    assert along_x == pytest.approx(along_y, rel=0.02)


def test_refining_the_fibre_axis_changes_nothing_across_the_fibres():
    one, four = (fibre_array("square", 0.3, 12, layers=layers) for layers in (1, 4))
    flows = [stokes.solve(case.microstructure, boundary="periodic", tolerance=1e-12, wall_rule="plain") for case in (one, four)]
    assert flows[0].permeability == pytest.approx(flows[1].permeability, rel=1e-6)
