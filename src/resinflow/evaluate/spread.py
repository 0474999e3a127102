"""Calibration of the spread between samples: laws of minimum CRPS, and scores of a spread against the error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import LEVEL, REACH, InvalidInputError, RelativeSpread, Spread

FEWEST_CASES = 20
"""Smallest number of cases of a fit: two of them are then outside the 90 % interval."""
_FOLDS = 5
_GAIN = 0.01
"""The fit uses a feature only if it lowers the cross-validated CRPS by this share; a smaller gain is chance."""
_RIDGE = 1e-3
"""Pull of the coefficients of standardised features to zero, in units of the mean CRPS: keeps few cases from extremes."""

_Law = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Parameters -> deviations (cases,) and their derivatives (parameters, cases)."""


@dataclass(frozen=True)
class SpreadScores:
    """Scores of deviations against errors, of one sample or of many.

    Attributes:
        crps: mean CRPS of normal distributions with these deviations; the mean absolute error if they were zero.
        coverage: share of errors within the central 90 % interval.
        spread: RMS deviation.
        error: RMS error.
    """

    crps: float
    coverage: float
    spread: float
    error: float

    @property
    def spread_skill(self) -> float:
        """Spread over error: 1 if calibrated, below 1 if overconfident; NaN without error."""
        return self.spread / self.error if self.error > 0.0 else float("nan")


