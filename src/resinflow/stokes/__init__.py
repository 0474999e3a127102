"""The Stokes solver: five ways to a flow, its certificate, and its known answers.

``solve`` (the whole medium), ``planar_flow`` (each slice by itself), ``response_flow`` (Darcy's law with the local response),
``grid_flow`` (with fibre surfaces, on the medium's own grid) and ``solve_finer`` (on a finer grid) all take
``(micro, drive)``.
"""

from resinflow.stokes.algebra.pool import threads_at_hand
from resinflow.stokes.certify import certify, project
from resinflow.stokes.estimate import GapStatistics, gap_statistics
from resinflow.stokes.extruded import between_walls
from resinflow.stokes.finer import (
    Refinement,
    Work,
    certified,
    check_refinement,
    coarse_grain,
    refine_flow,
    solve_finer,
    solve_refined,
)
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.problem.mask import MASK_RULE, WallChoice, WallRule, wall_rule_of
from resinflow.stokes.response import response_flow
from resinflow.stokes.sensitivity import SurfaceResponse, displaced, surface_response, wall_sensitivity
from resinflow.stokes.solve import (
    DEFAULT_TOLERANCE,
    MAX_ITERATIONS,
    PosedStokes,
    posed_stokes,
    rest_flow,
    solve,
    solve_discrete,
)
from resinflow.stokes.stored import fit_to_mask, grid_flow
from resinflow.stokes.tensor import permeability_tensor
from resinflow.stokes.verify import Check, verify

__all__ = [
    "DEFAULT_TOLERANCE",
    "MASK_RULE",
    "MAX_ITERATIONS",
    "Check",
    "GapStatistics",
    "PosedStokes",
    "Refinement",
    "SurfaceResponse",
    "WallChoice",
    "WallRule",
    "Work",
    "between_walls",
    "certified",
    "certify",
    "check_refinement",
    "coarse_grain",
    "displaced",
    "fit_to_mask",
    "gap_statistics",
    "grid_flow",
    "permeability_tensor",
    "planar_flow",
    "posed_stokes",
    "project",
    "refine_flow",
    "response_flow",
    "rest_flow",
    "solve",
    "solve_discrete",
    "solve_finer",
    "solve_refined",
    "surface_response",
    "threads_at_hand",
    "verify",
    "wall_rule_of",
    "wall_sensitivity",
]
