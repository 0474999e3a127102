"""Networks of pores that are solved directly, and the slices that need it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import Drive, Microstructure
from resinflow.media import fibre_bundle, read_stack
from resinflow.stokes import solve
from resinflow.stokes.algebra.factors import NetworkFactors
from resinflow.stokes.algebra.network import in_fours
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.poregrid import PoreGrid
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.problem.pose import pose

CUBIC = (1e-6, 1e-6, 1e-6)
STEPS = 25


def pore_grid(micro: Microstructure, boundary: str = "pressure") -> PoreGrid:
    with Pool(1) as pool:
        problem = pose(micro, Drive("x", boundary=boundary), "plain")
        assert problem is not None
        return TwoScale(pool, problem.system)._pressure


def operator_of(grid: PoreGrid) -> tuple[np.ndarray, np.ndarray]:
    """The dense operator of the coarsest network, and its slack."""
    network, slack = grid.coarsest.network, grid.coarsest.sums.slack.astype(float)
    count = slack.size
    matrix = np.zeros((count, count))
    for point in range(count):
        for edge in range(network.start[point], network.start[point + 1]):
            matrix[point, network.other[edge]] -= network.conductance[edge]
            matrix[point, point] += network.conductance[edge]
    return matrix + np.diag(slack), slack


def test_factors_invert_the_operator_of_a_network_whose_conductances_differ_by_many_orders() -> None:
    grid = pore_grid(fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=3, volume_fraction=0.5))
    level = grid.coarsest
    conductance = level.network.conductance
    ends = np.repeat(np.arange(level.points), np.diff(level.network.start))
    low, high = np.minimum(ends, level.network.other), np.maximum(ends, level.network.other)
    conductance *= 10.0 ** np.random.default_rng(1).uniform(-7, 0, level.points**2)[low * level.points + high]
    operator, slack = operator_of(grid)
    load = np.random.default_rng(2).normal(size=slack.size).astype(np.float32)
    out = np.zeros_like(load)
    NetworkFactors(level.network, level.sums.slack).solve(load, out)
    np.testing.assert_allclose(out, np.linalg.solve(operator, load), rtol=1e-4)


def test_edges_in_fours_pull_as_before() -> None:
    grid = pore_grid(fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=3, volume_fraction=0.5))
    network, values = grid.coarsest.network, np.random.default_rng(1).random(grid.coarsest.points)
    filled = in_fours(network)
    assert not (np.diff(filled.start) % 4).any()
    pulls = []
    for one in (network, filled):
        ends = np.repeat(np.arange(values.size), np.diff(one.start))
        pulls.append(np.bincount(ends, weights=one.conductance * values[one.other], minlength=values.size))
    np.testing.assert_array_equal(pulls[0], pulls[1])


def test_a_pore_that_no_slack_holds_takes_loads_that_add_up_to_zero() -> None:
    grid = pore_grid(fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=3, volume_fraction=0.3), "periodic")
    operator, slack = operator_of(grid)
    assert not slack.any()
    load = (operator @ np.random.default_rng(2).normal(size=slack.size)).astype(np.float32)
    out = np.zeros_like(load)
    grid._factors.solve(load, out)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(operator @ out, load, atol=1e-4 * np.abs(load).max())


@pytest.mark.parametrize(("shape", "levels"), [((1, 96, 96), 1), ((24, 64, 64), 2)])
def test_the_networks_of_slices_are_solved_directly_those_of_volumes_by_coarser_ones(shape, levels) -> None:
    extent = tuple(count * 1e-6 for count in shape)
    grid = pore_grid(fibre_bundle(shape, extent, seed=3, volume_fraction=0.5))
    assert (grid.networks == 1) if levels == 1 else (grid.networks >= levels)


REAL = Path(__file__).parents[2] / "shared" / "real"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["carbon0103_inner.png", "fcn_crop.png", "ud_composite_ct_slice.tif"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_dense_real_images_take_few_steps(name: str, axis: str) -> None:
    import resinflow as rf

    if not (REAL / name).exists():
        pytest.skip("the image is not at hand")
    page = read_stack(REAL / name)[:1, :256, :256]
    micro = rf.from_image(page, pixel_size=0.5e-6, depth=5e-6)
    assert solve(micro, axis=axis, tolerance=1e-6).report.iterations <= STEPS
