"""What a user chooses on the page, from the image to the question: one frozen value, so that every step can be undone."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import TypeAdapter, ValidationError

from resinflow.flow import Axis, Boundary, Drive, InvalidInputError, Lateral, check_image_sizes
from resinflow.media import Stroke

if TYPE_CHECKING:
    from resinflow.tow import Condition  # which would load the solver

__all__ = ["Choices", "Reading", "Task"]

Task = Literal["predict", "solve", "tensor", "tow"]
FrontEnd = Literal["learned", "classical"]
Polarity = Literal["auto", "dark", "bright"]
Walls = Literal["auto", "plain"]

SETTINGS = ("level", "roundness", "smallest", "fibre_diameter")
"""Choices that are settings of the classical segmentation, by their names there."""
_CONDITIONS: dict[tuple[Boundary, Lateral], Condition] = {
    ("periodic", "periodic"): "periodic",
    ("pressure", "symmetry"): "symmetric sides",
    ("pressure", "periodic"): "periodic sides",
    ("pressure", "no-slip"): "no-slip sides",
}
"""Names of the conditions of a tow."""
_MOST_PIXEL_ERROR, _MOST_MISALIGNMENT = 49.0, 30.0
_TOLERANCES: dict[Task, float] = {"predict": 1e-6, "solve": 1e-6, "tensor": 1e-6, "tow": 1e-4}
"""Errors of K at which the solver stops, unless another one is chosen."""
_FINER_TOLERANCE = 1e-4
_VISCOSITIES, _PRESSURES = (1e-6, 1e6), (1e-3, 1e12)
"""Pa s and Pa: those of any resin and any mould, by far."""
_LEAST_TOLERANCE, _MOST_TOLERANCE = 1e-12, 0.1
_ITERATIONS, _MOST_ITERATIONS = 300, 100_000
_SLICE = re.compile(r"\bslice-([0-9]{4})\.[a-z]+")
"""What a file of a slice is called in the folder of a session."""
_READING = (
    "image",
    "pixel_size",
    "depth",
    "slices",
    "crop",
    "front_end",
    "fibres",
    "fibre_label",
    "strokes",
    *SETTINGS,
    "slice_names",
)
"""Choices on which the medium depends."""


class Reading(TypedDict):
    """The options by which an image becomes a medium, as :func:`resinflow.read_medium` takes them; settings apart."""

    front_end: FrontEnd
    pixel_size: str
    depth: str
    slices: int | None
    fibres: Polarity
    crop: str | None
    fibre_label: str | None


@dataclass(frozen=True)
class Choices:
    """Everything that is chosen on the page.

    Attributes:
        image: path of the image or of the folder of slices inside the session's folder; empty before there is one.
        name: of the image as its user knows it.
        slice_names: of the files of its slices, likewise; empty where it is one file.
        pixel_size: edge of a pixel with its unit, e.g. ``0.47um``; empty before it is known.
        depth: thickness of the stack with its unit; empty before it is known.
        slices: into which a single image is extruded; None: the library's default.
        crop: part of the image, ``X0:X1,Y0:Y1`` in pixels; None: all of it.
        front_end: what finds the fibre surfaces.
        fibres: whether they are darker or brighter than the matrix.
        fibre_label: values of the fibres in a label image, ``5,6`` or ``nonzero``; None: it holds no labels.
        level: grey of the outline, of the classical front end, as its other settings below; None: its default.
        roundness: radius of the disc that fits everywhere inside an outline, as a share of the section's.
        smallest: radius below which an object is no fibre, as a share of the typical one.
        fibre_diameter: pixels.
        strokes: of a brush, that add fibres or erase them.
        axis: of the flow.
        viscosity: Pa s.
        pressure_drop: Pa.
        boundary: condition at inlet and outlet.
        lateral: condition on the other faces.
        task: what is computed.
        finer: whether the solver works on a grid twice as fine.
        tolerance: relative error of K at which the solver stops; None: the usual one of the task.
        max_iterations: after which the solver of a flow or a tensor gives up; None: the usual ones.
        runs: of the solver, each of which goes on from the field that the one before left at its last iteration.
        wall_rule: whether the walls lie at the fibre surfaces where they are known (``auto``), or at the faces of the pixels.
        pixel_error: standard deviation of the pixel size, per cent, for the budget of a tow.
        draws: whether a prediction for a single image is that of media drawn round it, whose fibres lean.
        misalignment: largest tilt of the fibre bundle, degrees, for these draws and for the budget of a tow; None: not known.
    """

    image: str = ""
    name: str = ""
    pixel_size: str = ""
    depth: str = ""
    slices: int | None = None
    crop: str | None = None
    front_end: FrontEnd = "learned"
    fibres: Polarity = "auto"
    fibre_label: str | None = None
    level: float | None = None
    roundness: float | None = None
    smallest: float | None = None
    fibre_diameter: float | None = None
    slice_names: tuple[str, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    axis: Axis = "x"
    viscosity: float = 0.1
    pressure_drop: float = 1e5
    boundary: Boundary = "pressure"
    lateral: Lateral = "symmetry"
    task: Task = "predict"
    finer: bool = False
    tolerance: float | None = None
    max_iterations: int | None = None
    runs: int = 1
    wall_rule: Walls = "auto"
    draws: bool = False
    pixel_error: float = 0.0
    misalignment: float | None = None

    @property
    def drive(self) -> Drive:
        """What drives the flow; a prediction knows one boundary condition alone.

        Raises:
            InvalidInputError: a pressure drop or viscosity that is not positive.
        """
        if self.task == "predict":
            return Drive(self.axis, self.pressure_drop, self.viscosity)
        lateral = "periodic" if self.boundary == "periodic" else self.lateral
        return Drive(self.axis, self.pressure_drop, self.viscosity, self.boundary, lateral)

    @property
    def is_finer(self) -> bool:
        """Whether a grid twice as fine is solved, whose walls lie at the fibre surfaces always."""
        return self.task == "solve" and self.finer

    @property
    def accuracy(self) -> float:
        """The relative error of K at which the solver stops."""
        usual = _FINER_TOLERANCE if self.is_finer else _TOLERANCES[self.task]
        return usual if self.tolerance is None else self.tolerance

    @property
    def iterations(self) -> int:
        """The iterations after which the solver gives up."""
        return _ITERATIONS if self.max_iterations is None else self.max_iterations

    @property
    def walls(self) -> Walls:
        """Where the walls of the flow that is solved are."""
        return "auto" if self.is_finer else self.wall_rule

    @property
    def condition(self) -> Condition:
        """The condition on the sides, as a tow names it."""
        return _CONDITIONS[self.drive.boundary, self.drive.lateral]

    @property
    def pixel_deviation(self) -> float:
        """The relative standard deviation of the pixel size, with the digits that the commands show."""
        return round(self.pixel_error, 6) / 100

    @property
    def reading(self) -> Reading:
        """The options by which the image becomes a medium."""
        return Reading(
            front_end=self.front_end,
            pixel_size=self.pixel_size,
            depth=self.depth,
            slices=self.slices,
            fibres=self.fibres,
            crop=self.crop,
            fibre_label=self.fibre_label,
        )

    @property
    def settings(self) -> dict[str, float]:
        """The settings of the classical segmentation that were chosen; empty for the learned front end."""
        values = {name: value for name, value in asdict(self).items() if name in SETTINGS and value is not None}
        return values if self.front_end == "classical" else {}

    @property
    def has_sizes(self) -> bool:
        """Whether there is an image with a scale."""
        return bool(self.image and self.pixel_size and self.depth)

    def with_its_name(self, line: str) -> str:
        """Return a line with the names of the image and its slices as their user knows them in the place of those here."""
        named = line.replace(PurePath(self.image).name, self.name) if self.image else line
        return _SLICE.sub(lambda match: self._slice_name(match), named)

    def _slice_name(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return self.slice_names[number] if number < len(self.slice_names) else match[0]

    @property
    def reading_key(self) -> tuple[Any, ...]:
        """What the medium depends on."""
        return tuple(vars(self)[name] for name in _READING)

    def reads_alike(self, other: Choices) -> bool:
        """Return whether the image becomes the same medium under other choices."""
        return self.reading_key == other.reading_key

    @property
    def question(self) -> dict[str, Any]:
        """What is asked of the medium, by the names of the choices."""
        return {name: value for name, value in vars(self).items() if name not in (*_READING, "name", "runs")}

    @property
    def unpainted(self) -> Choices:
        """The choices without strokes."""
        return replace(self, strokes=())

    def changed(self, **values: Any) -> Choices:
        """Return the choices with other values.

        Raises:
            InvalidInputError: a value that cannot be, in one line.
        """
        candidate = self.of({**asdict(self), **values})
        if "pixel_size" in values and candidate.pixel_size:
            check_image_sizes(candidate.pixel_size, "50um")
        if "depth" in values and candidate.depth:
            check_image_sizes("1um", candidate.depth)
        _ = candidate.drive  # refuses what is not positive
        for name, value, unit, (least, most) in (
            ("viscosity", candidate.viscosity, "Pa s", _VISCOSITIES),
            ("pressure drop", candidate.pressure_drop, "Pa", _PRESSURES),
        ):
            if not least <= value <= most:
                raise InvalidInputError(f"the {name} is {value:g} {unit}; needed: {least:g} to {most:g} {unit}.")
        candidate._check_tow()
        candidate._check_accuracy()
        return candidate

    def _check_accuracy(self) -> None:
        if not _LEAST_TOLERANCE <= self.accuracy <= _MOST_TOLERANCE:
            raise InvalidInputError(
                f"the solver shall stop at an error of K of {self.accuracy:g}; needed: {_LEAST_TOLERANCE:g} to "
                f"{_MOST_TOLERANCE:g}, e.g. 1e-4 for 0.01 %."
            )
        if not 1 <= self.iterations <= _MOST_ITERATIONS:
            raise InvalidInputError(f"the most iterations are {self.iterations}; needed: 1 to {_MOST_ITERATIONS}.")

    def _check_tow(self) -> None:
        if not 0 <= self.pixel_error <= _MOST_PIXEL_ERROR:
            raise InvalidInputError(
                f"the pixel size is known to ±{self.pixel_error:g} %; needed: 0 to {_MOST_PIXEL_ERROR:g} %, e.g. 1."
            )
        if self.misalignment is not None and not 0 <= self.misalignment <= _MOST_MISALIGNMENT:
            raise InvalidInputError(f"the misalignment is {self.misalignment:g} degrees; needed: 0 to {_MOST_MISALIGNMENT:g}.")

    def started(self, image: str, name: str, **values: Any) -> Choices:
        """Return the choices for another image: the question stays, all that belongs to the image before goes."""
        kept = {field.name: field.default for field in fields(self) if field.name in _READING}
        return replace(self, **{**kept, "image": image, "name": name, **values})

    @staticmethod
    def of(values: dict[str, Any]) -> Choices:
        """Return choices from plain values, as a file or a worker's task holds them.

        Raises:
            InvalidInputError: a value of another kind.
        """
        try:
            return TypeAdapter(Choices).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InvalidInputError(f"{place} is {first.get('input')!r}; needed: {first['msg'].lower()}.") from None
