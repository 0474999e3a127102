"""peclet.flow on the same medium, for ``benchmarks/solver.py``; run by the Python in which that package is installed.

Cut cells from the signed distance; implicit steps without advection, accelerated by ``march_to_steady``, until the flow is
certified steady to a tenth of the tolerance. What counts is the time until the mean velocity stays within the tolerance of
where it ends. It knows no pressure at inlet and outlet: the box is periodic along the flow and driven by a body force, with
slip sides, so that its K is that of another problem. Lengths in voxels along the flow.

    python solver_peclet.py MEDIUM.npz TOLERANCE
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

STEP = 1.0
"""Time step over (voxel edge)^2 / kinematic viscosity: of 0.3, 1, 3, 10, 100 and 1000 the quickest at 64 x 64 x 11."""

PRESSURE_ITERATIONS, PRESSURE_TOLERANCE = 200, 1e-3
"""Of the pressure solver in one step; its default of 1e-8 takes twice the time."""


def main() -> None:
    """Solve and print one line of JSON."""
    import peclet.flow  # pyright: ignore[reportMissingImports]

    path, tolerance = sys.argv[1], float(sys.argv[2])
    with np.load(path) as file:
        distance = np.asfortranarray(file["signed_distance"].astype(np.float64).transpose(2, 1, 0))
        dz, dy, dx = (float(step) for step in file["spacing"])
    history: list[tuple[float, float, float]] = []
    started, used = time.perf_counter(), time.process_time()
    count = distance.shape
    solver = peclet.flow.Solver(count, extent=(count[0], count[1] * dy / dx, count[2] * dz / dx))
    for face in ("-y", "+y", "-z", "+z"):
        solver.set_domain_bc(face, "slip")
    solver.set_rho(1.0)
    solver.set_mu(1.0)
    solver.set_dt(STEP)
    solver.set_advection(False)
    solver.set_body_force((1.0, 0.0, 0.0))
    solver.set_velocity_multigrid(True)
    solver.set_pressure_pcg(True, PRESSURE_ITERATIONS, PRESSURE_TOLERANCE)
    solver.set_solid(distance / dx, cutcell_pressure=True)

    def mean() -> float:
        return float(solver.get_u().mean())

    def record(step: int, phase: str) -> None:
        history.append((time.perf_counter() - started, time.process_time() - used, mean()))

    result = peclet.flow.march_to_steady(solver, mean, rtol=0.1 * tolerance, callback=record)
    if not result.converged:
        raise SystemExit(f"peclet.flow ended without a steady flow: {result.reason}")
    clock = np.array(history)
    outside = np.flatnonzero(np.abs(clock[:, 2] / clock[-1, 2] - 1) > tolerance)
    first = int(outside[-1]) + 1 if outside.size else 0
    row = {
        "seconds": clock[first, 0],
        "processor": clock[first, 1],
        "iterations": first + 1,
        "permeability": result.monitor * dx**2,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
