"""The Stokes solver on voxel grids: pressure-driven and periodic flow, planar flow, response flow, K tensor, certificates."""

from resinflow.stokes.certify import Certificate, certify, project
from resinflow.stokes.fitted import fit_to_mask, grid_flow
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.response import response_flow
from resinflow.stokes.solve import solve
from resinflow.stokes.tensor import permeability_tensor

__all__ = [
    "Certificate",
    "certify",
    "fit_to_mask",
    "grid_flow",
    "permeability_tensor",
    "planar_flow",
    "project",
    "response_flow",
    "solve",
]
