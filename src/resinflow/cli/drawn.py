"""`resinflow predict` on one slice: media drawn round it, the flow through each, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from resinflow.cli.console import following_draws, print_plausibility, print_warnings, save_all
from resinflow.cli.options import PredictionOptions
from resinflow.flow import FlowField, InvalidInputError, Microstructure, ModelReport

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN = 4
"""Draws in the figure."""
_TOLERANCE = 1e-4
"""Of K by the iteration: draws differ by per cents."""


@dataclass(frozen=True)
class DrawingOptions:
    """What is done about the third dimension, which a single image does not show."""

    misalignment: float | Literal["unknown"] | None = None
    """Of a single image: largest tilt of its bundle from z, degrees, or unknown (0 to 15); draws --samples media round it."""

    extrude: bool = False
    """Of a single image: extrude it along z; what is done where --misalignment is not given, too."""

    engine: Literal["prior", "oneslice"] = "prior"
    """What draws the media: the law of the random bundles (prior), or the trained model of one slice (oneslice)."""

    exact: bool = False
    """Solve the flow through each drawn medium in the place of predicting it."""

    draws: Path | None = None
    """Folder that gets the flow through each drawn medium, for ParaView (draw-00.vti, ...)."""

    def check(self, options: PredictionOptions) -> None:
        """Refuse options that do not go together; what the medium is takes its reader to know."""
        if self.misalignment is None:
            asked = (("--exact", self.exact), ("--draws", self.draws is not None), ("--engine", self.engine != "prior"))
            for name, value in asked:
                if value:
                    raise InvalidInputError(f"{name} is about drawn media; give --misalignment DEGREES (or unknown), too.")
            return
        if self.extrude:
            raise InvalidInputError("--extrude takes the fibres as straight; leave out --misalignment, or --extrude.")
        for name, value in (
            ("--compare", options.compare),
            ("--certify", options.certify),
            ("--refine", options.refine is not None),
        ):
            if value:
                raise InvalidInputError(f"{name} is about one medium, not about many that are drawn; leave out --misalignment.")
        if options.samples is not None and options.samples < 2:
            raise InvalidInputError(f"--samples is {options.samples}; needed: at least 2 drawn media, whose K can scatter.")


def predict_drawn(
    micro: Microstructure,
    options: PredictionOptions,
    drawing: DrawingOptions,
    console: Console,
    outputs: list[Path],
    figure: Path,
    name: str,
) -> FlowField:
    """Draw media round the slice of an extruded medium, find the flow through each; print, save and return what they say.

    Raises:
        InvalidInputError: a medium that is no single slice, or a number out of range.
    """
    from resinflow.evaluate import mix_flows
    from resinflow.evaluate.round_slice import DEFAULT_DRAWS
    from resinflow.media import is_extruded
    from resinflow.presets.drawing import draw_media
    from resinflow.view import drawn_media_figure

    if not is_extruded(micro):
        raise InvalidInputError(
            f"{name} has {micro.shape[0]} slices, which show the tilts; leave out --misalignment, which is for single images."
        )
    degrees = None if drawing.misalignment in (None, "unknown") else float(drawing.misalignment)
    count = DEFAULT_DRAWS if options.samples is None else options.samples
    media = draw_media(
        micro,
        depth=micro.extent[0],
        misalignment=degrees,
        samples=count,
        seed=options.seed,
        slices=micro.shape[0],
        engine=drawing.engine,
    )
    shown: list[FlowField] = []
    flow_of = _solver(options) if drawing.exact else _model(options)

    def flows() -> Iterator[FlowField]:
        values: list[float] = []
        with following_draws(console, "drawn media") as show:
            for number, medium in enumerate(media):
                flow = flow_of(medium)
                values.append(flow.permeability)
                if drawing.draws is not None:
                    flow.save(drawing.draws / f"draw-{number:02d}.vti")
                if number < _SHOWN:
                    shown.append(flow)
                show(values, count)
                yield flow

    if drawing.draws is not None:
        drawing.draws.mkdir(parents=True, exist_ok=True)
    mixture = mix_flows(flows(), seed=options.seed, surfaces=_surface_deviation(micro, options) if drawing.exact else None)
    of_slice = replace(mixture, microstructure=micro)
    print_mixture(of_slice, console, degrees)
    save_all(console, mixture, outputs)
    if drawing.draws is not None:
        console.print(f"wrote {count} flows to {drawing.draws}")
    console.print(f"wrote {drawn_media_figure(shown, figure, mixture=mixture)}")
    return of_slice


def _solver(options: PredictionOptions) -> Callable[[Microstructure], FlowField]:
    """What solves the flow through a drawn medium; at rest where nothing flows."""
    from resinflow.stokes import solve

    return lambda medium: solve(medium, options.drive, tolerance=_TOLERANCE)


def _surface_deviation(micro: Microstructure, options: PredictionOptions) -> float | None:
    """Standard deviation of ln K that the fibre surfaces of the extruded slice leave; None where no samples of them tell."""
    from resinflow.models import surface_spread
    from resinflow.stokes import solve

    if micro.displacements is None or len(micro.displacements) < 2:
        return None
    flow = solve(micro, options.drive, tolerance=_TOLERANCE, wall_rule="surface")
    return surface_spread(flow) if flow.permeability > 0 else None


def _model(options: PredictionOptions) -> Callable[[Microstructure], FlowField]:
    """What predicts the flow through a drawn medium: the model with its own number of samples; at rest where nothing flows."""
    from resinflow.evaluate.round_slice import predict_medium
    from resinflow.models import Sampling
    from resinflow.presets import load_model

    sampling = Sampling(None, options.steps, options.seed, options.sampler, options.eta)
    predictor = load_model(options.model, options.device)
    predictor.resolve(sampling)  # what the model refuses, it refuses before any flow is solved
    return lambda medium: predict_medium(medium, predictor, options.drive, sampling)


def print_mixture(flow: FlowField, console: Console, degrees: float | None) -> None:
    """Print K of drawn media with its interval and what that is made of."""
    report = flow.report
    if not isinstance(report, ModelReport) or report.permeability_interval is None:
        return
    law = "unknown, drawn from 0 to 15 degrees" if degrees is None else f"up to {degrees:g} degrees"
    console.print(
        f"{report.samples} media drawn round the slice, misalignment {law}; flows by "
        f"{'the solver' if report.model == 'solver' else f'the model {report.model}'}, {report.wall_time:.1f} s"
    )
    print_plausibility(console, flow)
    low, high = report.permeability_interval
    parts = ", ".join(f"{name} {100 * part:.2g} %" for name, part in (report.permeability_parts or {}).items())
    console.print(f"90 % interval of K: {low:.4g} to {high:.4g} m^2 (standard deviations: {parts})")
    print_warnings(console, {"drawn media": flow})
