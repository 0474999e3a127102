"""What makes iteration counts independent of size: the two-scale preconditioner's spectrum, and the counts themselves."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.drive import Drive
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.system import PRESSURE

GLASS = BundleSettings(volume_fraction=0.5, diameter=12e-6)


def planar_bundle(pixels, seed=1):
    return fibre_bundle((1, pixels, pixels), (50e-6,) * 3, seed=seed, settings=GLASS)


def dense(system):
    """The system's matrix, its number of velocities, and their control volumes, unknown by unknown."""
    places = [np.argwhere(system.unknown(component)) for component in range(PRESSURE)]
    places.append(np.argwhere(system.labels > 0))
    inside = (1, system.rows.points)  # the ends of a row repeat other places in a periodic box
    places = [np.array([(r, j) for r, j in part if r < system.rows.count and inside[0] <= j <= inside[1]]) for part in places]
    index = np.concatenate([np.insert(part, 0, number, axis=1) for number, part in enumerate(places) if len(part)])
    matrix = np.empty((len(index), len(index)))
    state, image = system.new_state(np.float64), system.new_state(np.float64)
    with Pool(1) as pool:
        for column, (component, row, place) in enumerate(index):
            state[...] = 0
            state[component, row, place] = 1
            system.rows.wrap(state.reshape(-1, state.shape[-1]))
            system.apply(pool, state, image)
            matrix[:, column] = image[tuple(index.T)]
    velocities = int((index[:, 0] < PRESSURE).sum())
    volumes = [system.shares[int(component == 2)][place] for component, _, place in index[:velocities]]
    return matrix, velocities, np.array(volumes, dtype=float)


def schur_eigenvalues(micro, **drive):
    """Eigenvalues of ``(I / volume + L_w^-1) G^T A^-1 G``, without those of free pressure levels; volumes in voxels."""
    matrix, count, volume = dense(pose(micro, Drive(**drive), "gap").system)
    assert np.abs(matrix - matrix.T).max() < 1e-12 * np.abs(matrix).max()
    inverse, gradient = np.linalg.inv(matrix[:count, :count]), matrix[:count, count:]
    response = inverse @ volume / volume
    schur = gradient.T @ inverse @ gradient
    poisson = gradient.T @ (response[:, None] * gradient)
    preconditioner = np.eye(len(schur)) + np.linalg.pinv(poisson, rcond=1e-11, hermitian=True)
    root = np.linalg.cholesky(preconditioner)
    values = np.linalg.eigvalsh(root.T @ schur @ root)
    return values[values > 1e-8]


@pytest.mark.parametrize(
    ("shape", "drive"),
    [
        ((1, 28, 28), {}),
        ((1, 28, 28), {"boundary": "periodic"}),
        ((1, 28, 28), {"axis": "y", "lateral": "no-slip"}),
        ((5, 14, 14), {}),
        ((5, 14, 14), {"axis": "z"}),
        ((5, 14, 14), {"lateral": "no-slip"}),
    ],
)
def test_preconditioned_schur_complement_is_close_to_the_identity(shape, drive):
    """Outliers mean a wrong boundary term: a missing wall on symmetry planes gave eigenvalues of 4 to 6."""
    micro = fibre_bundle(shape, (50e-6, 40e-6, 40e-6), seed=2, settings=BundleSettings(0.4, 12e-6))
    values = schur_eigenvalues(micro, **drive)
    assert values.min() > 0.35
    assert values.max() < 2.1


def test_iterations_do_not_grow_with_resolution():
    iterations = [stokes.solve(planar_bundle(pixels), wall_rule="plain").report.iterations for pixels in (64, 128)]
    assert iterations[1] <= 1.35 * iterations[0]
    assert max(iterations) <= 70


def test_iterations_do_not_grow_with_the_size_of_the_box():
    counts = []
    for pixels in (48, 96):
        micro = fibre_bundle((1, pixels, pixels), (50e-6, pixels * 0.8e-6, pixels * 0.8e-6), seed=3, settings=GLASS)
        counts.append(stokes.solve(micro, wall_rule="plain").report.iterations)
    assert counts[1] <= 1.3 * counts[0]
