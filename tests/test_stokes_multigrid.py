"""Multigrid cycles are symmetric, positive and near the inverse; the solver built on them keeps its word about K."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.drive import Drive
from resinflow.flow.errors import ConvergenceError, InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.stokes.algebra.multigrid import Multigrid, Tuning
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.poregrid import PoreGrid
from resinflow.stokes.algebra.stencil import BLOCKED
from resinflow.stokes.algebra.twoscale import DARCY_TUNING, VISCOUS_TUNING, TwoScale
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.solve import SMALLEST_TOLERANCE

GLASS = BundleSettings(volume_fraction=0.5, diameter=11e-6)


def bundle(shape, extent=(50e-6,) * 3, seed=1):
    return fibre_bundle(shape, extent, seed=seed, settings=GLASS)


def random_medium(seed):
    """Random porous media of all shapes, spacings and boundary conditions."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(count) for count in rng.integers((1, 5, 5), (6, 14, 14)))
    fluid = rng.random(shape) < rng.choice([0.7, 0.85, 0.95])
    fluid[:, shape[1] // 2] = True
    fluid[0, 0, 0] = False
    spacing = tuple(float(step) for step in 10 ** rng.uniform(-6.2, -5.8, 3))
    drive = [{}, {"lateral": "periodic"}, {"lateral": "no-slip"}, {"boundary": "periodic"}][seed % 4]
    return Microstructure(fluid, spacing), drive


def spectrum(pool, level, cycle, steps=25, project=lambda field: None):
    """Smallest and largest eigenvalue of cycle times operator, from the coefficients of conjugate gradients (Lanczos)."""
    rows = level.rows

    def inner(a, b):
        return float((a[:, 1 : rows.points + 1].astype(float) * b[:, 1 : rows.points + 1]).sum())

    residual = np.random.default_rng(0).standard_normal(rows.array_shape).astype(np.float32)
    residual[level.diagonal >= BLOCKED / 10] = 0
    residual[-1] = residual[:, 0] = residual[:, rows.points + 1] = 0
    project(residual)
    rows.wrap(residual)
    direction, image, search = (np.zeros_like(residual) for _ in range(3))
    steps_taken, ratios, norm, first = [], [], None, None
    for _ in range(steps):
        cycle(residual, direction)
        project(direction)
        latest = inner(residual, direction)
        first = latest if first is None else first
        if latest <= 1e-24 * first:  # solved: what is left is rounding
            break
        if norm is not None:
            ratios.append(latest / norm)
        norm = latest
        search = (direction + (ratios[-1] if ratios else 0) * search).astype(np.float32)
        steps_taken.append(norm / level.apply(pool, search, image))
        residual -= np.float32(steps_taken[-1]) * image
    size = len(steps_taken)
    matrix = np.zeros((size, size))
    for k in range(size):
        matrix[k, k] = 1 / steps_taken[k] + (ratios[k - 1] / steps_taken[k - 1] if k else 0)
        if k + 1 < size:
            matrix[k, k + 1] = matrix[k + 1, k] = np.sqrt(max(ratios[k], 0)) / steps_taken[k]
    values = np.linalg.eigvalsh(matrix)
    return values[0], values[-1]


@pytest.fixture(scope="module")
def pool():
    with Pool(1) as threads:
        yield threads


MEDIA = [
    pytest.param(lambda: bundle((11, 64, 64)), {}, id="bundle"),
    pytest.param(lambda: bundle((11, 127, 61)), {"axis": "y"}, id="prime"),
    pytest.param(lambda: bundle((32, 32, 32)), {"boundary": "periodic"}, id="periodic"),
    pytest.param(lambda: bundle((1, 96, 96)), {"lateral": "no-slip"}, id="slice"),
    pytest.param(lambda: Microstructure(np.ones((16, 33, 40), bool), (1e-6,) * 3), {"lateral": "no-slip"}, id="duct"),
    pytest.param(lambda: bundle((40, 20, 20), (2e-6, 50e-6, 50e-6)), {}, id="flat voxels"),
]


@pytest.mark.parametrize(("make", "drive"), MEDIA)
def test_velocity_cycle_is_near_the_inverse(pool, make, drive):
    system = pose(make(), Drive(**drive), "gap").system
    for component in range(3):
        if system.unknown(component).any():
            level = system.component(component)
            low, high = spectrum(pool, level, Multigrid(pool, level, VISCOUS_TUNING, {}).cycle)
            assert low > 0.4
            assert high < 1.8


@pytest.mark.parametrize(("make", "drive"), MEDIA)
def test_few_iterations_are_enough_on_every_kind_of_medium(make, drive):
    assert stokes.solve(make(), **drive, wall_rule="plain").report.iterations < 25


@pytest.mark.parametrize("pixels", [64, 128, 256])
def test_darcy_cycle_does_not_wear_off_with_resolution(pool, pixels):
    system = pose(bundle((1, pixels, pixels), seed=3), Drive(), "gap").system
    preconditioner = TwoScale(pool, system)
    grid = PoreGrid(pool, preconditioner.darcy, DARCY_TUNING, preconditioner.darcy.rows.zeros())
    low, high = spectrum(pool, preconditioner.darcy, grid.cycle)
    assert low > 0.02
    assert high < 2.5


@pytest.mark.parametrize("wraps", [{}, {"boundary": "periodic"}])
@pytest.mark.parametrize("visits", [1, 2])
def test_cycle_is_symmetric_and_positive(pool, wraps, visits):
    system = pose(bundle((5, 21, 18)), Drive(**wraps), "gap").system
    level = system.component(2)
    grid = Multigrid(pool, level, Tuning(visits=visits), {})
    rng = np.random.default_rng(0)
    vectors, images = [], []
    for _ in range(2):
        vector = np.where(level.diagonal < BLOCKED / 10, rng.standard_normal(level.rows.array_shape), 0).astype(np.float32)
        vector[:, [0, -1]] = 0
        level.rows.wrap(vector)
        image = np.zeros_like(vector)
        grid.cycle(vector, image)
        vectors.append(vector[:-1, 1 : level.rows.points + 1].astype(float))
        images.append(image[:-1, 1 : level.rows.points + 1].astype(float))
    scale = np.sqrt((vectors[0] * images[0]).sum() * (vectors[1] * images[1]).sum())
    assert (vectors[0] * images[1]).sum() == pytest.approx((vectors[1] * images[0]).sum(), abs=1e-5 * scale)
    assert (vectors[0] * images[0]).sum() > 0


def test_thin_voxels_are_paired_in_the_slice_plane_first(pool):
    system = pose(bundle((11, 64, 64)), Drive(), "gap").system
    levels = Multigrid(pool, system.component(2), VISCOUS_TUNING, {}).levels
    assert [level.rows.shape for level in levels[:3]] == [(11, 64, 65), (11, 32, 33), (11, 16, 17)]
    assert levels[3].rows.shape[0] == 6


def test_iterations_hardly_grow_with_resolution():
    steps = [
        stokes.solve(bundle((11, pixels, pixels)), tolerance=1e-4, wall_rule="plain").report.iterations
        for pixels in (32, 64, 128)
    ]
    assert max(steps) <= 1.3 * min(steps) + 1


@pytest.mark.parametrize("seed", range(50))
def test_estimated_error_is_above_the_true_error(seed):
    micro, drive = random_medium(seed)
    exact = stokes.solve(micro, tolerance=1e-11, **drive).permeability
    for tolerance in (1e-1, 1e-3):
        flow = stokes.solve(micro, tolerance=tolerance, **drive)
        true = 1 - flow.permeability / exact
        assert -1e-6 < true <= flow.report.permeability_error + 1e-6
        assert flow.report.permeability_error <= tolerance


@pytest.mark.parametrize("drive", [{}, {"axis": "z"}, {"boundary": "periodic", "axis": "y"}])
def test_loosest_field_still_has_equal_flux_through_every_plane(drive):
    flow = stokes.solve(bundle((6, 32, 32)), tolerance=0.1, **drive, wall_rule="plain")
    component = {"x": 0, "y": 1, "z": 2}[flow.axis]
    flux = np.moveaxis(flow.face_velocity[component], 2 - component, 0).sum(axis=(1, 2))
    assert np.ptp(flux) <= 1e-5 * flux.mean()


def test_own_field_as_a_start_leaves_nothing_to_do():
    micro = bundle((6, 32, 32))
    flow = stokes.solve(micro, tolerance=1e-8, wall_rule="plain")
    again = stokes.solve(micro, tolerance=1e-6, initial=flow, wall_rule="plain")
    assert again.report.iterations == 0
    assert again.permeability == pytest.approx(flow.permeability, rel=1e-6)


def test_start_changes_the_work_but_not_the_result():
    micro = bundle((6, 32, 32))
    flow = stokes.solve(micro, tolerance=1e-9, wall_rule="plain")
    rough = stokes.solve(micro, tolerance=1e-3, viscosity=3.0, pressure_drop=7.0, wall_rule="plain")
    warm = stokes.solve(micro, tolerance=1e-9, initial=rough, wall_rule="plain")
    assert warm.report.iterations < flow.report.iterations
    assert np.abs(warm.velocity - flow.velocity).max() < 2e-3 * flow.speed.max()


def test_start_of_another_shape_is_refused():
    flow = stokes.solve(bundle((2, 16, 16)), tolerance=1e-2, wall_rule="plain")
    with pytest.raises(InvalidInputError, match="needed: the same"):
        stokes.solve(bundle((2, 18, 16)), initial=flow, wall_rule="plain")


def test_response_flow_bounds_its_own_error():
    micro = bundle((6, 48, 48))
    exact, response = stokes.solve(micro, wall_rule="plain").permeability, stokes.response_flow(micro)
    true = 1 - response.permeability / exact
    assert 0 < true <= response.report.permeability_error


def test_too_few_iterations_raise_with_advice():
    with pytest.raises(ConvergenceError, match="needed: .* allow more iterations or a looser tolerance"):
        stokes.solve(bundle((6, 32, 32)), tolerance=1e-9, max_iterations=3, wall_rule="plain")


@pytest.mark.parametrize("seed", range(0, 50, 4))
def test_smallest_tolerance_is_met(seed):
    micro, drive = random_medium(seed)
    assert stokes.solve(micro, tolerance=SMALLEST_TOLERANCE, **drive).report.permeability_error <= SMALLEST_TOLERANCE


@pytest.mark.parametrize(
    "drive",
    [
        {"wall_rule": "plain"},
        {"axis": "z", "wall_rule": "plain"},
        {"boundary": "periodic", "wall_rule": "plain"},
        {"wall_rule": "surface"},
    ],
)
def test_smallest_tolerance_is_met_on_bundles(drive):
    flow = stokes.solve(bundle((6, 32, 32)), tolerance=SMALLEST_TOLERANCE, **drive)
    assert flow.report.permeability_error <= SMALLEST_TOLERANCE
    assert flow.permeability == pytest.approx(
        stokes.solve(bundle((6, 32, 32)), tolerance=1e-12, **drive).permeability, rel=1e-11
    )


def test_error_at_the_last_iteration_is_stated():
    with pytest.raises(ConvergenceError) as caught:
        stokes.solve(bundle((6, 32, 32)), tolerance=1e-9, max_iterations=8, wall_rule="plain")
    reached = float(str(caught.value).split("error of K of ")[1].split()[0])
    assert 1e-9 < reached < 0.1


def test_interrupted_solve_leaves_no_thread_behind():
    before = threading.active_count()

    def interrupt(iteration, residual):
        if iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stokes.solve(bundle((6, 32, 32)), threads=3, watch=interrupt, wall_rule="plain")
    assert threading.active_count() == before


def test_solver_needs_neither_sparse_matrices_nor_algebraic_multigrid():
    script = (
        "import sys, numpy as np\n"
        "from resinflow.flow import Microstructure\n"
        "from resinflow import stokes\n"
        "fluid = np.ones((1, 5, 6), bool); fluid[:, 0] = False\n"
        "stokes.solve(Microstructure(fluid, (1e-6,) * 3)); print('pyamg' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
