"""What makes iteration counts independent of size: the two-scale preconditioner's spectrum, and the counts themselves."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes.operators import assemble
from resinflow.stokes.problem import Drive, pose

GLASS = BundleSettings(volume_fraction=0.5, diameter=12e-6)


def planar_bundle(pixels, seed=1):
    return fibre_bundle((1, pixels, pixels), (50e-6,) * 3, seed=seed, settings=GLASS)


def schur_eigenvalues(micro, **drive):
    """Eigenvalues of ``(I / volume + L_w^-1) G^T A^-1 G``, without those of free pressure levels; dense."""
    problem = pose(micro, Drive(**drive), "gap")
    system = assemble(problem.grid, "gap")
    gradient = system.gradient.toarray()
    viscous = np.zeros((len(gradient),) * 2)
    start = 0
    for block in system.blocks:
        stop = start + block.shape[0]
        viscous[start:stop, start:stop] = block.toarray()
        start = stop
    inverse = np.linalg.inv(viscous)
    response = inverse @ system.volume / system.volume
    schur = gradient.T @ inverse @ gradient
    poisson = gradient.T @ (response[:, None] * gradient)
    preconditioner = np.eye(len(schur)) / system.voxel_volume + np.linalg.pinv(poisson, rcond=1e-11, hermitian=True)
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
    assert 0.35 < values.min()
    assert values.max() < 2.1


def test_iterations_do_not_grow_with_resolution():
    iterations = [stokes.solve(planar_bundle(pixels)).report.iterations for pixels in (64, 128)]
    assert iterations[1] <= 1.35 * iterations[0]
    assert max(iterations) <= 70


def test_iterations_do_not_grow_with_the_size_of_the_box():
    counts = []
    for pixels in (48, 96):
        micro = fibre_bundle((1, pixels, pixels), (50e-6, pixels * 0.8e-6, pixels * 0.8e-6), seed=3, settings=GLASS)
        counts.append(stokes.solve(micro).report.iterations)
    assert counts[1] <= 1.3 * counts[0]
