"""Certificates: exact statements about the discrete problem for any velocity field, however it was obtained.

A velocity is admissible if it is discretely free of divergence and zero on the fibres. For every admissible ``v`` minimum
dissipation gives ``2 f.v - v.A v <= f.u`` with the exact ``u``; scaled to its best amplitude ``(f.v)^2 / (v.A v) <= f.u``. As
``f.u`` is the flow rate under a unit pressure drop, this is a rigorous lower bound on the discrete K, with an error
quadratic in the field's. Any field becomes admissible by ``v - diag(w) G phi`` with ``L_w phi = G^T v`` and
``L_w = G^T diag(w) G``: the projection that changes it least in the norm weighted by ``1 / w``. The weight is the local
Stokes response, so that corrections go where resin flows easily; they vanish on the fibres since only free faces have a weight.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Certificate, Faces, FlowField, check_flow, with_surface
from resinflow.stokes.algebra.outer import momentum_residual, remove_divergence
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.problem.mask import FLOW, MASK_RULE, WallChoice, WallRule
from resinflow.stokes.problem.problem import to_flow, to_state
from resinflow.stokes.problem.system import PRESSURE, StokesSystem
from resinflow.stokes.solve import PosedStokes, posed_stokes

State = NDArray[np.float64]

EXACT = 1e-13
"""Largest difference of the flow rate between two planes that counts as none, relative: what rounding leaves behind anyway."""


def project(flow: FlowField, *, wall_rule: WallRule = MASK_RULE, tolerance: float = EXACT) -> FlowField:
    """Return the admissible field nearest to ``flow``, with staggered velocities; pressure and conditions stay.

    Guarantees no net outflow of any voxel and no velocity on fibre faces (to rounding). Projecting twice changes nothing.
    Velocities in pores that do not join inlet and outlet are dropped.

    A field without staggered velocities is first averaged onto the faces, and what the means lose beside the fibres (a
    tenth of the velocity and of K in dense bundles of 64 pixels) is lost: give them where they are known, and project what
    changed rather than the whole where only a part is new.

    Args:
        flow: any field.
        wall_rule: as :func:`resinflow.solve`.
        tolerance: largest difference of the flow rate between two planes, relative to it; 1e-8 is half the work.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.
        ConvergenceError: the Poisson solve failed.
    """
    with posed_stokes(flow.microstructure, flow.drive, wall_rule) as posed:
        if posed is None:
            micro = flow.microstructure
            faces = Faces.at_rest(micro.shape, micro.spacing)
            return replace(flow, velocity=np.zeros_like(flow.velocity), face_velocity=faces.components, report=None)
        state = to_state(posed.problem, flow)
        remove_divergence(posed.pool, posed.preconditioner, state, tolerance)
        state[PRESSURE] = 0
        return replace(to_flow(posed.problem, state, None), pressure=flow.pressure)


def certify(flow: FlowField, *, wall_rule: WallChoice = "auto") -> Certificate:
    """Return the lower bound on K, the size of the projection and the momentum residual of a velocity field.

    The statements concern the discrete problem on the field's own medium and boundary conditions, under ``wall_rule``.

    Args:
        flow: a solver's or a model's field; its staggered velocities are used if present, else its velocity at voxel centres.
        wall_rule: as :func:`resinflow.solve`, but ``auto`` (the default) is the rule that the field itself follows: ``surface``
            if it passes voxels that the mask closes, with the surfaces of the medium's signed distance or those estimated from
            its mask; else ``plain``.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.
        ConvergenceError: the Poisson solve failed.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> certificate = rf.certify(rf.response_flow(micro))
        >>> certificate.permeability_bound <= rf.solve(micro, wall_rule="plain").permeability
        True
    """
    check_flow(flow)
    micro = flow.microstructure
    if wall_rule == "auto" and (flow.open_voxels != micro.fluid).any():
        return certify(replace(flow, microstructure=with_surface(micro)), wall_rule="surface")
    rule = MASK_RULE if wall_rule == "auto" else wall_rule
    with posed_stokes(micro, flow.drive, rule) as posed:
        if posed is None:
            return Certificate(0.0, float(bool(flow.velocity.any())), 0.0, 0.0, rule)
        return _certified(posed, flow, rule)


def _certified(posed: PosedStokes, flow: FlowField, wall_rule: WallRule) -> Certificate:
    problem, pool, parts = posed.problem, posed.pool, posed.preconditioner
    system = problem.system
    state = to_state(problem, flow)
    state[PRESSURE] = 0
    original = state.copy()
    remove_divergence(pool, parts, state, EXACT)
    image = system.new_state(np.float64)
    dissipation = system.apply(pool, state, image)
    residual = _momentum_residual(pool, parts, state)
    outflow = image[PRESSURE][:-1, 1 : system.voxels + 1]
    work, size = system.work(state), _norm(system, original)
    # |pressure| is of the order of 1 for a unit drop: what divergence is left may feign this much flow
    loads = system.voxels if system.free_level else 1
    margin = 2.0 * loads * float(np.abs(outflow).sum())
    flow_rate = max(work, 0.0) ** 2 / dissipation - margin if dissipation > 0 else 0.0
    # a state's flow rate, summed over the planes that carry a load, in voxel edges along the flow and for a unit load
    nz, ny, nx = problem.grid.fluid.shape
    spacing = system.spacing
    scale = problem.grid.spacing[FLOW] ** 2 * nx / (nz * ny * loads**2)
    largest = float(np.abs(state[:PRESSURE]).max(initial=0.0)) / min(spacing)
    return Certificate(
        permeability_bound=max(flow_rate, 0.0) * scale,
        correction=_norm(system, state - original) / size if size > 0 else 0.0,
        residual=residual,
        divergence=float(np.abs(outflow).max(initial=0.0)) / largest if largest > 0 else 0.0,
        wall_rule=wall_rule,
    )


def _norm(system: StokesSystem, state: State) -> float:
    """L2 norm of a velocity, control volumes as weights."""
    total = 0.0
    for component in range(PRESSURE):
        squares = state[component, :-1, 1 : system.rows.points + 1] ** 2
        total += float((squares * system.shares[int(component == FLOW)][1 : system.rows.points + 1]).sum())
    return float(np.sqrt(total))


def _momentum_residual(pool: Pool, parts: TwoScale, state: State) -> float:
    """Norm of ``f - A v - G p`` with the pressure that makes it least, over the same for no flow; weighted by the response.

    With ``r = f - A v`` and that pressure ``w (r - G p)`` is the part of ``w r`` that is free of divergence.
    """
    system = parts.system
    right = system.new_state()
    sizes = []
    for velocity in (state, np.zeros_like(state)):
        momentum_residual(pool, system, velocity, right)
        field = system.new_state(np.float64)
        weights = [parts.response(component) for component in range(PRESSURE)]
        for component, weight in enumerate(weights):
            field[component] = right[component] * weight
        remove_divergence(pool, parts, field, 1e-9)
        body = (slice(None, -1), slice(1, system.rows.points + 1))
        parts_sum = [
            float((field[k][body] ** 2 / np.where(weights[k][body] > 0, weights[k][body], 1.0)).sum()) for k in range(PRESSURE)
        ]
        sizes.append(sum(parts_sum))
    return float(np.sqrt(sizes[0] / sizes[1]))
