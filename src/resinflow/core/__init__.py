"""The types that every part of resinflow speaks: microstructures, flow fields, units and errors."""

from resinflow.core.errors import (
    ConvergenceError,
    InvalidInputError,
    MissingDependencyError,
    ResinflowError,
)
from resinflow.core.flow import FlowField
from resinflow.core.microstructure import Microstructure
from resinflow.core.report import ModelReport, SolverReport
from resinflow.core.units import DARCY, format_permeability

__all__ = [
    "DARCY",
    "ConvergenceError",
    "FlowField",
    "InvalidInputError",
    "Microstructure",
    "MissingDependencyError",
    "ModelReport",
    "ResinflowError",
    "SolverReport",
    "format_permeability",
]
