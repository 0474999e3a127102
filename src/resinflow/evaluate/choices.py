"""Options of evaluations, reconstructions and calibrations: plain typed values. Reading them loads nothing heavy.

The docs of the fields are the help texts of the commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CalibrationOptions",
    "DeviceName",
    "EvaluationOptions",
    "FrontEndName",
    "Mode",
    "ReadSurfaces",
    "ReconstructionOptions",
    "Split",
    "Surfaces",
]

Split = Literal["train", "validation", "test", "all"]
Mode = Literal["2d", "3d", "cross"]
Surfaces = Literal["exact", "grey", "mask"]
ReadSurfaces = Literal["grey", "mask", "estimated"]
"""Those of images: read by the front end from greys or masks, or estimated from greys by the classical segmentation."""
FrontEndName = Literal["learned", "classical"]
DeviceName = Literal["auto", "cpu", "cuda"]
"""As :data:`resinflow.models.Device`, which this file cannot import: it would load torch."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The data, the rows and the sampling of an evaluation."""

    split: Split = "test"
    """Which part of the data set."""

    limit: int | None = None
    """Only the first samples of the split."""

    surfaces: Surfaces = "exact"
    """Fibre surfaces that the methods start from: those of the data set, or read from drawn micrographs or from its masks."""

    front_end: FrontEndName = "learned"
    """What reads surfaces: the shipped network, or the classical segmentation (which finds none in masks)."""

    samples: int | None = None
    """Samples a prediction; by default the model's own number."""

    sampler: tuple[Literal["ddim", "ddpm"], ...] = ()
    """How a published model samples; may be repeated, a row each; by default its own way."""

    steps: tuple[int, ...] = ()
    """Denoiser calls a sample; may be repeated, a row each; ddpm always takes all steps of its schedule."""

    eta: tuple[float, ...] = ()
    """Fresh noise of ddim, 0 to 1 (1: as much as ddpm); may be repeated, a row each."""

    seed: int = 0
    """Seed of the samples."""

    solver: bool = False
    """Also solve every sample, and measure the time of the planar and the response flow."""

    tolerance: float = 1e-6
    """Of the row solver: relative error of K at which it stops."""

    baseline: tuple[str, ...] = ()
    """NAME=DIRECTORY of another model; its prediction is a further row; may be repeated."""

    device: DeviceName = "auto"
    """Where the networks compute; auto: on a GPU if there is one."""


@dataclass(frozen=True, kw_only=True)
class ReconstructionOptions:
    """The samples of a reconstruction, and the branches of the VAE."""

    mode: Mode = "3d"
    """2d: D2D(E2D) of the planar flow; 3d: D3D(E3D) of the flow; cross: D3D(E2D), the flow from the planar flow."""

    sample: int | None = None
    """One sample by its number in the data set, counted from 0."""

    split: Split | None = None
    """All samples of a part of the data set; test if neither --sample nor --split is given."""

    limit: int | None = None
    """Only the first samples of the split."""


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """How the predictions of a calibration are made."""

    limit: int | None = None
    """Only the first samples of the split."""

    samples: int | None = None
    """Samples a prediction; by default the model's own number, which is what predictions have."""

    surfaces: tuple[ReadSurfaces, ...] = ("grey", "mask", "estimated")
    """Also calibrate for media whose fibre surfaces are read from drawn micrographs (grey) or masks, or estimated from such
    micrographs by the classical segmentation; may be repeated."""

    seed: int = 0
    """Seed of the samples."""

    device: DeviceName = "auto"
    """Where the networks compute; auto: on a GPU if there is one."""
