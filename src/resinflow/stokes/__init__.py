"""The Stokes solver: five ways to a flow, its certificate, and its known answers."""

from resinflow.stokes.certify import certify, project
from resinflow.stokes.finer import (
    Refinement,
    certified,
    check_refinement,
    coarse_grain,
    refine_flow,
    solve_finer,
    solve_refined,
)
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.problem.mask import FLOW, MASK_RULE, Grid, WallRule, build_grid, pad_widths, wrapping
from resinflow.stokes.problem.pores import Pores, find_pores
from resinflow.stokes.problem.system import PRESSURE, StokesSystem, build_system
from resinflow.stokes.response import response_flow
from resinflow.stokes.solve import PosedStokes, posed_stokes, solve
from resinflow.stokes.stored import fit_to_mask, grid_flow
from resinflow.stokes.tensor import permeability_tensor
from resinflow.stokes.verify import Check, verify

__all__ = [
    "FLOW",
    "MASK_RULE",
    "PRESSURE",
    "Check",
    "Grid",
    "Pores",
    "PosedStokes",
    "Refinement",
    "StokesSystem",
    "WallRule",
    "build_grid",
    "build_system",
    "certified",
    "certify",
    "check_refinement",
    "coarse_grain",
    "find_pores",
    "fit_to_mask",
    "grid_flow",
    "pad_widths",
    "permeability_tensor",
    "planar_flow",
    "posed_stokes",
    "project",
    "refine_flow",
    "response_flow",
    "solve",
    "solve_finer",
    "solve_refined",
    "verify",
    "wrapping",
]
