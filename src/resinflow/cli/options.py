"""Options of the commands: plain typed values, so that reading them loads nothing heavy. Their docs are the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


@dataclass(frozen=True)
class MediumOptions:
    """How an image becomes a medium."""

    pixel_size: float | None = None
    """Edge of a pixel in m, e.g. 0.47e-6 for 0.47 um. Required for images; never guessed."""

    depth: float | None = None
    """Thickness of the whole stack in m, e.g. 50e-6. Required for images."""

    slices: int = 11
    """Slices into which a single image is extruded along z."""

    fibres: Literal["auto", "dark", "bright"] = "auto"
    """Whether the fibres are darker or brighter than the matrix; auto lets the image decide."""


@dataclass(frozen=True)
class DriveOptions:
    """What drives a solved flow."""

    axis: Literal["x", "y", "z"] = "x"
    """Direction of the pressure drop."""

    pressure_drop: float = 1e5
    """Pressure drop over the box, Pa."""

    viscosity: float = 0.1
    """Resin viscosity, Pa s."""

    boundary: Literal["pressure", "periodic"] = "pressure"
    """Inlet and outlet pressure, or periodic in all directions with a mean pressure gradient."""

    lateral: Literal["symmetry", "periodic", "no-slip"] = "symmetry"
    """The other faces of a pressure-driven box."""

    tolerance: float = 1e-6
    """Relative error at which the iteration stops."""


@dataclass(frozen=True)
class PredictionOptions:
    """What is predicted and how."""

    axis: Literal["x", "y"] = "x"
    """Direction of the pressure drop."""

    pressure_drop: float = 1e5
    """Pressure drop over the box, Pa."""

    viscosity: float = 0.1
    """Resin viscosity, Pa s."""

    model: str = "small"
    """A shipped model by name, or a model directory."""

    samples: int | None = None
    """Samples of the latent; by default the model's own number."""

    steps: int | None = None
    """Denoiser calls a sample; by default the model's own number."""

    sampler: Literal["ddim", "ddpm"] | None = None
    """How a published model samples; by default as it was converted."""

    eta: float | None = None
    """Fresh noise of ddim, 0 to 1; by default as the model was converted."""

    seed: int = 0
    """Seed of the samples."""

    compare: bool = False
    """Also solve the medium, as the truth to compare with; with --refine also from a cold start, to measure what was saved."""

    certify: bool = False
    """Also print and save what is certain of the field: a lower bound on the K of its mask, momentum residual, divergence."""

    refine: float | None = None
    """Hand the prediction to the solver, on a grid twice as fine, until K is this accurate, e.g. 0.01 for 1 %; save that."""


@dataclass(frozen=True, kw_only=True)
class TrainingFiles:
    """Where a training run reads and writes."""

    data: str
    """Data set made by: resinflow data generate; its folder or URL, or a folder in the published layout."""

    run: Path
    """Run directory; made if absent, resumed if present."""

    recipe: Path | None = None
    """YAML recipe, e.g. recipes/small.yaml; by default the preset small."""

    start: str | None = None
    """Go on from a trained model: a shipped one by name, or a model directory. Any stage may then be the first of the run."""

    devices: int | None = None
    """GPUs of this machine (processes where there is none) that share every batch; by default as the recipe says."""

    workers: int | None = None
    """Processes that read samples, per device; by default as the recipe says."""

    fold: Annotated[tuple[int, int] | None, Parameter(negative="")] = None
    """Cross-validation: the fold (from 0) that validates and the number of folds, e.g. --fold 0 5."""
