"""Groups of options of the commands. The docs of the fields are the help texts; reading them loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from resinflow.flow import FLOW_SUFFIXES, Drive, InvalidInputError, address_of, check_image_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resinflow.data import FlowSource
    from resinflow.flow import Microstructure
    from resinflow.media import SegmentationSettings

FLAT = Parameter(name="*", negative_iterable="")
"""The fields of a group are options of their own."""
OUTPUT = Parameter(name=["--output", "-o"])
Outputs = Annotated[
    list[Path] | None,
    Parameter(
        name=["--output", "-o"], help="Save the field: .vti (ParaView), .npz, .nc or .zarr; may be repeated.", negative=""
    ),
]


@dataclass(frozen=True)
class MediumOptions:
    """How an image becomes a medium."""

    pixel_size: float | str | None = None
    """Edge of a pixel, e.g. 0.47um or 0.47e-6 (m); tag: the resolution tag of the file. Required for images; never guessed."""

    depth: float | str | None = None
    """Thickness of the whole stack, e.g. 50um or 50e-6 (m). Required for images."""

    slices: int | None = None
    """Slices into which a single image is extruded along z, 11 by default; a stack has its own, but for --slice-spacing."""

    fibres: Literal["auto", "dark", "bright"] = "auto"
    """Whether the fibres are darker or brighter than the matrix; auto lets the image decide."""

    fibre_label: str | None = None
    """Value of the fibres in a label image or mask, e.g. 1, several as 1,3, or nonzero."""

    crop: str | None = None
    """Part of the image to use, X0:X1,Y0:Y1 in pixels from the upper left corner, the ends not included."""

    roi: str | None = None
    """The same, or a mask image of the region of interest, whose largest rectangle is used."""

    front_end: Literal["learned", "classical"] = "learned"
    """What finds the fibre surfaces: the shipped network in greys and masks, or thresholds in greys and nothing in masks."""

    edits: Path | None = None
    """Strokes of a brush that add fibres or erase them, as the app saves them (.json)."""

    def check(self, path: Path) -> None:
        """Refuse a medium that is not there or an image without sizes; nothing heavy is loaded where nothing is wrong."""
        if not address_of(path)[0].exists():
            raise InvalidInputError(f"{path} does not exist; needed: an image, a stack or a saved flow field.")
        if self.edits is not None and not self.edits.is_file():
            raise InvalidInputError(f"{self.edits} does not exist; needed: a file of strokes (.json), as the app saves it.")
        if path.suffix.lower() not in FLOW_SUFFIXES:
            self._check_sizes(path)

    def _check_sizes(self, path: Path) -> None:
        """Refuse sizes that are missing or impossible; what a file's tag says of a missing one takes its reader to know."""
        if self.pixel_size is None and path.suffix.lower() != ".npy":
            from resinflow.media import checked_sizes

            checked_sizes(None, self.depth, path)
        check_image_sizes(1e-6 if self.pixel_size == "tag" else self.pixel_size, self.depth)

    def greys(self, path: Path, micro: Microstructure, place: int | None = None) -> NDArray | None:
        """Return the image (nz or 1, ny, nx) that ``micro`` was read from, or its slice ``place`` alone.

        None for a flow field, or where pixels differ.
        """
        from resinflow.media import read_part

        if path.suffix.lower() in FLOW_SUFFIXES:
            return None
        stack = read_part(path, micro.provenance.get("region"), place)
        return stack if stack.shape[1:] == micro.shape[1:] and len(stack) in (1, micro.shape[0]) else None

    def read(self, path: Path, segmentation: SegmentationSettings | None = None) -> Microstructure:
        """Return the medium in ``path``; ``segmentation`` says how greys are segmented, its polarity apart."""
        from resinflow.media import load_strokes, painted
        from resinflow.presets.surface.reading import read_medium

        strokes = () if self.edits is None else load_strokes(self.edits)
        micro = read_medium(
            path,
            front_end="classical" if segmentation is not None else self.front_end,
            pixel_size=self.pixel_size,
            depth=self.depth,
            slices=self.slices,
            fibres=self.fibres,
            segmentation=segmentation,
            fibre_label=self.fibre_label,
            crop=self.crop,
            roi=self.roi,
        )
        return painted(micro, strokes)


