"""Options of `model calibrate`: plain typed values, reading them loads nothing heavy. Their docs are the help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """How the predictions of a calibration are made."""

    samples: int | None = None
    """Samples a prediction; by default the model's own number, which is what predictions have."""

    seed: int = 0
    """Seed of the samples."""
