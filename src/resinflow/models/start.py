"""The flows that a prediction starts from: the only place that solves them, with one tolerance for each."""

from __future__ import annotations

from dataclasses import dataclass

from resinflow.flow import Axis, Base, FlowField, Microstructure
from resinflow.stokes import grid_flow, planar_flow, response_flow


@dataclass(frozen=True)
class StartFlows:
    """The two flows that a prediction starts from: each slice by itself, and the base that the networks correct."""

    planar: FlowField
    base: FlowField


BASE_NAMES: dict[Base, str] = {"planar": "planar", "response": "response", "grid": "stored grid"}
"""What the flows that models correct are called in tables."""
START_TOLERANCE = 1e-4
"""Relative error of K of the planar flow that networks see, as in the standard data set."""


def solve_start_flows(
    micro: Microstructure, *, base: Base = "response", axis: Axis, pressure_drop: float, viscosity: float
) -> StartFlows:
    """Return the planar flow and the base flow that a prediction starts from."""
    planar = planar_flow(micro, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity, tolerance=START_TOLERANCE)
    if base == "planar":
        return StartFlows(planar, planar)
    return StartFlows(planar, solve_base(micro, base=base, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity))


def solve_base(micro: Microstructure, *, base: Base, axis: Axis, pressure_drop: float, viscosity: float) -> FlowField:
    """Return the flow that a model corrects."""
    solver = {"planar": planar_flow, "response": response_flow, "grid": grid_flow}[base]
    return solver(micro, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity)
