"""The permeability tensor of periodic media."""

import json

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow import Drive, PermeabilityTensor
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.cases import fibre_array
from resinflow.stokes.tensor import permeability_tensor

TIGHT = 1e-12


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((8, 22, 24), (30e-6, 22e-6, 24e-6), seed=12, settings=BundleSettings(0.35, 7e-6, 0.1, 20.0, 0.8e-6))


@pytest.fixture(scope="module")
def tensor(bundle):
    return permeability_tensor(bundle, tolerance=TIGHT, wall_rule="plain", boundary="periodic").values


def test_tensor_of_a_tilted_bundle_is_symmetric(tensor):
    assert np.abs(tensor - tensor.T).max() < 1e-6 * np.abs(tensor).max()
    assert np.abs(tensor - np.diag(np.diag(tensor))).max() > 1e-3 * tensor.max()  # tilted: there is something to be symmetric


def test_tensor_is_positive_definite(tensor):
    assert np.linalg.eigvalsh(0.5 * (tensor + tensor.T)).min() > 0


def test_flow_is_easiest_near_the_fibre_direction(tensor):
    values, vectors = np.linalg.eigh(0.5 * (tensor + tensor.T))
    assert abs(vectors[2, 2]) > 0.85
    assert values[2] > values[1]


@pytest.mark.parametrize("swap", [(0, 2, 1), (2, 1, 0), (1, 0, 2)])
def test_turning_the_medium_by_ninety_degrees_permutes_the_tensor(bundle, tensor, swap):
    turned = Microstructure(bundle.fluid.transpose(swap), tuple(bundle.spacing[k] for k in swap))
    order = [2 - swap[2 - component] for component in range(3)]
    expected = tensor[np.ix_(order, order)]
    assert (
        np.abs(permeability_tensor(turned, tolerance=TIGHT, boundary="periodic").values - expected).max() < 1e-6 * tensor.max()
    )


def test_mirroring_the_medium_flips_the_sign_of_off_diagonals(bundle, tensor):
    mirrored = Microstructure(bundle.fluid[:, :, ::-1], bundle.spacing)
    signs = np.array([-1, 1, 1])
    expected = tensor * np.outer(signs, signs)
    assert (
        np.abs(permeability_tensor(mirrored, tolerance=TIGHT, boundary="periodic").values - expected).max()
        < 1e-6 * tensor.max()
    )


def test_diagonal_is_the_permeability_along_the_axes(bundle, tensor):
    for number, axis in enumerate(("x", "y", "z")):
        flow = stokes.solve(bundle, axis=axis, boundary="periodic", tolerance=TIGHT, wall_rule="plain")
        assert tensor[number, number] == pytest.approx(flow.permeability, rel=1e-9)


def test_aligned_array_has_a_diagonal_tensor_isotropic_across_its_fibres():
    tensor = permeability_tensor(
        fibre_array("square", 0.3, 12).microstructure, tolerance=TIGHT, wall_rule="plain", boundary="periodic"
    ).values
    assert tensor[0, 0] == pytest.approx(tensor[1, 1], rel=1e-6)
    assert tensor[2, 2] > 1.5 * tensor[0, 0]
    assert np.abs(tensor - np.diag(np.diag(tensor))).max() < 1e-6 * tensor.max()


def test_axis_without_through_flow_has_zero_rows_and_columns():
    fluid = np.ones((4, 5, 6), bool)
    fluid[:, 2] = False
    result = permeability_tensor(Microstructure(fluid, (1e-6,) * 3), tolerance=TIGHT, wall_rule="gap", boundary="periodic")
    assert "no way through along y" in result.statement
    tensor = result.values
    assert np.abs(tensor[1]).max() <= 1e-9 * tensor.max()
    assert np.abs(tensor[:, 1]).max() <= 1e-9 * tensor.max()
    assert tensor[0, 0] == pytest.approx(4**3 * 1e-12 / 60, rel=1e-6)  # one gap of four voxels in five: h^3 / 12 H


def oblique_plates(tiles):
    """Thin plates across the slice at about 45 degrees, one in a cell of 12 x 12 voxels; ``tiles`` cells along x and y."""
    y, x = np.mgrid[:12, :12] - 5.5
    cell = (np.abs(x - y) < 1.8) & (np.abs(x + y) < 9)
    return Microstructure(np.tile(~cell, (1, tiles, tiles)), (1e-6,) * 3)


