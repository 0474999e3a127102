"""The flows through media that were drawn round a slice, as one: their mean, their spread, and the interval of K."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import LEVEL, FlowField, InvalidInputError, Microstructure, ModelReport, SolverReport

Floats = NDArray[np.float64]

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
"""Warnings of two draws that differ in their numbers alone are one."""
_SURFACES = "fibre surfaces"
THIRD_DIMENSION = "third dimension"
"""What the slice does not show, as a part of the deviation of K."""
OVERLAPS = "overlaps between slices"
BETWEEN_SLICES = 0.05
"""Standard deviation of ln K that is added where draws go through several slices. Fibres that wander, or come in from the
sides, may overlap between them, which lets more resin through: at 10 to 15 degrees (12 media each) K is 5 % too high with two
and with three slices of eleven, 2 % with five, while draws scatter by 5.9, 3.9 and 1.4 %. With it the 90 % interval holds 11 of
12 each time, without it 10, 9 and 5."""


@dataclass
class _Sums:
    """Running sums over flows: velocity and its square, pressure in the fluid and its square, and the share of fluid."""

    velocity: Floats
    velocity_square: Floats
    pressure: Floats
    pressure_square: Floats
    fluid: Floats
    own_variance: Floats

    @classmethod
    def on(cls, shape: tuple[int, int, int]) -> _Sums:
        """Return sums of nothing."""
        return cls(*(np.zeros(each) for each in ((3, *shape), (3, *shape), shape, shape, shape, (3, *shape))))

    def add(self, flow: FlowField) -> None:
        """Add a flow."""
        velocity, fluid = np.asarray(flow.velocity, dtype=np.float64), flow.microstructure.fluid
        pressure = np.where(fluid, flow.pressure, 0.0)
        self.velocity += velocity
        self.velocity_square += velocity**2
        self.pressure += pressure
        self.pressure_square += pressure**2
        self.fluid += fluid
        if flow.velocity_std is not None:
            self.own_variance += np.asarray(flow.velocity_std, dtype=np.float64) ** 2


def mix_flows(
    flows: Iterable[FlowField], *, seed: int = 0, surfaces: float | None = None, overlaps: float | None = None
) -> FlowField:
    """Return the mean of the flows through drawn media with its spread; they are added one by one and not kept.

    The velocity is the mean over all draws, also where some of them have a fibre, the pressure that over the draws with fluid.
    ``velocity_std`` and ``pressure_std`` hold the spread between the draws and the predictions' own. The medium is fluid
    where half of the draws or more are. K is the mean K; its 90 % interval is log-normal, made of the draws' scatter (Student's
    t for few of them), the model's error and that of the fibre surfaces, where the flows' reports tell these.

    Args:
        flows: through media of one grid under one drive, two or more.
        seed: of the draws, for the report.
        surfaces: standard deviation of ln K that the fibre surfaces leave, where the reports do not tell.
        overlaps: the same of fibres that overlap between slices (:data:`BETWEEN_SLICES`); None: draws go through one slice.

    Raises:
        InvalidInputError: fewer than two flows, or flows on different grids.
    """
    sums, first = None, None
    values: list[float] = []
    reports: list[SolverReport | ModelReport | None] = []
    for flow in flows:
        if sums is None or first is None:
            sums, first = _Sums.on(flow.microstructure.shape), flow
        elif flow.microstructure.shape != first.microstructure.shape:
            raise InvalidInputError("the flows lie on different grids; needed: draws of one question.")
        sums.add(flow)
        values.append(flow.permeability)
        reports.append(flow.report)
    if sums is None or first is None or len(values) < 2:
        raise InvalidInputError(f"the spread of {len(values)} draw(s) was asked for; needed: at least 2.")
    count = len(values)
    velocity = sums.velocity / count
    between = np.maximum(sums.velocity_square - count * velocity**2, 0.0) / (count - 1)
    wet = np.maximum(sums.fluid, 1.0)
    pressure = sums.pressure / wet
    pressure_variance = np.maximum(sums.pressure_square - wet * pressure**2, 0.0) / np.maximum(wet - 1.0, 1.0)
    fluid = sums.fluid >= 0.5 * count
    whole = first.microstructure
    provenance = {**whole.provenance, "draw": f"most of {count} draws"}
    return FlowField(
        Microstructure(fluid, whole.spacing, None, provenance),
        velocity.astype(np.float32),
        (pressure * fluid).astype(np.float32),
        first.axis,
        first.pressure_drop,
        first.viscosity,
        first.boundary,
        first.lateral,
        velocity_std=np.sqrt(between + sums.own_variance / count).astype(np.float32),
        permeability_samples=np.array(values),
        report=_mixed_report(values, reports, seed, {_SURFACES: surfaces, OVERLAPS: overlaps}),
        pressure_std=(np.sqrt(pressure_variance) * fluid).astype(np.float32),
    )


def permeability_range(values: Sequence[float], deviation: float = 0.0, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends (m^2) of the central log-normal interval of K from draws of it.

    Args:
        values: K of the draws, m^2; where one is 0 the interval is that of their quantiles.
        deviation: of ln K of each of them by itself.
        level: probability of the interval.
    """
    from scipy.special import ndtri, stdtrit

    draws = np.asarray(values, dtype=np.float64)
    if draws.min() <= 0:
        low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], method="weibull")
        return float(low), float(high)
    logs = np.log(draws)
    count = len(logs)
    scatter = float(logs.std(ddof=1)) * np.sqrt(1 + 1 / count) * float(stdtrit(count - 1, 0.5 + level / 2))
    reach = np.hypot(scatter, float(ndtri(0.5 + level / 2)) * deviation)
    return float(np.exp(logs.mean() - reach)), float(np.exp(logs.mean() + reach))


def draws_in_words(values: Sequence[float]) -> str:
    """Return what K of draws, m^2, say so far, in a few words: the last one, their mean, and the interval of their scatter."""
    if len(values) < 2:
        return f"K {values[-1]:.3g} m^2" if values else ""
    low, high = permeability_range(values)
    return f"K {values[-1]:.3g} m^2, mean {np.mean(values):.3g}, 90 % by their scatter {low:.3g} to {high:.3g}"


def _mixed_report(
    values: list[float],
    reports: list[SolverReport | ModelReport | None],
    seed: int,
    further: Mapping[str, float | None],
) -> ModelReport:
    """The report of all draws together."""
    models = [report for report in reports if isinstance(report, ModelReport)]
    parts = {name: part for name, part in further.items() if part is not None}
    names = dict.fromkeys(name for report in models for name in report.permeability_parts or {})
    for name in names:
        own = [(report.permeability_parts or {}).get(name, 0.0) for report in models]
        parts[name] = float(np.sqrt(np.mean(np.square(own))))
    inner = float(np.sqrt(sum(part**2 for part in parts.values())))
    positive = [value for value in values if value > 0]
    scatter = float(np.log(positive).std(ddof=1)) if len(positive) > 1 else 0.0
    warnings = {_NUMBER.sub("#", text): text for report in reports if report is not None for text in report.warnings}
    novelty = [report.novelty for report in models if report.novelty is not None]
    return ModelReport(
        model=models[0].model if models else "solver",
        sampler=models[0].sampler if models else "none",
        steps=models[0].steps if models else 0,
        seed=seed,
        samples=len(values),
        wall_time=sum(report.wall_time for report in reports if report is not None),
        warnings=tuple(warnings.values()),
        permeability_interval=permeability_range(values, inner),
        permeability_parts={THIRD_DIMENSION: scatter, **parts},
        novelty=max(novelty) if novelty else None,
    )
