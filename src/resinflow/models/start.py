"""The flows that a prediction starts from: the only place that solves them, with one tolerance for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Unpack

from resinflow.flow import Base, Drive, DriveOptions, FlowField, Microstructure, ResinflowError, refined_medium
from resinflow.stokes import coarse_grain, grid_flow, planar_flow, response_flow, solve, threads_at_hand

BASE_NAMES: dict[Base, str] = {"planar": "planar", "response": "response", "grid": "stored grid"}
"""What the base flows are called in tables."""
PLANAR_TOLERANCE = 1e-4
"""Relative error of K of a planar flow that is the base flow. The base flow has the tolerance of its own solver, and so has a
planar flow that is all a model sees."""
CONDITION_TOLERANCE = 0.1
"""Relative error of K of a slice's planar flow that networks see beside a base flow: predictions of ``small`` from planar flows
to 1e-4 are no better (docs/performance.md)."""
_AT_ONCE = 1 << 18
"""Voxels from which on the planar flow and the base flow are solved at the same time: half of what either does is on one
thread. In smaller media two threads would wait for the interpreter."""
_SECTION_FACTORS, _SECTION_TOLERANCE = (1, 2, 2), 1e-3


@dataclass(frozen=True)
class StartFlows:
    """The two flows that a prediction starts from.

    Attributes:
        planar: each slice by itself.
        base: the flow that the networks correct; for a model without a base flow the planar flow once more.
    """

    planar: FlowField
    base: FlowField


def start_flows(
    micro: Microstructure,
    drive: Drive | None = None,
    base: Base | None = "response",
    **conditions: Unpack[DriveOptions],
) -> StartFlows:
    """Solve the planar flow and the base flow of a medium.

    Args:
        micro: the medium.
        drive: what drives the flow, along x or y.
        base: which flow a model corrects; None: the model looks at the planar flow alone, no other is solved.
        conditions: values of the drive, in the place of its own.

    Raises:
        InvalidInputError: an axis or conditions on the box that the planar flow does not have, or a slice without any fibre.
    """
    drive = Drive.of(drive, **conditions)
    if base is None:
        planar = planar_flow(micro, drive)
        return StartFlows(planar, planar)
    if base == "planar":
        planar = planar_flow(micro, drive, tolerance=PLANAR_TOLERANCE)
        return StartFlows(planar, planar)
    solver = response_flow if base == "response" else grid_flow
    if threads_at_hand() == 1 or micro.fluid.size < _AT_ONCE:
        return StartFlows(planar_flow(micro, drive, tolerance=CONDITION_TOLERANCE), solver(micro, drive))
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(planar_flow, micro, drive, tolerance=CONDITION_TOLERANCE)
        try:
            flow = solver(micro, drive)
        except ResinflowError:
            waiting.result()  # what is wrong with a slice is said first, as without threads
            raise
        return StartFlows(waiting.result(), flow)


def section_flow(section: Microstructure, drive: Drive) -> FlowField:
    """Return the flow through a medium of one slice that goes straight on, solved on pixels half as wide, on its own pixels.

    Args:
        section: the medium.
        drive: what drives the flow, along x or y.

    Raises:
        InvalidInputError: conditions on the box that the solver does not have.
    """
    finer = refined_medium(section, _SECTION_FACTORS)
    flow = solve(finer, drive, tolerance=_SECTION_TOLERANCE, wall_rule="surface")
    return coarse_grain(flow, _SECTION_FACTORS, section)
