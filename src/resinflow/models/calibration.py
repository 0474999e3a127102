"""A calibrated prediction: the spread between the samples made the size of the error."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resinflow.flow import (
    REACH,
    FlowField,
    InvalidInputError,
    ModelReport,
    RelativeSpread,
    Spread,
    SurfaceSource,
    first_fault,
    replacing,
)
from resinflow.models.directory import CALIBRATION, WEIGHTS
from resinflow.models.novelty import Novelty
from resinflow.stokes import wall_sensitivity

FEATURES = ("log_spread", "log_correction", "fibre_fraction", "cross_flow", "log_field_spread")
"""What the relative spread of K may depend on (:func:`permeability_features`)."""
SURFACE = "log_surface_spread"
SURFACE_FEATURES = (*FEATURES, SURFACE)
"""The same for media that were read from images."""
_FAINT = 1e-4
"""Relative size below which a spread or a correction counts as this, before its logarithm is taken."""


@dataclass(frozen=True)
class Calibration:
    """Laws from the deviation between the samples of a prediction to the standard deviation of its error.

    Attributes:
        samples: number of samples of the predictions that the laws were fitted to; with 1 they need none.
        along: of the velocity component along the flow, in units of the predicted RMS speed.
        across: of the other component in the slice plane.
        normal: of vz.
        pressure: in units of the pressure drop.
        permeability: relative, of K.
        features: what the last one depends on.

    Raises:
        InvalidInputError: features other than this version's, or fewer than one sample.
    """

    samples: int
    along: Spread
    across: Spread
    normal: Spread
    pressure: Spread
    permeability: RelativeSpread
    features: tuple[str, ...] = FEATURES

    def __post_init__(self) -> None:
        known = self.features in (FEATURES, SURFACE_FEATURES)
        if not known or len(self.permeability.low) != len(self.features) or self.samples < 1:
            raise InvalidInputError(
                f"the calibration is for {self.samples} samples and depends on {', '.join(self.features) or 'nothing'}; "
                f"needed: at least 1 and {', '.join(FEATURES)}. Run resinflow model calibrate again."
            )

    def of_components(self, axis: str) -> tuple[Spread, Spread, Spread]:
        """Return the laws of vx, vy and vz for a flow along ``axis`` (x or y)."""
        return (self.along, self.across, self.normal) if axis == "x" else (self.across, self.along, self.normal)

    def fits(self, flow: FlowField) -> bool:
        """Return whether ``flow`` has the several samples that the laws start from."""
        return self.samples == 1 or flow.velocity_std is not None


def calibrated(flow: FlowField, calibration: Calibration, base: FlowField, exact: Calibration | None = None) -> FlowField:
    """Return a prediction whose deviations are the standard deviations of its error; velocity, pressure and K stay.

    ``velocity_std`` and ``pressure_std``: mean +- 1.645 of them holds the truth of 90 % of the voxels; zero in the fibres.
    ``permeability_samples`` are moved about their mean so that their deviation is that of the error of K;
    ``permeability_interval`` is the central 90 % interval, from 0 up. A prediction that
    :meth:`Calibration.fits` refuses comes back as it is.

    Args:
        flow: a prediction as the samples gave it.
        calibration: of its model.
        base: the flow that the model corrected.
        exact: calibration for media whose fibre surfaces are exact, which tells the model's part of the deviation; None:
            ``calibration`` is that.

    Raises:
        InvalidInputError: no prediction of a model, or one that is calibrated already.
    """
    if not isinstance(flow.report, ModelReport) or flow.permeability_interval is not None:
        raise InvalidInputError("the flow is no prediction or calibrated already; needed: a model's flow as drawn.")
    if not calibration.fits(flow):
        return flow
    fluid = flow.microstructure.fluid
    spread = np.zeros(flow.velocity.shape) if flow.velocity_std is None else flow.velocity_std
    speed = flow.rms_speed
    laws = calibration.of_components(flow.axis)
    velocity_std = np.stack([law.deviation(values, speed) for law, values in zip(laws, spread, strict=True)])
    pressure_std = None
    if flow.pressure_std is not None or calibration.samples == 1:
        between = np.zeros(fluid.shape) if flow.pressure_std is None else flow.pressure_std
        pressure_std = (calibration.pressure.deviation(between, flow.pressure_drop) * fluid).astype(flow.pressure.dtype)
    permeability = flow.permeability
    features = permeability_features(flow, base, calibration.features)
    relative = float(calibration.permeability.deviation(features))
    parts = {"model": relative}
    if exact is not None and exact is not calibration:
        own = min(float(exact.permeability.deviation(features[: len(FEATURES)])), relative)
        parts = {"model": own, "fibre surfaces": float(np.sqrt(relative**2 - own**2))}
    deviation = abs(permeability) * relative
    interval = (max(permeability - REACH * deviation, 0.0), max(permeability + REACH * deviation, 0.0))
    return replace(
        flow,
        velocity_std=(velocity_std * flow.open_voxels).astype(flow.velocity.dtype),
        pressure_std=pressure_std,
        permeability_samples=_with_deviation(flow.permeability_samples, deviation),
        report=replace(flow.report, permeability_interval=interval, permeability_parts=parts),
    )


def permeability_features(flow: FlowField, base: FlowField, names: tuple[str, ...] = FEATURES) -> NDArray[np.float64]:
    """Return the numbers of a prediction, one for each of ``names``, that the relative spread of its K may depend on.

    ``log_spread``: log of the relative deviation between the K of the samples; ``log_correction``: log of the relative
    difference between predicted K and that of the base flow; ``fibre_fraction``; ``cross_flow``: RMS vz over RMS speed;
    ``log_field_spread``: log of the RMS deviation of the velocity over the RMS speed; ``log_surface_spread``: log of the
    deviation of ln K that the samples of the fibre surfaces give (:func:`surface_spread`). Logarithms of sizes below 1e-4 are
    those of 1e-4.
    """
    fluid = flow.microstructure.fluid
    permeability, speed = flow.permeability, flow.rms_speed
    samples = flow.permeability_samples
    spread = float(np.std(samples, ddof=1)) if samples is not None and len(samples) > 1 else 0.0
    field = 0.0 if flow.velocity_std is None else _rms(flow.velocity_std[:, fluid])
    values = [
        _log_of(spread, permeability),
        _log_of(permeability - base.permeability, base.permeability),
        flow.microstructure.fibre_fraction,
        _rms(flow.velocity[2:, fluid]) / speed if speed > 0.0 else 0.0,
        _log_of(field, speed),
    ]
    if SURFACE in names:
        values.append(_log_of(surface_spread(base), 1.0))
    return np.array(values)


def surface_spread(base: FlowField) -> float:
    """Return the standard deviation of ln K that the open question of where the fibre surfaces are gives, to first order.

    Each sample of the surfaces' displacement moves ln K by its product with what a displacement of each piece of wall does
    (:func:`resinflow.stokes.wall_sensitivity`). A medium without samples, one whose image was too large for them, counts as
    quite uncertain: 1.

    Args:
        base: the flow that a model corrects, with walls at the surfaces.
    """
    displacements = base.microstructure.displacements
    if displacements is None or len(displacements) < 2:
        return 1.0
    weights = wall_sensitivity(base)
    return float(np.std([(sample * weights).sum(dtype=np.float64) for sample in displacements], ddof=1))


def _rms(vectors: NDArray[np.floating]) -> float:
    """Root mean square length of vectors (components, voxels)."""
    return float(np.sqrt((np.asarray(vectors, dtype=np.float64) ** 2).sum(axis=0).mean()))


def _log_of(part: float, whole: float) -> float:
    """Logarithm of a relative size."""
    return float(np.log(max(abs(part) / abs(whole), _FAINT))) if whole != 0.0 else 0.0


def _with_deviation(samples: NDArray[np.floating] | None, deviation: float) -> NDArray[np.floating] | None:
    """Move samples about their mean to a standard deviation; samples without any stay."""
    if samples is None or len(samples) < 2:
        return samples
    mean, spread = samples.mean(), samples.std(ddof=1)
    return mean + (samples - mean) * (deviation / spread) if spread > 0.0 else samples


class CalibrationDocument(BaseModel):
    """The content of ``calibration.json``, which ``resinflow model calibrate`` writes.

    Attributes:
        schema_name: of this document.
        weights: sha256 of the weights that it belongs to.
        data: sha256 of the data set's media and splits.
        split: whose errors the calibration was fitted to.
        cases: number of its media.
        calibration: from the spread between samples to the error, of media whose fibre surfaces are exact.
        surfaces: the same of media whose surfaces come from images, by source; empty where none was measured.
        front_end: name of the front end that read them; None: the classical segmentation.
        novelty: distance to the media of the training split; None if that was not there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Annotated[Literal["resinflow-calibration-1"], Field(alias="schema")] = "resinflow-calibration-1"
    weights: str
    data: str
    split: str
    cases: Annotated[int, Field(ge=1)]
    calibration: Calibration
    surfaces: dict[Literal["grey", "mask", "estimated"], Calibration] = {}
    front_end: str | None = None
    novelty: Novelty | None = None

    def laws(self) -> dict[SurfaceSource, Calibration]:
        """Return the calibrations by the source of the fibre surfaces."""
        return {"exact": self.calibration, **self.surfaces}


