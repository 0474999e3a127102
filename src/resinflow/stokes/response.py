"""The response flow: Darcy's law with the local Stokes response, for the price of one Poisson solve."""

from __future__ import annotations

import time
from typing import Unpack

import numpy as np

from resinflow.flow import ConvergenceError, Drive, DriveOptions, FlowField, Microstructure, SolverReport, check_medium
from resinflow.stokes.algebra.outer import energy_error, respond
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.extruded import extended, layer_drive, layer_of
from resinflow.stokes.problem.mask import MASK_RULE, WallRule
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.problem import still, to_flow

_FLUX_TOLERANCE = 1e-8
_RESPONSE_TOLERANCE = 1e-6
"""The field itself is made of the response: it must not depend on how its solver happens to converge."""


def response_flow(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    wall_rule: WallRule = MASK_RULE,
    threads: int | None = None,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return an approximate 3-D flow: mass conserving, no slip, K from below.

    With ``w = A^-1 (volume 1) / volume`` (the velocity under a unit uniform pressure gradient if pressure did not react):

        (1)  L_w p = G^T (w f),  L_w = G^T diag(w) G        (2)  u_w = w (f - G p), so that G^T u_w = 0

    The field overshoots by a factor that minimum dissipation gives,
    ``a = f.u_w / u_w.A u_w``; ``a u_w`` is returned. Its K is a lower bound of the discrete K, since for any admissible v
    ``(f.v)^2 / v.A v <= f.u``; ``report.permeability_error`` bounds how far it is below.

    Args:
        micro: the medium.
        drive: as :func:`resinflow.solve`.
        wall_rule: as :func:`resinflow.solve`, but ``plain`` by default also where the medium knows its fibre
            surfaces, since models were trained beside this response flow.
        threads: as :func:`resinflow.solve`.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: as :func:`resinflow.solve`.
        ConvergenceError: the Poisson solve failed.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> rf.response_flow(micro).permeability < rf.solve(micro, wall_rule="plain").permeability
        True
    """
    check_medium(micro)
    started_at = time.perf_counter()
    drive = Drive.of(drive, **conditions)
    layer, single = layer_of(micro), layer_drive(micro, drive)
    if layer is not None and single is not None and layer is not micro:
        return extended(response_flow(layer, single, wall_rule=wall_rule, threads=threads), micro, drive)
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        return still(micro, drive, started_at)
    system = problem.system
    state = system.new_state(np.float64)
    with Pool(threads) as pool:
        preconditioner = TwoScale(pool, system, response_tolerance=_RESPONSE_TOLERANCE)
        divergence, iterations = respond(pool, preconditioner, state, _FLUX_TOLERANCE)
        error = energy_error(pool, preconditioner, state, system.new_state(), [system.new_state() for _ in range(2)])
    if not np.isfinite(error):
        words = "the Poisson solve of the response flow failed. Use resinflow.solve for this medium."
        raise ConvergenceError(words, remedies=("solver",))
    report = SolverReport(
        status="approximate: response flow",
        iterations=iterations,
        residual=divergence,
        residual_history=(),
        permeability_error=error,
        divergence=divergence,
        wall_time=time.perf_counter() - started_at,
    )
    return to_flow(problem, state, report)
