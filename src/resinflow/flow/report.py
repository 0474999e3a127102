"""What a solver or a model says about how it obtained a flow field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.recipe_file import first_fault


@dataclass(frozen=True)
class Certificate:
    """What can be said for certain of a velocity field (:func:`resinflow.stokes.certify`).

    Attributes:
        permeability_bound: lower bound (m^2) on the K of the exact discrete flow; 0 if the medium does not percolate.
        correction: L2 norm of what the projection changed, over that of the field; 0 if the field was admissible.
        residual: norm of the momentum residual under the best pressure, over that of the load, weighted by the local response;
            0 for the exact flow, 1 for no flow.
        divergence: largest net outflow of a voxel after the projection, over the largest flow through a voxel face.
        wall_rule: of the discrete problem that this is said of.
    """

    permeability_bound: float
    correction: float
    residual: float
    divergence: float
    wall_rule: str


@dataclass(frozen=True)
class SolverReport:
    """How a flow was solved.

    Attributes:
        status: ``converged``, or the advice that goes with any other end.
        iterations: Krylov iterations.
        residual: last residual relative to the first, in the preconditioner's norm.
        residual_history: the same after every iteration.
        permeability_error: estimated relative error of K left by the iteration (not by the voxel grid).
        divergence: largest net outflow of a voxel relative to the mean flow through a voxel face.
        wall_time: seconds.
        warnings: what a careful reader must know of this field.
        certificate: what is certain of this field, where it was asked for.
    """

    status: str
    iterations: int
    residual: float
    residual_history: tuple[float, ...]
    permeability_error: float
    divergence: float
    wall_time: float
    warnings: tuple[str, ...] = ()
    certificate: Certificate | None = None


@dataclass(frozen=True)
class ModelReport:
    """How a flow was predicted.

    Attributes:
        model: its name.
        sampler: its sampler.
        steps: denoiser calls a sample.
        seed: of the samples.
        samples: their number.
        wall_time: seconds.
        warnings: what a careful reader must know of this field.
        permeability_interval: m^2, ends of the interval that holds the true K with a probability of 90 %; of a calibrated
            model alone, whose ``velocity_std`` and ``permeability_samples`` are then calibrated too.
        permeability_parts: relative standard deviations of K that the interval is made of: ``model``, and ``fibre surfaces``
            where these were read from an image; of a calibrated model alone.
        novelty: distance of the medium to the training media, in standard deviations; of a calibrated model alone.
        certificate: what is certain of this field, where it was asked for.
    """

    model: str
    sampler: str
    steps: int
    seed: int
    samples: int
    wall_time: float
    warnings: tuple[str, ...] = ()
    permeability_interval: tuple[float, float] | None = None
    permeability_parts: dict[str, float] | None = None
    novelty: float | None = None
    certificate: Certificate | None = None


Report = SolverReport | ModelReport
_KINDS: dict[str, type[SolverReport | ModelReport]] = {"solver": SolverReport, "model": ModelReport}


def report_to_dict(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON types, with its kind."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(report, cls))
    return {"kind": kind, **asdict(report)}


def report_from_dict(values: dict[str, Any]) -> Report:
    """Rebuild a report from :func:`report_to_dict`.

    Raises:
        InvalidInputError: unknown kind or fields.
    """
    if not isinstance(values, dict) or values.get("kind") not in tuple(_KINDS):
        kind = values.get("kind") if isinstance(values, dict) else values
        raise InvalidInputError(f"the report's kind is {kind!r:.80}; needed: one of {sorted(_KINDS)}.")
    from pydantic import TypeAdapter, ValidationError

    cls = _KINDS[values["kind"]]
    contents = {name: value for name, value in values.items() if name != "kind"}
    unknown = sorted(set(contents) - {field.name for field in fields(cls)})
    if unknown:
        raise InvalidInputError(f"the report cannot be read: it has an unknown field {unknown[0]!r}.")
    try:
        return TypeAdapter(cls).validate_python(contents)
    except ValidationError as error:
        raise InvalidInputError(f"the report cannot be read: {first_fault(error, 'report')}.") from None


LEVEL = 0.9
"""Probability of the central interval that a calibrated deviation gives."""
REACH = 1.6448536269514722
"""Half width of that interval in standard deviations: the 95th percentile of the normal distribution."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a field's error from the standard deviation between the samples.

    Attributes:
        factor: multiplies the deviation between the samples.
        floor: what is there without any, in the unit of the field (its RMS speed, its pressure drop).

    Raises:
        InvalidInputError: a number that is negative or not finite, or no spread at all.
    """

    factor: float
    floor: float

    def __post_init__(self) -> None:
        numbers = (self.factor, self.floor)
        if not all(np.isfinite(number) and number >= 0.0 for number in numbers) or not any(numbers):
            raise InvalidInputError(
                f"the spread has factor {self.factor} and floor {self.floor}; needed: finite numbers from 0 up, not both 0."
            )

    def deviation(self, between: ArrayLike, unit: float = 1.0) -> NDArray[np.float64]:
        """Return ``sqrt((factor between)^2 + (floor unit)^2)``, in the unit of ``between``, the deviation between samples."""
        return np.hypot(self.factor * np.asarray(between, dtype=np.float64), self.floor * unit)


@dataclass(frozen=True)
class RelativeSpread:
    """Relative standard deviation of a positive number from what is known of it, log-linear: ``exp(c_0 + c_1 x_1 + ...)``.

    Attributes:
        coefficients: c_0, and one for every feature.
        low: smallest value of each feature in the data of the fit.
        high: largest; a feature beyond counts as the nearest of the two, so that nothing is extrapolated.

    Raises:
        InvalidInputError: numbers that are not finite, or ranges that do not fit the coefficients.
    """

    coefficients: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.coefficients) - 1
        if count < 0 or len(self.low) != count or len(self.high) != count:
            raise InvalidInputError(
                f"the spread has {count + 1} coefficients and ranges of {len(self.low)} and {len(self.high)} features; needed: "
                "one coefficient more than features."
            )
        if not np.isfinite([*self.coefficients, *self.low, *self.high]).all():
            raise InvalidInputError("the spread holds NaN or infinite coefficients; needed: finite numbers.")

    def deviation(self, features: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the relative standard deviation at ``features`` (..., features)."""
        within = np.clip(np.asarray(features, dtype=np.float64), self.low, self.high)
        return np.exp(self.coefficients[0] + within @ np.asarray(self.coefficients[1:], dtype=np.float64))