def test_driven_box_of_many_cells_has_the_tensor_of_one_period():
    cell = permeability_tensor(oblique_plates(1), wall_rule="plain", boundary="periodic").values
    driven = permeability_tensor(oblique_plates(6), boundary="pressure", wall_rule="plain")
    assert cell[0, 1] > 0.3 * cell[0, 0]  # the plates lead the flow aside
    assert driven.values[:2, :2] == pytest.approx(cell[:2, :2], rel=0.15)
    assert abs(driven.in_plane_angle - 45) < 2
    assert driven.is_positive_definite


def test_principal_axes_are_those_of_the_plates():
    tensor = permeability_tensor(oblique_plates(1), wall_rule="plain", boundary="periodic")
    assert abs(tensor.in_plane_angle - 45) < 0.1
    along = tensor.principal_directions
    assert np.abs(along @ along.T - np.eye(3)).max() < 1e-12
    for value, direction in zip(tensor.principal_values, along, strict=True):
        assert tensor.symmetric @ direction == pytest.approx(value * direction, abs=1e-9 * tensor.principal_values[0])
    assert list(tensor.principal_values) == sorted(tensor.principal_values, reverse=True)


def test_tensor_of_a_micrograph_is_that_of_its_extruded_medium():
    cell = oblique_plates(2)
    volume = Microstructure(np.repeat(cell.fluid, 3, axis=0), cell.spacing)
    for boundary in ("periodic", "pressure"):
        slices = permeability_tensor(volume, boundary=boundary, tolerance=TIGHT, wall_rule="plain")
        assert slices.method == "slice"
        whole = np.empty((3, 3))
        for column, axis in enumerate("xyz"):
            drive = Drive(axis, 1.0, 1.0, boundary, "periodic")
            with stokes.posed_stokes(volume, drive, "plain") as posed:
                flow = posed.solve(TIGHT)
            whole[:, column] = flow.velocity.mean(axis=(1, 2, 3)) * flow.length
        if boundary == "pressure":  # periodic sides: no pressure builds up across
            slices = permeability_tensor(volume, boundary=boundary, lateral="periodic", tolerance=TIGHT, wall_rule="plain")
        assert np.abs(slices.values - whole).max() < 1e-6 * whole.max()


def test_narrow_gaps_are_told_unless_nobody_asks_and_k_is_the_same():
    fluid = np.ones((1, 9, 9), dtype=bool)
    fluid[:, 2::3, 2::3] = False  # rods two voxels apart
    told, silent = (
        permeability_tensor(Microstructure(fluid, (1e-6,) * 3), wall_rule="plain", warn=warn) for warn in (True, False)
    )
    assert any("gaps below" in warning for warning in told.warnings)
    assert silent.warnings == ()
    assert (told.values == silent.values).all()


def test_tensor_survives_its_way_through_json():
    tensor = permeability_tensor(oblique_plates(1), wall_rule="plain", boundary="periodic")
    again = PermeabilityTensor.from_dict(json.loads(json.dumps(tensor.to_dict())))
    assert (again.values == tensor.values).all()
    assert again.to_dict() == tensor.to_dict()
    assert again.in_unit("um^2") == pytest.approx(tensor.values * 1e12)


def test_medium_without_walls_is_refused():
    with pytest.raises(InvalidInputError, match="unbounded"):
        permeability_tensor(Microstructure(np.ones((2, 2, 2), bool), (1e-6,) * 3))


def told_tensor(values: list[list[float]]) -> PermeabilityTensor:
    """A tensor of these values, um^2."""
    return PermeabilityTensor(1e-12 * np.array(values), "pressure", "symmetry", "volume", (0.0, 0.0, 0.0), 0.5)


def test_asymmetry_is_measured_by_the_components_concerned_not_by_the_flow_along_fibres():
    tensor = told_tensor([[1.0, 0.13, 0.0], [0.0, 4.0, 0.0], [0.0, 0.3, 100.0]])
    assert tensor.asymmetries == pytest.approx({"xy": 0.13 / 2, "xz": 0.0, "yz": 0.3 / 20})
    assert tensor.asymmetry == pytest.approx(0.065)
    assert not tensor.is_symmetric
    assert "Kxy and Kyx differ by 6.5e-02 of sqrt(Kxx Kyy)" in tensor.statement
    assert tensor.to_dict()["asymmetries"] == tensor.asymmetries


def test_asymmetry_of_an_axis_without_flow_is_measured_by_the_largest_entry():
    assert told_tensor([[0.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]).asymmetry == pytest.approx(0.05)
    assert told_tensor([[0.0] * 3] * 3).asymmetry == 0.0
