"""The permeability tensor of periodic media."""

import numpy as np
import pytest

from resinflow import stokes
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
    return permeability_tensor(bundle, tolerance=TIGHT, wall_rule="plain")


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
    assert np.abs(permeability_tensor(turned, tolerance=TIGHT) - expected).max() < 1e-6 * tensor.max()


def test_mirroring_the_medium_flips_the_sign_of_off_diagonals(bundle, tensor):
    mirrored = Microstructure(bundle.fluid[:, :, ::-1], bundle.spacing)
    signs = np.array([-1, 1, 1])
    expected = tensor * np.outer(signs, signs)
    assert np.abs(permeability_tensor(mirrored, tolerance=TIGHT) - expected).max() < 1e-6 * tensor.max()


def test_diagonal_is_the_permeability_along_the_axes(bundle, tensor):
    for number, axis in enumerate(("x", "y", "z")):
        flow = stokes.solve(bundle, axis=axis, boundary="periodic", tolerance=TIGHT, wall_rule="plain")
        assert tensor[number, number] == pytest.approx(flow.permeability, rel=1e-9)


def test_aligned_array_has_a_diagonal_tensor_isotropic_across_its_fibres():
    tensor = permeability_tensor(fibre_array("square", 0.3, 12).microstructure, tolerance=TIGHT, wall_rule="plain")
    assert tensor[0, 0] == pytest.approx(tensor[1, 1], rel=1e-6)
    assert tensor[2, 2] > 1.5 * tensor[0, 0]
    assert np.abs(tensor - np.diag(np.diag(tensor))).max() < 1e-6 * tensor.max()


def test_axis_without_through_flow_has_zero_rows_and_columns():
    fluid = np.ones((4, 5, 6), bool)
    fluid[:, 2] = False
    tensor = permeability_tensor(Microstructure(fluid, (1e-6,) * 3), tolerance=TIGHT, wall_rule="gap")
    assert np.abs(tensor[1]).max() <= 1e-9 * tensor.max()
    assert np.abs(tensor[:, 1]).max() <= 1e-9 * tensor.max()
    assert tensor[0, 0] == pytest.approx(4**3 * 1e-12 / 60, rel=1e-6)  # one gap of four voxels in five: h^3 / 12 H


def test_medium_without_walls_is_refused():
    with pytest.raises(InvalidInputError, match="unbounded"):
        permeability_tensor(Microstructure(np.ones((2, 2, 2), bool), (1e-6,) * 3))