def gaussian_crps(deviations: NDArray[np.floating], errors: NDArray[np.floating]) -> NDArray[np.float64]:
    """CRPS of normal distributions with these deviations against truths that lie ``errors`` from their means.

    ``s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))`` with z = error / s (Gneiting et al. 2005, Mon. Weather Rev. 133,
    1098-1118, eq. 5); the absolute error where s is zero. Both arrays have one shape and one unit, which are the result's.
    """
    from scipy.special import ndtr

    deviations, errors = np.asarray(deviations, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    certain = deviations <= 0.0
    spread = np.where(certain, 1.0, deviations)
    z = errors / spread
    scores = spread * (z * (2.0 * ndtr(z) - 1.0) + 2.0 * _density(z) - 1.0 / np.sqrt(np.pi))
    return np.where(certain, np.abs(errors), scores)


def score_spread(deviations: NDArray[np.floating], errors: NDArray[np.floating]) -> SpreadScores:
    """Return the scores of deviations against errors of the same shape and unit.

    Raises:
        InvalidInputError: other shapes, or nothing to score.
    """
    deviations, errors = _checked(deviations, errors, fewest=1)
    return SpreadScores(
        crps=float(gaussian_crps(deviations, errors).mean()),
        coverage=float((np.abs(errors) <= REACH * deviations).mean()),
        spread=float(np.sqrt((deviations**2).mean())),
        error=float(np.sqrt((errors**2).mean())),
    )


def fit_spread(spread: NDArray[np.floating], errors: NDArray[np.floating]) -> Spread:
    """Return the law ``sqrt((factor spread)^2 + floor^2)`` whose central 90 % interval covers 90 % of the errors.

    Factor and floor are those of minimum mean CRPS; then both are multiplied by one number, so that the interval covers 90 %
    of the errors for any shape of their distribution.

    Args:
        spread: deviations between the samples, in units of the sample's field.
        errors: truth minus mean of the samples, same shape and unit.

    Raises:
        InvalidInputError: shapes that differ, too few entries, NaN, or errors that are all zero.
    """
    spread, errors = (values.ravel() for values in _checked(spread, errors))
    unit = float(np.sqrt((errors**2).mean()))
    size = float(np.sqrt((spread**2).mean()))

    def law(parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        factor, floor = parameters  # both in units that make them O(1)
        squares = np.stack([(spread / size) ** 2 if size > 0.0 else np.zeros_like(spread), np.ones_like(spread)])
        deviations = unit * np.sqrt(factor**2 * squares[0] + floor**2 + 1e-12)
        return deviations, unit**2 * np.stack([factor * squares[0], floor * squares[1]]) / deviations

    start = np.array([0.7, 0.5])
    factor, floor = np.abs(_minimised(law, start, errors / unit, unit))
    fit = Spread(float(factor * unit / size) if size > 0.0 else 0.0, float(floor * unit))
    stretch = _stretch(fit.deviation(spread), errors)
    return Spread(fit.factor * stretch, fit.floor * stretch)


def fit_relative_spread(features: NDArray[np.floating], errors: NDArray[np.floating]) -> RelativeSpread:
    """Return the log-linear law of relative errors whose central 90 % interval covers 90 % of them.

    The coefficients have minimum mean CRPS; then the constant moves so that the interval covers 90 %. The fit adds features
    one by one, the best first, as long as each lowers the cross-validated CRPS by more than one per cent. All others have the
    coefficient 0.

    Args:
        features: (cases, features), what the spread may depend on.
        errors: (cases,), truth over mean of the samples, minus 1.

    Raises:
        InvalidInputError: shapes that do not fit, too few cases, NaN, or errors that are all zero.
    """
    table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2:
        raise InvalidInputError(f"the features have shape {table.shape}; needed: (cases, features).")
    _, errors = _checked(np.ones(len(table)), errors)
    if not np.isfinite(table).all():
        raise InvalidInputError("the features hold NaN or infinite values; needed: finite numbers.")
    columns: list[int] = []
    best = _cross_validated(table[:, columns], errors)
    while rest := [place for place in range(table.shape[1]) if place not in columns]:
        scores = {place: _cross_validated(table[:, [*columns, place]], errors) for place in rest}
        place = min(scores, key=scores.__getitem__)
        if scores[place] > (1.0 - _GAIN) * best:
            break
        columns.append(place)
        best = scores[place]
    constant, slopes = _log_linear(table[:, columns], errors)
    whole = np.zeros(table.shape[1])
    whole[columns] = slopes
    constant += np.log(_stretch(np.exp(constant + table @ whole), errors))
    ranges = (tuple(map(float, edge)) for edge in (table.min(axis=0), table.max(axis=0)))
    return RelativeSpread((float(constant), *map(float, whole)), *ranges)


def _cross_validated(table: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """Return the mean CRPS over all folds, each under the law of the other folds."""
    folds = np.arange(len(errors)) % _FOLDS
    scores = np.empty(len(errors))
    for fold in range(_FOLDS):
        inside = folds == fold
        constant, slopes = _log_linear(table[~inside], errors[~inside])
        scores[inside] = gaussian_crps(np.exp(constant + table[inside] @ slopes), errors[inside])
    return float(scores.mean())


def _log_linear(table: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Constant and slopes of minimum CRPS."""
    unit = float(np.sqrt((errors**2).mean()))
    middle, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale == 0.0] = 1.0
    design = np.concatenate([np.ones((1, len(errors))), ((table - middle) / scale).T])

    def law(parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        deviations = unit * np.exp(np.clip(parameters @ design, -10.0, 10.0))
        return deviations, deviations * design

    coefficients = _minimised(law, np.zeros(len(design)), errors / unit, unit, ridge=_RIDGE)
    slopes = coefficients[1:] / scale
    return float(coefficients[0] + np.log(unit) - middle @ slopes), slopes


def _minimised(
    law: _Law, start: NDArray[np.float64], errors: NDArray[np.float64], unit: float, ridge: float = 0.0
) -> NDArray[np.float64]:
    """Parameters of minimum mean CRPS; ``errors`` in units of ``unit``, of which the law's deviations are multiples.

    d CRPS / d s = 2 phi(z) - 1 / sqrt(pi).
    """
    from scipy.optimize import minimize

    def objective(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        deviations, slopes = (values / unit for values in law(parameters))
        gradient = slopes @ (2.0 * _density(errors / deviations) - 1.0 / np.sqrt(np.pi)) / errors.size
        pull = np.concatenate([[0.0], parameters[1:]]) * ridge
        return float(gaussian_crps(deviations, errors).mean() + 0.5 * pull @ parameters), gradient + pull

    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B").x)


def _stretch(deviations: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """The factor that makes the central 90 % interval cover 90 % of the errors, rounded up as a new case needs it.

    The ceil((n + 1) 0.9)-th smallest |error| / deviation of n: an exchangeable new case lies below it with probability 0.9 at
    least (split conformal prediction; Lei et al. 2018, J. Am. Stat. Assoc. 113, 1094-1111).
    """
    ratios = np.sort(np.abs(errors) / deviations)
    place = min(int(np.ceil((ratios.size + 1) * LEVEL)), ratios.size) - 1
    return float(ratios[place]) / REACH


def _checked(
    deviations: NDArray[np.floating], errors: NDArray[np.floating], fewest: int = FEWEST_CASES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread, error = np.asarray(deviations, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if spread.shape != error.shape:
        raise InvalidInputError(
            f"there are deviations of shape {spread.shape} and errors of shape {error.shape}; needed: the same shape."
        )
    if error.size < fewest:
        raise InvalidInputError(f"there are {error.size} errors to fit a spread to; needed: at least {fewest}.")
    if not (np.isfinite(spread).all() and np.isfinite(error).all() and (spread >= 0.0).all()):
        raise InvalidInputError(
            "deviations or errors hold NaN, infinite or negative values; needed: finite, deviations from 0 up."
        )
    if fewest > 1 and not error.any():
        raise InvalidInputError(
            "all errors are zero, so that there is no spread to fit; needed: a truth beside the prediction."
        )
    return spread, error


def _density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
