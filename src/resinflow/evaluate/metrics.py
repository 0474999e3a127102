"""Errors of a flow against the true flow: pure functions of two flow fields in the same medium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.conservation import PhysicsCheck, check_physics
from resinflow.flow import FlowField, InvalidInputError, check_flow, ratio

TOP_SPEED_FRACTION = 0.1
"""Share of the fluid voxels that count as the fast ones."""

_ABSENT = 1e-3  # of the velocity norm: a smaller component is a zero with the solver's error, and has no relative error
_SAME = 1e-6  # relative difference up to which two pressure drops or viscosities are the same
_Formula = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


@dataclass(frozen=True)
class ByComponent:
    """One number for the whole velocity and for each of its components."""

    total: float
    x: float
    y: float
    z: float

    def to_dict(self, name: str) -> dict[str, float]:
        """Return ``{name, name_x, name_y, name_z}``."""
        return {name: self.total, f"{name}_x": self.x, f"{name}_y": self.y, f"{name}_z": self.z}


@dataclass(frozen=True, repr=False)
class Comparison:
    """All scores of a prediction, over the fluid voxels; NaN where a number has no meaning.

    The true flow may lack a component (vz of a single extruded slice). Its relative numbers are NaN. The prediction of that
    component still counts in the total, in ``mae`` and in ``rmse``.

    Attributes:
        relative_l2: norm of the error over norm of the truth.
        mae: mean |error| over voxels and components, m/s.
        rmse: root mean square error over voxels and components, m/s.
        nmae: mean |error| over mean |truth|.
        cosine: cosine of the angle between the two fields as vectors; 1 says that they differ by a factor at most.
        top_speed_iou: intersection over union of the fastest tenth of the fluid voxels (:func:`top_speed_iou`).
        permeability: the prediction's K, m^2.
        true_permeability: the truth's K, m^2.
        permeability_error: |K - true K| / true K.
        permeability_bias: (K - true K) / true K.
        pressure_error: relative L2 error of the pressure (:func:`pressure_error`).
        physics: violations of the physics by the prediction.
        seconds: wall time of the prediction, None if its report has none.
    """

    relative_l2: ByComponent
    mae: ByComponent
    rmse: ByComponent
    nmae: ByComponent
    cosine: ByComponent
    top_speed_iou: float
    permeability: float
    true_permeability: float
    permeability_error: float
    permeability_bias: float
    pressure_error: float
    physics: PhysicsCheck
    seconds: float | None = None

    def __repr__(self) -> str:
        error = self.relative_l2
        parts = ", ".join(f"v{name} {100 * part:.3g} %" for name, part in (("x", error.x), ("y", error.y), ("z", error.z)))
        return (
            f"<Comparison: velocity {100 * error.total:.3g} % off ({parts}), pressure {100 * self.pressure_error:.3g} %, "
            f"K {100 * self.permeability_bias:+.3g} % ({self.permeability:.4g} for {self.true_permeability:.4g} m^2)>"
        )

    @property
    def velocity_error(self) -> float:
        """Relative L2 error of the whole velocity."""
        return self.relative_l2.total

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers flat by name (``relative_l2``, ``relative_l2_x``, ..., ``divergence``, ``seconds``)."""
        return {
            **self.relative_l2.to_dict("relative_l2"),
            **self.mae.to_dict("mae"),
            **self.rmse.to_dict("rmse"),
            **self.nmae.to_dict("nmae"),
            **self.cosine.to_dict("cosine"),
            "top_speed_iou": self.top_speed_iou,
            "permeability": self.permeability,
            "true_permeability": self.true_permeability,
            "permeability_error": self.permeability_error,
            "permeability_bias": self.permeability_bias,
            "pressure_error": self.pressure_error,
            **self.physics.to_dict(),
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        error = self.relative_l2
        return (
            f"velocity: relative L2 error {error.total:.4f} (x {error.x:.4f}, y {error.y:.4f}, z {error.z:.4f}), "
            f"nMAE {self.nmae.total:.4f}, cosine {self.cosine.total:.4f}, IoU of the fastest tenth {self.top_speed_iou:.3f}\n"
            f"permeability: {self.permeability:.4g} m^2, true {self.true_permeability:.4g} m^2, "
            f"error {100 * self.permeability_bias:+.2f} %\n"
            f"pressure: relative L2 error {self.pressure_error:.4f}\n"
            f"physics: divergence {self.physics.divergence:.2e} of the gradient, flow rate varies by "
            f"{self.physics.flow_rate_variation:.2e}, velocity in the fibres {self.physics.velocity_in_solid:.2e}"
        )


def compare(prediction: FlowField, truth: FlowField) -> Comparison:
    """Return every number of :class:`Comparison` for a prediction of ``truth``.

    Raises:
        InvalidInputError: the two are flows through different media, along different axes, or at another pressure drop or
            viscosity.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> comparison = rf.compare(rf.planar_flow(micro), rf.solve(micro))
        >>> 0 < comparison.relative_l2.total < 1
        True
    """
    check_comparable(prediction, truth)
    bias = ratio(prediction.permeability - truth.permeability, abs(truth.permeability))
    return Comparison(
        **velocity_scores(prediction, truth),
        top_speed_iou=top_speed_iou(prediction, truth),
        permeability=prediction.permeability,
        true_permeability=truth.permeability,
        permeability_error=abs(bias),
        permeability_bias=bias,
        pressure_error=pressure_error(prediction, truth),
        physics=check_physics(prediction),
        seconds=None if prediction.report is None else prediction.report.wall_time,
    )


def check_comparable(prediction: FlowField, truth: FlowField) -> None:
    """Raise InvalidInputError unless both are flows of the same problem: medium, axis, pressure drop and viscosity."""
    check_flow(prediction)
    check_flow(truth)
    if prediction.microstructure.fingerprint != truth.microstructure.fingerprint:
        raise InvalidInputError(
            f"the two flows belong to different media ({prediction.microstructure.describe()}; and "
            f"{truth.microstructure.describe()}); needed: the same mask and spacing. Predict on the truth's microstructure."
        )
    if prediction.axis != truth.axis:
        raise InvalidInputError(
            f"the prediction flows along {prediction.axis}, the truth along {truth.axis}; needed: the same axis."
        )
    for name, unit, value, needed in (
        ("pressure_drop", "Pa", prediction.pressure_drop, truth.pressure_drop),
        ("viscosity", "Pa s", prediction.viscosity, truth.viscosity),
    ):
        if not np.isclose(value, needed, rtol=_SAME, atol=0.0):
            raise InvalidInputError(
                f"the prediction's {name} is {value:g} {unit}; needed: the truth's {needed:g} {unit}. Predict with that value."
            )


def velocity_scores(prediction: FlowField, truth: FlowField) -> dict[str, ByComponent]:
    """Return the errors of the velocity over the fluid voxels, by the names that :class:`Comparison` has for them.

    The total of ``mae`` and ``rmse`` (m/s) runs over voxels and components. A relative error is NaN for a component that the
    truth lacks.

    Raises:
        InvalidInputError: as :func:`compare`.
    """
    check_comparable(prediction, truth)
    fluid = truth.microstructure.fluid
    values, true = (np.asarray(flow.velocity, dtype=np.float64)[:, fluid] for flow in (prediction, truth))
    size = _norm(true)
    present = [True, *(_norm(component) > _ABSENT * size for component in true)]

    def score(formula: _Formula, *, relative: bool = True) -> ByComponent:
        pairs = zip([values, *values], [true, *true], present, strict=True)
        return ByComponent(*(formula(a, b) if here or not relative else float("nan") for a, b, here in pairs))

    return {
        "relative_l2": score(lambda a, b: ratio(_norm(a - b), _norm(b))),
        "mae": score(lambda a, b: _mean(np.abs(a - b)), relative=False),
        "rmse": score(lambda a, b: float(np.sqrt(_mean((a - b) ** 2))), relative=False),
        "nmae": score(lambda a, b: ratio(_mean(np.abs(a - b)), _mean(np.abs(b)))),
        "cosine": score(lambda a, b: ratio(float((a * b).sum()), _norm(a) * _norm(b))),
    }


def top_speed_iou(prediction: FlowField, truth: FlowField, fraction: float = TOP_SPEED_FRACTION) -> float:
    """Intersection over union of the fastest ``fraction`` of the fluid voxels of either field; NaN without fluid.

    Each set weighs exactly ``fraction`` of the voxels (rounded to whole ones, at least one): voxels tied at the threshold
    share the rest in equal parts, and the index is weighted: sum(min) / sum(max). Equal fields give 1. A constant field gives
    the value of chance, fraction / (2 - fraction), in any order of the voxels.
    """
    check_comparable(prediction, truth)
    fluid = truth.microstructure.fluid
    if not fluid.any():
        return float("nan")
    values, true = (_top_weights(np.asarray(flow.speed)[fluid], fraction) for flow in (prediction, truth))
    return float(np.minimum(values, true).sum() / np.maximum(values, true).sum())


def pressure_error(prediction: FlowField, truth: FlowField) -> float:
    """Relative L2 error of the pressure over the fluid voxels; NaN if the true pressure is uniform.

    A constant pressure drives nothing: the function first subtracts the mean over the fluid voxels from both fields.
    """
    check_comparable(prediction, truth)
    fluid = truth.microstructure.fluid
    if not fluid.any():
        return float("nan")
    values, true = (np.asarray(flow.pressure, dtype=np.float64)[fluid] for flow in (prediction, truth))
    values, true = values - values.mean(), true - true.mean()
    return ratio(_norm(values - true), _norm(true))


def _top_weights(speed: NDArray[np.floating], fraction: float) -> NDArray[np.float64]:
    count = max(1, round(fraction * speed.size))
    threshold = np.partition(speed, speed.size - count)[speed.size - count]
    above, tied = speed > threshold, speed == threshold
    return above + tied * ((count - above.sum()) / tied.sum())


def _norm(values: NDArray[np.float64]) -> float:
    return float(np.sqrt((values**2).sum()))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
