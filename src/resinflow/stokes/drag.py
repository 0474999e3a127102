"""What the faces of a flow with walls at the fibre surfaces feel: velocity, viscous force, and the gap that they stand in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Drive, FlowField, Microstructure, surface_distance, with_surface
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.problem.cutcell import CutFaces, cut_faces
from resinflow.stokes.problem.cutsystem import cut_problem
from resinflow.stokes.problem.problem import Problem, to_state
from resinflow.stokes.problem.system import PRESSURE

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FaceDrag:
    """The faces normal to one array axis, the flow along the last one; all arrays have the shape of ``cut``'s.

    Attributes:
        cut: open fractions, diagonals, gap widths.
        velocity: mean over the open part, in the unit of the discrete system; 0 where there is no unknown.
        force: viscous force that holds a face back, in the system's unit: the pressure drop across it, for a solved flow.
    """

    cut: CutFaces
    velocity: Array
    force: Array

    @property
    def power(self) -> Array:
        """What a face takes of the power of the flow, in the system's unit."""
        return self.velocity * self.force


def face_drag(flow: FlowField) -> tuple[FaceDrag, FaceDrag, FaceDrag] | None:
    """Return the drag on the faces normal to the array axes (z, y, x), turned so that the flow is along the last one.

    Walls are at the surfaces of the medium's signed distance, or at those estimated from its mask. None where nothing flows.

    Raises:
        InvalidInputError: an all-solid box, or a box without any wall.
    """
    micro = with_surface(flow.microstructure)
    posed = None if flow.permeability == 0 else cut_problem(micro, flow.drive)
    if posed is None:
        return None
    problem, faces = posed
    system = problem.system
    state, force = to_state(problem, flow), system.new_state(np.float64)
    state[PRESSURE] = 0  # what the pressure holds is what the viscous force holds back
    with Pool(None) as pool:
        system.apply(pool, state, force)
    z, y, x = (FaceDrag(cut, _unpacked(problem, state, cut), _unpacked(problem, force, cut)) for cut in faces)
    return z, y, x


def cut_medium(micro: Microstructure, drive: Drive, displacement: float = 0.0) -> tuple[CutFaces, CutFaces, CutFaces]:
    """Return the cut faces of a medium, turned so that the flow is along the last axis.

    Args:
        micro: the medium.
        drive: says where the flow goes and what the sides of the box are.
        displacement: by which all surfaces are moved out of the fibres, m.
    """
    distance = np.asarray(surface_distance(micro), dtype=np.float64).transpose(drive.turned) - displacement
    dz, dy, dx = (micro.spacing[axis] for axis in drive.turned)
    return cut_faces(distance, (dz, dy, dx), drive.boundary, drive.lateral)


def _unpacked(problem: Problem, state: Array, cut: CutFaces) -> Array:
    """A component of a state on the faces of ``cut``, 0 where there is no unknown."""
    axis, system = cut.normal, problem.system
    field = np.where(system.unknown(axis), state[axis], 0.0)
    nz, ny, nx = (count + (k == axis) for k, count in enumerate(problem.grid.fluid.shape))
    values = system.rows.unpack(field, (nz, ny, nx))
    return values[tuple(slice(count) for count in cut.aperture.shape)]  # a face of a seam stands on both its sides