def save_calibration(directory: str | Path, document: CalibrationDocument) -> Path:
    """Write ``calibration.json`` into a model directory in one step and return its path.

    Raises:
        InvalidInputError: no model directory, or one that cannot be written.
    """
    directory = Path(directory)
    if not (directory / WEIGHTS).is_file():
        raise InvalidInputError(f"{directory} holds no {WEIGHTS}; needed: a model directory.")
    path = directory / CALIBRATION
    with replacing(path) as temporary:
        temporary.write_text(document.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    return path


def load_calibration(directory: str | Path) -> CalibrationDocument | None:
    """Return what ``calibration.json`` of a model directory says; None where there is none.

    Raises:
        InvalidInputError: a damaged file, or one that belongs to other weights than those beside it.
    """
    path = Path(directory) / CALIBRATION
    if not path.is_file():
        return None
    again = "Remove it and run resinflow model calibrate."
    try:
        document = CalibrationDocument.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidInputError(f"{path} cannot be used ({first_fault(error, 'the file', value=False)}). {again}") from None
    if document.weights != weights_fingerprint(directory):
        raise InvalidInputError(f"{path} belongs to other weights than {WEIGHTS} beside it. {again}")
    return document


def weights_fingerprint(directory: str | Path, name: str = WEIGHTS) -> str:
    """Return the sha256 of the weights of a model directory, or of another file ``name`` there.

    Raises:
        InvalidInputError: weights that cannot be read.
    """
    path = Path(directory) / name
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror}); needed: the weights of a model.") from None
