"""Texts on the figures: permeability, problem and scores."""

from __future__ import annotations

import numpy as np

from resinflow.evaluate import Comparison
from resinflow.flow import DARCY, FlowField, format_length
from resinflow.view.scales import PRESSURE_UNITS, unit_for


def describe_permeability(flow: FlowField) -> str:
    """Return K in m² and darcy."""
    return f"K = {flow.permeability:.4g} m² = {flow.permeability / DARCY:.4g} darcy"


def describe_problem(flow: FlowField, index: int) -> str:
    """Return axis, pressure drop, viscosity and the place of slice ``index`` (counted from 0) in one line."""
    nz, dz = flow.microstructure.shape[0], flow.microstructure.spacing[0]
    place = f"slice {index} (0 to {nz - 1}), z = {format_length((index + 0.5) * dz)}".replace("um", "µm")
    return f"{describe_drive(flow)}; {place}"


def describe_drive(flow: FlowField) -> str:
    """Return axis, pressure drop and viscosity in one line."""
    unit, size = unit_for(flow.pressure_drop, PRESSURE_UNITS)
    return f"flow along {flow.axis}, pressure drop {flow.pressure_drop / size:g} {unit}, viscosity {flow.viscosity:g} Pa s"


def score_lines(name: str, score: Comparison) -> str:
    """Return the relative errors of the flow ``name``, one a line."""
    error = score.relative_l2
    parts = [f"v{name} {_percent(value)}" for name, value in (("x", error.x), ("y", error.y), ("z", error.z))]
    lines = [
        f"{name}, relative errors",
        f"velocity (L2)  {_percent(error.total)}",
        "   " + "   ".join(parts[:2]),
        "   " + parts[2],
        f"K  {round(100 * score.permeability_bias, 2) + 0.0:+.2f} %",
        f"pressure (L2)  {_percent(score.pressure_error)}",
        f"IoU of fastest 10 %  {score.top_speed_iou:.3f}",
    ]
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"
