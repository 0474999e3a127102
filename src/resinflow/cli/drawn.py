"""Media drawn round a single image or between slices that lie far apart: the flow through each, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from resinflow.cli.console import following_draws, print_medium_line, print_plausibility, print_warnings, save_all, working
from resinflow.cli.options import MediumOptions, PredictionOptions
from resinflow.flow import (
    FLOW_SUFFIXES,
    Drive,
    FlowField,
    InvalidInputError,
    Microstructure,
    ModelReport,
    check_positive,
    format_length,
    read_length,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from resinflow.media import SliceView

DRAWS_TOLERANCE = 1e-4
"""Of K by the iteration: draws differ by per cents."""
_SHOWN = 4
"""Draws in the figure."""
_FEW = 0.8
"""Share of the fibres that are followed from slice to slice below which the slices lie too far apart."""


@dataclass(frozen=True)
class DrawingOptions:
    """What is done about what no image shows: above and below a single one, or between slices that lie far apart."""

    misalignment: float | Literal["unknown"] | None = None
    """Of a single image: largest tilt of its bundle from z, degrees, or unknown (0 to 15); draws --samples media round it."""

    waviness: float = 0.0
    """Of a single image: largest angle of the waves that its fibres follow together, degrees, beside their misalignment."""

    slice_spacing: str | None = None
    """Of a stack whose slices lie far apart: their distance, e.g. 20um, or each, 20um,35um; draws what lies between them."""

    engine: Literal["prior", "tilts", "oneslice"] = "prior"
    """What draws the media: the law of the random bundles (prior), a diffusion over the fibres that has learned it (tilts), or
    the trained model of one slice (oneslice)."""

    draws: Path | None = None
    """Folder that gets the flow through each drawn medium, for ParaView (draw-00.vti, ...)."""

    @property
    def asked(self) -> bool:
        """Whether media are drawn."""
        return self.misalignment is not None or self.slice_spacing is not None

    @property
    def degrees(self) -> float | None:
        """The misalignment; None where it is not known."""
        return None if self.misalignment in (None, "unknown") else float(self.misalignment)

    @property
    def distances(self) -> tuple[float, ...]:
        """Distances of the slices, m, from the lowest up; one where they are alike."""
        words = () if self.slice_spacing is None else self.slice_spacing.split(",")
        return tuple(read_length("distance of two slices", word.strip()) for word in words)

    def check(
        self, samples: int | None, *, ours: Iterable[tuple[str, bool]] = (), others: Iterable[tuple[str, bool]] = ()
    ) -> None:
        """Refuse options that do not go together; what the medium is takes its reader to know.

        Args:
            samples: media to draw.
            ours: options of the command that are about drawn media, and whether each is there.
            others: those that are about one medium.
        """
        if not self.asked:
            own = (
                ("--waviness", self.waviness != 0),
                ("--draws", self.draws is not None),
                ("--engine", self.engine != "prior"),
            )
            for name, there in (*ours, *own):
                if there:
                    raise InvalidInputError(f"{name} is about drawn media; give --misalignment DEGREES (or unknown), too.")
            return
        reason = "--misalignment" if self.slice_spacing is None else "--slice-spacing"
        for name, there in others:
            if there:
                raise InvalidInputError(f"{name} is about one medium, not about many that are drawn; leave out {reason}.")
        for distance in self.distances:
            check_positive("the distance of two slices", distance, "m")
        if self.slice_spacing is not None and self.engine == "oneslice":
            raise InvalidInputError("--engine oneslice draws round one slice; leave it out, or --slice-spacing.")
        if self.waviness != 0 and (self.slice_spacing is not None or self.engine == "oneslice"):
            raise InvalidInputError("--waviness is for single images and the engines prior and tilts; leave it out.")
        if samples is not None and samples < 2:
            raise InvalidInputError(f"--samples is {samples}; needed: at least 2 drawn media, whose K can scatter.")

    def sizes(self, image: MediumOptions) -> MediumOptions:
        """Return the options of an image with a depth, which the distances of slices give where it is left out."""
        return replace(image, depth=self.distances[0]) if self.distances and image.depth is None else image


@dataclass(frozen=True)
class Question:
    """What images tell of a medium that is drawn.

    Attributes:
        micro: the slices.
        view: of them, in the box that is drawn.
    """

    micro: Microstructure
    view: SliceView


def read_question(medium: Path, image: MediumOptions, drawing: DrawingOptions, console: Console) -> Question:
    """Read images, and print what they show and where they lie.

    Raises:
        InvalidInputError: a stack without --slice-spacing, a single image with it, or sizes that do not fit.
    """
    from resinflow.media import is_extruded, view_slices

    if drawing.slice_spacing is not None:
        return _between_slices(medium, image, drawing, console)
    with working(console, "reading and segmenting"):
        micro = image.read(medium)
    print_medium_line(console, micro, medium.name)
    if not is_extruded(micro):
        raise InvalidInputError(
            f"{medium.name} has {micro.shape[0]} slices, which show the tilts; leave out --misalignment, which is for single "
            "images, or say with --slice-spacing how far apart they lie."
        )
    return Question(
        micro,
        view_slices(micro, micro.extent[0], slices=micro.shape[0], misalignment=drawing.degrees, waviness=drawing.waviness),
    )


def _between_slices(medium: Path, image: MediumOptions, drawing: DrawingOptions, console: Console) -> Question:
    """What a stack tells whose slices lie far apart."""
    from resinflow.media import estimate_fibre_diameter, lay_sections, read_stack, slice_spacing_warning, view_slices

    if medium.suffix.lower() in FLOW_SUFFIXES:
        raise InvalidInputError(f"{medium.name} is a flow, whose slices have their places; leave out --slice-spacing.")
    count = len(read_stack(medium))
    sections = lay_sections(count, drawing.distances, None if image.depth is None else read_length("depth", image.depth))
    with working(console, "reading and segmenting"):
        micro = replace(image, depth=sections.spacing * count, slices=None).read(medium)
    diameter = estimate_fibre_diameter(micro)
    far = slice_spacing_warning(micro.spacing, count, diameter)
    warnings = [text for text in micro.provenance.get("warnings", ()) if text != far]
    print_medium_line(console, replace(micro, provenance={**micro.provenance, "warnings": warnings}), medium.name)
    total = sections.slices(diameter) if image.slices is None else image.slices
    view = view_slices(micro, sections.depth, heights=sections.heights, slices=total, misalignment=drawing.degrees)
    distances = " and ".join(dict.fromkeys(map(format_length, drawing.distances)))
    console.print(
        f"the {count} slices lie {distances} apart in a box {format_length(sections.depth)} deep; what is between them is "
        f"drawn: {total} slices of {format_length(view.spacing[0])}"
    )
    return Question(micro, view)


@dataclass(frozen=True)
class Drawing:
    """How media are drawn, and what goes where.

    Attributes:
        options: of the command.
        samples: media; None: 16.
        seed: of the draws.
        outputs: files of the mean.
        figure: file of the figure; None: none.
    """

    options: DrawingOptions
    samples: int | None
    seed: int
    outputs: Sequence[Path]
    figure: Path | None


def answer(
    question: Question,
    drawing: Drawing,
    flow_of: Callable[[Microstructure], FlowField],
    console: Console,
    surfaces: float | None = None,
) -> FlowField:
    """Draw media through the slices, find the flow through each; print, save and return what they say together.

    Args:
        question: the slices.
        drawing: how many media, and what is saved.
        flow_of: finds the flow through a medium.
        console: where.
        surfaces: standard deviation of ln K that the fibre surfaces leave, where the reports of the flows do not tell.
    """
    from resinflow.evaluate import BETWEEN_SLICES, mix_flows
    from resinflow.evaluate.round_slice import DEFAULT_DRAWS
    from resinflow.presets.drawing import slice_engine_named
    from resinflow.view import drawn_media_figure

    count = DEFAULT_DRAWS if drawing.samples is None else drawing.samples
    folder = drawing.options.draws
    with working(console, "drawing media"):
        media = slice_engine_named(drawing.options.engine).draw(question.view, count, drawing.seed)
    shown: list[FlowField] = []

    def flows() -> Iterator[FlowField]:
        values: list[float] = []
        with following_draws(console, "drawn media") as show:
            for number, medium in enumerate(media):
                flow = flow_of(medium)
                values.append(flow.permeability)
                if folder is not None:
                    flow.save(folder / f"draw-{number:02d}.vti")
                if number < _SHOWN:
                    shown.append(flow)
                show(values, count)
                yield flow

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    several = len(question.view.slices) > 1
    mixture = mix_flows(flows(), seed=drawing.seed, surfaces=surfaces, overlaps=BETWEEN_SLICES if several else None)
    _print_followed(media[0], console)
    of_slices = replace(mixture, microstructure=media[0] if several else question.micro)
    print_mixture(of_slices, console, question.view)
    save_all(console, mixture, drawing.outputs)
    if folder is not None:
        console.print(f"wrote {count} flows to {folder}")
    if drawing.figure is not None:
        console.print(f"wrote {drawn_media_figure(shown, drawing.figure, mixture=mixture)}")
    return of_slices


def drawing_answer(question: Question, options: DrawingOptions) -> dict[str, Any]:
    """Return what was told of the media that were drawn, as plain types, for JSON."""
    view = question.view
    return {
        "misalignment_degrees": options.misalignment,
        "waviness_degrees": options.waviness,
        "engine": options.engine,
        "known_heights_m": [float(view.heights[place]) for place in view.places],
        "depth_m": view.extent[0],
    }


def _print_followed(medium: Microstructure, console: Console) -> None:
    """Print how many fibres were followed from slice to slice, and what it means where those are few."""
    share = medium.provenance.get("followed")
    if share is None:
        return
    console.print(f"{100 * share:.0f} % of the fibres are followed from slice to slice")
    if share < _FEW:
        console.print(
            "warning: the slices lie too far apart to follow their fibres; each is drawn as if it ended before the next slice. "
            "Draw round one of them (--misalignment), or take slices that are nearer",
            style="yellow",
        )


def solver_of(drive: Drive) -> Callable[[Microstructure], FlowField]:
    """Return what solves the flow through a drawn medium; at rest where nothing flows."""
    from resinflow.stokes import solve

    return lambda medium: solve(medium, drive, tolerance=DRAWS_TOLERANCE)


def surface_deviation(micro: Microstructure, drive: Drive) -> float | None:
    """Return the standard deviation of ln K that the fibre surfaces of the slices leave; None where no samples of them tell."""
    from resinflow.models import surface_spread
    from resinflow.stokes import solve

    if micro.displacements is None or len(micro.displacements) < 2:
        return None
    flow = solve(micro, drive, tolerance=DRAWS_TOLERANCE, wall_rule="surface")
    return surface_spread(flow) if flow.permeability > 0 else None


def model_of(options: PredictionOptions) -> Callable[[Microstructure], FlowField]:
    """Return what predicts the flow through a drawn medium, with the model's own samples; at rest if nothing flows."""
    from resinflow.evaluate.round_slice import predict_medium
    from resinflow.models import Sampling
    from resinflow.presets import load_model

    sampling = Sampling(None, options.steps, options.seed, options.sampler, options.eta)
    predictor = load_model(options.model, options.device)
    predictor.resolve(sampling)  # what the model refuses, it refuses before any flow is solved
    return lambda medium: predict_medium(medium, predictor, options.drive, sampling)


def print_mixture(flow: FlowField, console: Console, view: SliceView) -> None:
    """Print K of drawn media with its interval and what that is made of."""
    report = flow.report
    if not isinstance(report, ModelReport) or report.permeability_interval is None:
        return
    degrees = view.misalignment
    law = "unknown, drawn from 0 to 15 degrees" if degrees is None else f"up to {degrees:g} degrees"
    where = "round the slice" if len(view.slices) == 1 else f"through {len(view.slices)} slices"
    console.print(
        f"{report.samples} media drawn {where}, misalignment {law}; flows by "
        f"{'the solver' if report.model == 'solver' else f'the model {report.model}'}, {report.wall_time:.1f} s"
    )
    print_plausibility(console, flow)
    low, high = report.permeability_interval
    parts = ", ".join(f"{name} {100 * part:.2g} %" for name, part in (report.permeability_parts or {}).items())
    console.print(f"90 % interval of K: {low:.4g} to {high:.4g} m^2 (standard deviations: {parts})")
    print_warnings(console, {"drawn media": flow})
