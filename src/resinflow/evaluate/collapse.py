"""Whether a reconstruction keeps a velocity component: amplitude, correlation and spectrum of every slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.metrics import check_comparable
from resinflow.flow import COMPONENTS, Axis, FlowField, ratio, rms

ABSENT = 1e-3
"""Of the RMS speed: a component below it is absent from the true flow, and nothing can collapse."""
COLLAPSED = 0.1
"""Amplitude ratio below which a component counts as gone."""
WEAKENED = 0.7
"""Amplitude ratio below which it counts as weakened."""
CORRELATED = 0.5
"""Correlation below which the component counts as wrong."""
COARSE = 4.0
FINE = 16.0
"""Wave numbers (waves over the box's edge) that part the coarse from the middle and the middle from the fine structure."""

State = Literal["absent", "collapsed", "weakened", "wrong", "kept"]


@dataclass(frozen=True)
class SliceDiagnosis:
    """One component in one slice, over its fluid voxels; NaN where a number has no meaning.

    Attributes:
        slice: from 0.
        true_rms: RMS of the component, m/s.
        found_rms: the same of the reconstruction.
        amplitude_ratio: RMS of the reconstruction over the true RMS; 0 if the component collapsed, 1 if it keeps its amplitude.
        correlation: Pearson's, between the two.
        shrinkage: <values, true> / <true, true>: the part of the true component that the reconstruction has; 1 at best.
        coarse: power of the reconstruction over the true power in waves longer than a quarter of the box.
        middle: the same between a quarter and a sixteenth of the box.
        fine: the same in shorter waves.
    """

    slice: int
    true_rms: float
    found_rms: float
    amplitude_ratio: float
    correlation: float
    shrinkage: float
    coarse: float
    middle: float
    fine: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class Diagnosis:
    """One component of a reconstruction: the whole volume and every slice.

    Attributes:
        component: x, y or z.
        state: ``absent`` (from the true flow), ``collapsed``, ``weakened``, ``wrong`` (there, but another field) or ``kept``.
        amplitude_ratio: of the whole volume.
        correlation: of the whole volume.
        shrinkage: of the whole volume.
        slices: one a slice.
    """

    component: Axis
    state: State
    amplitude_ratio: float
    correlation: float
    shrinkage: float
    slices: tuple[SliceDiagnosis, ...]

    @property
    def verdict(self) -> str:
        """The answer in one sentence, with the numbers."""
        return verdict(self.component, self.state, self.amplitude_ratio, self.correlation)

    def to_dict(self) -> dict[str, object]:
        """Return the numbers of the whole volume, the verdict and the slices."""
        return {
            "component": self.component,
            "state": self.state,
            "amplitude_ratio": self.amplitude_ratio,
            "correlation": self.correlation,
            "shrinkage": self.shrinkage,
            "verdict": self.verdict,
            "slices": [part.to_dict() for part in self.slices],
        }


def diagnose(reconstruction: FlowField, truth: FlowField, component: Axis = "z") -> Diagnosis:
    """Return how much of ``component`` of ``truth`` is in ``reconstruction``.

    Raises:
        InvalidInputError: flows of different problems.
    """
    check_comparable(reconstruction, truth)
    number, fluid = COMPONENTS.index(component), truth.microstructure.fluid
    values, true = (np.asarray(flow.velocity[number], dtype=np.float64) * fluid for flow in (reconstruction, truth))
    slices = tuple(_of_slice(index, values[index], true[index], fluid[index]) for index in range(len(fluid)))
    speed = rms(np.asarray(truth.speed, dtype=np.float64)[fluid])
    amplitude, correlation, shrinkage = _agreement(values[fluid], true[fluid])
    absent = not rms(true[fluid]) > ABSENT * speed
    return Diagnosis(
        component, "absent" if absent else judge(amplitude, correlation), amplitude, correlation, shrinkage, slices
    )


def judge(amplitude_ratio: float, correlation: float) -> State:
    """Return the state of a component that the true flow has."""
    if amplitude_ratio < COLLAPSED:
        return "collapsed"
    if not correlation >= CORRELATED:
        return "wrong"
    return "weakened" if amplitude_ratio < WEAKENED else "kept"


def verdict(component: str, state: State, amplitude_ratio: float, correlation: float) -> str:
    """Return in words whether v``component`` collapses to zero."""
    numbers = f"its amplitude is {100 * amplitude_ratio:.0f} % of the true one, the correlation {correlation:.2f}"
    return {
        "absent": f"the original has no v{component}, so nothing can collapse",
        "collapsed": f"yes, v{component} collapses to zero: its amplitude is {100 * amplitude_ratio:.1f} % of the true one",
        "weakened": f"partly: v{component} is weakened; {numbers}",
        "wrong": f"no, but v{component} is not the true one; {numbers}",
        "kept": f"no, v{component} is kept; {numbers}",
    }[state]


def radial_spectrum(field: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the power of a slice (ny, nx) by whole wave number 0, 1, ..., waves over the slice's edge; it sums to mean square.

    Wave numbers above half the shorter edge's voxels (the corners of the spectrum) count in the last one.
    """
    ny, nx = field.shape
    power = np.abs(np.fft.fft2(field)) ** 2 / (ny * nx) ** 2
    waves = np.hypot(np.fft.fftfreq(ny, 1.0 / ny)[:, None], np.fft.fftfreq(nx, 1.0 / nx)[None])
    last = max(min(ny, nx) // 2, 1)
    bins = np.minimum(np.rint(waves).astype(int), last)
    return np.bincount(bins.ravel(), weights=power.ravel(), minlength=last + 1).astype(np.float64)


def mean_spectrum(flow: FlowField, component: Axis = "z") -> NDArray[np.float64]:
    """Return :func:`radial_spectrum` of a component, zero in the fibres, averaged over the slices, m^2/s^2."""
    field = np.asarray(flow.velocity[COMPONENTS.index(component)], dtype=np.float64) * flow.microstructure.fluid
    return np.mean([radial_spectrum(layer) for layer in field], axis=0)


def pooled(diagnoses: Sequence[Diagnosis]) -> dict[str, float]:
    """Return the median over samples of the numbers of the whole volume; NaN without a sample that has the component."""
    present = [diagnosis for diagnosis in diagnoses if diagnosis.state != "absent"]
    columns = {
        "amplitude_ratio": [diagnosis.amplitude_ratio for diagnosis in present],
        "correlation": [diagnosis.correlation for diagnosis in present],
        "shrinkage": [diagnosis.shrinkage for diagnosis in present],
    }
    return {name: float(np.median(values)) if values else float("nan") for name, values in columns.items()}


def _of_slice(index: int, values: NDArray[np.float64], true: NDArray[np.float64], fluid: NDArray[np.bool_]) -> SliceDiagnosis:
    amplitude, correlation, shrinkage = _agreement(values[fluid], true[fluid])
    power, reference = radial_spectrum(values), radial_spectrum(true)
    waves = np.arange(len(power))
    bands = (waves <= COARSE, (waves > COARSE) & (waves <= FINE), waves > FINE)
    coarse, middle, fine = (ratio(float(power[band].sum()), float(reference[band].sum())) for band in bands)
    return SliceDiagnosis(index, rms(true[fluid]), rms(values[fluid]), amplitude, correlation, shrinkage, coarse, middle, fine)


def _agreement(values: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[float, float, float]:
    """Amplitude ratio, correlation and shrinkage of two lists of voxels."""
    if not values.size:
        return float("nan"), float("nan"), float("nan")
    amplitude = ratio(rms(values), rms(true))
    shrinkage = ratio(float(values @ true), float(true @ true))
    a, b = values - values.mean(), true - true.mean()
    return amplitude, ratio(float(a @ b), float(np.sqrt((a @ a) * (b @ b)))), shrinkage
