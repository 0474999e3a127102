"""What a solver or a model says about how it obtained a flow field."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resinflow.core.errors import InvalidInputError


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
    fields = dict(values)
    cls = _KINDS.get(fields.pop("kind", ""))
    if cls is None:
        raise InvalidInputError(f"the report's kind is {values.get('kind')!r}; needed: one of {sorted(_KINDS)}.")
    for name in ("residual_history", "warnings", "permeability_interval"):
        if fields.get(name) is not None:
            fields[name] = tuple(fields[name])
    try:
        if fields.get("certificate") is not None:
            fields["certificate"] = Certificate(**fields["certificate"])
        return cls(**fields)
    except TypeError as error:
        raise InvalidInputError(f"the report cannot be read: {error}.") from None