@dataclass(frozen=True)
class SolverOptions:
    """What drives a solved flow, and how exactly it is solved."""

    axis: Literal["x", "y", "z"] = Drive.axis
    """Direction of the pressure drop."""

    pressure_drop: float = Drive.pressure_drop
    """Pressure drop over the box, Pa."""

    viscosity: float = Drive.viscosity
    """Resin viscosity, Pa s."""

    boundary: Literal["pressure", "periodic"] = Drive.boundary
    """Inlet and outlet pressure, or periodic in all directions with a mean pressure gradient."""

    lateral: Literal["symmetry", "periodic", "no-slip"] | None = None
    """The other faces of a pressure-driven box; symmetry by default."""

    tolerance: float | None = None
    """Relative error of K at which the iteration stops; by default 1e-6."""

    max_iterations: int | None = None
    """Most iterations before the solver gives up; by default 300."""

    wall_rule: Literal["auto", "plain", "gap", "surface"] = "auto"
    """Where the walls are: surface (the fibre surfaces that a grey image tells), plain or gap (the faces of the voxels)."""

    refine: float | None = None
    """Solve on a grid twice as fine, walls at the fibre surfaces, until K is this accurate, e.g. 1e-4; replaces --tolerance."""

    @property
    def drive(self) -> Drive:
        """What drives the flow."""
        if self.boundary == "periodic" and self.lateral not in (None, "periodic"):
            raise InvalidInputError(
                f"--lateral {self.lateral} goes with --boundary pressure; a periodic box is periodic on all sides. "
                "Leave --lateral out."
            )
        lateral = Drive.lateral if self.lateral is None else self.lateral
        return Drive(self.axis, self.pressure_drop, self.viscosity, self.boundary, lateral)


@dataclass(frozen=True)
class PredictionOptions:
    """What is predicted and how."""

    axis: Literal["x", "y"] = "x"
    """Direction of the pressure drop."""

    pressure_drop: float = Drive.pressure_drop
    """Pressure drop over the box, Pa."""

    viscosity: float = Drive.viscosity
    """Resin viscosity, Pa s."""

    model: str = "small"
    """A shipped model by name, a model directory, or a run."""

    samples: int | None = None
    """Samples of the latent; by default the model's own number. With --misalignment or --slice-spacing: drawn media, 16."""

    steps: int | None = None
    """Denoiser calls a sample; by default the model's own number."""

    sampler: Literal["ddim", "ddpm"] | None = None
    """How a published model samples; by default as it was converted."""

    eta: float | None = None
    """Fresh noise of ddim, 0 to 1; by default as the model was converted."""

    seed: int = 0
    """Seed of the samples."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks compute; auto: on a GPU if there is one."""

    compare: bool = False
    """Also solve the medium, as the truth to compare with; with --refine also from a cold start, to measure what was saved."""

    certify: bool = False
    """Also print and save what is certain of the field: a lower bound on the K of its mask, momentum residual, divergence."""

    refine: float | None = None
    """Hand the prediction to the solver, on a grid twice as fine, until K is this accurate, e.g. 0.01 for 1 %; save that."""

    @property
    def drive(self) -> Drive:
        """What drives the flow."""
        return Drive(self.axis, self.pressure_drop, self.viscosity)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """A data set, and the units of a published one."""

    data: Path
    """A data set: a store (.zarr) or a folder in the published layout."""

    pressure_drop: float | None = None
    """Pa; only for a published folder that does not say it."""

    viscosity: float | None = None
    """Pa s, likewise."""

    density: float | None = None
    """kg/m^3, likewise, if its pressure is kinematic."""

    def open(self) -> FlowSource:
        """Open the data set, in either layout."""
        from resinflow.data import open_flows

        return open_flows(self.data, pressure_drop=self.pressure_drop, viscosity=self.viscosity, density=self.density)


@dataclass(frozen=True, kw_only=True)
class DrawnTraining:
    """Where a training run that draws its own media reads and writes."""

    run: Path
    """Run directory; made if absent, resumed if present."""

    recipe: Path | None = None
    """YAML recipe, e.g. recipes/surface.yaml or recipes/tilts.yaml; by default that of the run, else the preset's own."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network is trained; auto: on a GPU if there is one."""

    workers: int | None = None
    """Processes that draw media; by default as the recipe says."""


@dataclass(frozen=True, kw_only=True)
class TrainingFiles:
    """Where a training run reads and writes."""

    data: str
    """Data set made by: resinflow data generate; its folder or URL, or a folder in the published layout."""

    run: Path
    """Run directory; made if absent, resumed if present."""

    recipe: Path | None = None
    """YAML recipe, e.g. recipes/small.yaml; by default that of the run or of the model to start from, else the preset small."""

    start: str | None = None
    """Go on from a trained model: a shipped one by name, a model directory, or a run. Any stage may then be the first."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks are trained; auto: on a GPU if there is one."""

    devices: int | None = None
    """GPUs of this machine (processes where there is none) that share every batch; by default as the recipe says."""

    workers: int | None = None
    """Processes that read samples, per device; by default as the recipe says."""

    fold: Annotated[tuple[int, int] | None, Parameter(negative="")] = None
    """Cross-validation: the fold (from 0) that validates and the number of folds, e.g. --fold 0 5."""
