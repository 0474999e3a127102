"""Prediction from a medium: planar flow, base flow, model, and the solver's truth if asked; table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from resinflow.core import FlowField, InvalidInputError, Microstructure
from resinflow.evaluate import ResultRow, compare, result_table
from resinflow.model import PaperPredictor, StartFlows
from resinflow.registry import BASE_NAMES, load_model, solve_base
from resinflow.stokes import planar_flow, solve
from resinflow.view import comparison_figure
from resinflow.workflows.medium import read_medium
from resinflow.workflows.options import MediumOptions, PredictionOptions
from resinflow.workflows.report import make_console, print_medium, print_plausibility, print_warnings, save_all, working


@dataclass(frozen=True)
class Prediction:
    """All flows of one medium; ``truth`` only where it was solved."""

    model: FlowField
    planar: FlowField
    base: FlowField
    base_name: str
    truth: FlowField | None

    def named(self) -> dict[str, FlowField]:
        """Return the flows by the names of the table."""
        flows = {"planar": self.planar, self.base_name: self.base, "model": self.model}
        return flows if self.truth is None else {**flows, "solver": self.truth}


def predict_medium(
    path: Path, image: MediumOptions, options: PredictionOptions, outputs: Sequence[Path], figure: Path | None
) -> None:
    """Predict the flow through the medium in ``path``, print the table, save fields and figure."""
    console = make_console()
    with working(console, "reading and segmenting"):
        micro = read_medium(path, image)
    print_medium(console, micro, path.name)
    prediction = predict_flows(micro, options, console)
    print_prediction(prediction, console)
    save_all(console, prediction.model, outputs)
    draw_prediction(prediction, figure or Path(f"{path.stem}_flow.png"), console)


def predict_flows(micro: Microstructure, options: PredictionOptions, console: Console) -> Prediction:
    """Return the predicted flow with the flows that it starts from and, if asked, the solved one."""
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
        base = solve_base(micro, base=predictor.base, axis=axis, pressure_drop=drop, viscosity=viscosity)
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
    truth = None
    if options.compare:
        with working(console, "solver"):
            truth = solve(micro, axis=axis, pressure_drop=drop, viscosity=viscosity)
    return Prediction(model, planar, base, BASE_NAMES[predictor.base], truth)


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
    print_plausibility(console, prediction.model)
    spread = prediction.model.permeability_samples
    if spread is not None and len(spread) > 1:
        console.print(
            f"spread of K between {len(spread)} samples: {100 * spread.std(ddof=1) / spread.mean():.2g} % (not calibrated)"
        )
    print_warnings(console, list(prediction.named().values()))


def draw_prediction(prediction: Prediction, path: Path, console: Console) -> None:
    """Save the figure of a prediction and say so."""
    comparison_figure(prediction.model, truth=prediction.truth, planar=prediction.planar, path=path)
    console.print(f"wrote {path}")
