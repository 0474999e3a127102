"""The Stokes solver on voxel grids: pressure-driven and periodic flow, planar flow, response flow."""

from resinflow.stokes.planar import planar_flow
from resinflow.stokes.response import response_flow
from resinflow.stokes.solve import solve

__all__ = ["planar_flow", "response_flow", "solve"]
