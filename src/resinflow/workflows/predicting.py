"""Prediction from a medium: planar flow, base flow, model, and if asked refinement and truth; table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from resinflow.core import FlowField, InvalidInputError, Microstructure
from resinflow.evaluate import ResultRow, compare, result_table
from resinflow.model import PaperPredictor, StartFlows
from resinflow.registry import BASE_NAMES, load_model, solve_base
from resinflow.stokes import planar_flow, solve
from resinflow.stokes.problem import Drive
from resinflow.view import comparison_figure
from resinflow.workflows.medium import read_medium
from resinflow.workflows.options import MediumOptions, PredictionOptions
from resinflow.workflows.report import make_console, print_medium, print_plausibility, print_warnings, save_all, working
from resinflow.workflows.trust import (
    Refinement,
    certified,
    check_refinement,
    print_certificates,
    print_refinement,
    refine_flow,
    solve_finer,
)


@dataclass(frozen=True)
class Prediction:
    """All flows of one medium; ``truth`` and ``refinement`` only where they were solved."""

    model: FlowField
    planar: FlowField
    base: FlowField
    base_name: str
    truth: FlowField | None
    refinement: Refinement | None = None

    @property
    def final(self) -> FlowField:
        """The flow to use: refined where it was asked for, else the model's."""
        return self.model if self.refinement is None else self.refinement.flow

    def named(self) -> dict[str, FlowField]:
        """Return the flows by the names of the table."""
        flows = {"planar": self.planar, self.base_name: self.base, "model": self.model}
        if self.refinement is not None:
            flows["refined"] = self.refinement.flow
        return flows if self.truth is None else {**flows, "solver": self.truth}


def predict_medium(
    path: Path, image: MediumOptions, options: PredictionOptions, outputs: Sequence[Path], figure: Path | None
) -> None:
    """Predict the flow through the medium in ``path``, print the table, save fields and figure (of the refined flow if asked).

    Raises:
        InvalidInputError: an unreadable medium, options that do not fit the model, or a tolerance out of range.
    """
    if options.refine is not None:
        check_refinement(options.refine)
    console = make_console()
    with working(console, "reading and segmenting"):
        micro = read_medium(path, image)
    print_medium(console, micro, path.name)
    prediction = predict_flows(micro, options, console)
    print_prediction(prediction, console)
    save_all(console, prediction.final, outputs)
    draw_prediction(prediction, figure or Path(f"{path.stem}_flow.png"), console)


def predict_flows(micro: Microstructure, options: PredictionOptions, console: Console) -> Prediction:
    """Return the predicted flow with the flows that it starts from and, if asked, the refined and the solved one.

    A model that corrects the solver's flow on the stored grid predicts that of a finer one: there, and beside a refined
    flow, the truth is solved on the finer grid; for other models on the mask itself.
    """
    axis, drop, viscosity = options.axis, options.pressure_drop, options.viscosity
    predictor = load_model(options.model)
    sampling = {name: value for name in ("sampler", "eta") if (value := getattr(options, name)) is not None}
    if sampling and not isinstance(predictor, PaperPredictor):
        raise InvalidInputError(
            f"{' and '.join(sampling)} given, but {predictor.name} has no choice of it; needed: a model of the published kind."
        )
    with working(console, "planar flow of every slice"):
        planar = planar_flow(micro, axis=axis, pressure_drop=drop, viscosity=viscosity)
    with working(console, BASE_NAMES[predictor.base]):
        base = (
            planar
            if predictor.base == "planar"
            else solve_base(micro, base=predictor.base, axis=axis, pressure_drop=drop, viscosity=viscosity)
        )
    with working(console, f"prediction by {predictor.name}"):
        model = predictor.predict(
            micro,
            axis=axis,
            pressure_drop=drop,
            viscosity=viscosity,
            samples=options.samples,
            steps=options.steps,
            seed=options.seed,
            start=StartFlows(planar, base),
            **sampling,
        )
    if options.certify:
        with working(console, "certificate"):
            model = certified(model)
    refinement = _refined(model, options, console)
    truth = None if refinement is None else refinement.truth
    if options.compare and truth is None:
        with working(console, "solver"):
            truth = _solved(micro, Drive(axis, drop, viscosity), finer=predictor.base == "grid")
    return Prediction(model, planar, base, BASE_NAMES[predictor.base], truth, refinement)


def _solved(micro: Microstructure, drive: Drive, *, finer: bool) -> FlowField:
    if finer:
        return solve_finer(micro, drive)
    return solve(micro, axis=drive.axis, pressure_drop=drive.pressure_drop, viscosity=drive.viscosity)


def _refined(model: FlowField, options: PredictionOptions, console: Console) -> Refinement | None:
    if options.refine is None:
        return None
    with working(console, "refinement by the solver"):
        refinement = refine_flow(model, options.refine, compare=options.compare)
        return replace(refinement, flow=certified(refinement.flow)) if options.certify else refinement


def print_prediction(prediction: Prediction, console: Console) -> None:
    """Print the table of all flows, the permeability in all units with its plausibility, and the warnings."""
    truth = prediction.truth
    rows = [
        ResultRow(
            name,
            flow.permeability,
            compare(flow, truth).relative_l2.total if truth is not None and flow is not truth else None,
            flow.report.wall_time if flow.report is not None else None,
        )
        for name, flow in prediction.named().items()
    ]
    console.print(result_table(rows, truth.permeability if truth is not None else None))
    console.print("times: the model's comes on top of the planar flow and base that it starts from")
    print_plausibility(console, prediction.final)
    _print_spread(prediction.model, console)
    print_certificates(console, prediction.named())
    if prediction.refinement is not None:
        print_refinement(console, prediction.refinement)
    print_warnings(console, list(prediction.named().values()))


def _print_spread(flow: FlowField, console: Console) -> None:
    """Print how far K may be off: the calibrated interval, or the bare spread of the samples."""
    spread, interval = flow.permeability_samples, flow.permeability_interval
    if interval is not None:
        low, high = interval
        console.print(f"90 % interval of K: {low:.4g} to {high:.4g} m^2 (calibrated on the validation split)")
        if flow.microstructure.signed_distance is None:
            console.print(
                "the fibre surfaces are estimated from the mask, which the interval does not include: about 8 % of K at 64 "
                "pixels to 50 um"
            )
    elif spread is not None and len(spread) > 1:
        part = 100 * spread.std(ddof=1) / spread.mean()
        console.print(f"spread of K between {len(spread)} samples: {part:.2g} % (not calibrated)")


def draw_prediction(prediction: Prediction, path: Path, console: Console) -> None:
    """Save the figure of a prediction and say so."""
    comparison_figure(prediction.final, truth=prediction.truth, planar=prediction.planar, path=path)
    console.print(f"wrote {path}")
