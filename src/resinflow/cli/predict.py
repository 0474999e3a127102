"""The command `resinflow predict`: planar flow, base flow, model, and if asked refinement and truth; table and figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from resinflow.cli.console import make_console, print_medium, print_plausibility, print_warnings, save_all, working
from resinflow.cli.options import FLAT, MediumOptions, Outputs, PredictionOptions
from resinflow.cli.outputs import check_outputs
from resinflow.flow import FLOW_SUFFIXES, Drive, FlowField, Microstructure
from resinflow.view import FIGURE_SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resinflow.stokes import Refinement


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

    def flows(self) -> dict[str, FlowField]:
        """Return the flows by the names of the table."""
        flows = {"planar": self.planar, self.base_name: self.base, "model": self.model}
        if self.refinement is not None:
            flows["refined"] = self.refinement.flow
        return flows if self.truth is None else {**flows, "solver": self.truth}


def predict(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    options: Annotated[PredictionOptions, FLAT] = PredictionOptions(),
    output: Outputs = None,
    figure: Path | None = None,
) -> None:
    """Predict the 3-D flow through a medium with a trained model; with --compare also solve it and show the errors.

    --certify says what is certain of the prediction; --refine hands it to the solver until K is as accurate as asked.

    Example: resinflow predict micrograph.tif --pixel-size 0.47e-6 --depth 50e-6 --compare

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a flow field saved before (.vti, .npz, .nc, .zarr).
    figure
        Where the figure goes (.png, .pdf, .svg); by default NAME_flow.png in the current folder.
    """
    figure = figure or Path(f"{medium.stem}_flow.png")
    check_outputs(*((path, FLOW_SUFFIXES) for path in output or ()), (figure, FIGURE_SUFFIXES))
    image.check(medium)

    from resinflow.stokes import check_refinement

    if options.refine is not None:
        check_refinement(options.refine)
    console = make_console()
    with working(console, "reading and segmenting"):
        micro = image.read(medium)
    print_medium(console, micro, medium.name)
    prediction = predict_flows(micro, options, console)
    print_prediction(prediction, console)
    save_all(console, prediction.final, output or [])
    draw_prediction(prediction, figure, console, image.greys(medium, micro))


def predict_flows(micro: Microstructure, options: PredictionOptions, console: Console) -> Prediction:
    """Return the predicted flow with the flows that it starts from and, if asked, the refined and the solved one.

    A model that corrects the solver's flow on the stored grid predicts that of a finer one: there, and beside a refined
    flow, the truth is solved on the finer grid; for other models on the mask itself.
    """
    from resinflow.models import BASE_NAMES, Sampling, start_flows
    from resinflow.presets import load_model
    from resinflow.stokes import certified

    drive = options.drive
    sampling = Sampling(options.samples, options.steps, options.seed, options.sampler, options.eta)
    predictor = load_model(options.model, options.device)
    predictor.resolve(sampling)  # what the model refuses, it refuses before any flow is solved
    base_name = BASE_NAMES[predictor.base or "planar"]
    with working(console, "planar flow of every slice" if base_name == "planar" else f"planar and {base_name} flow"):
        start = start_flows(micro, drive, predictor.base)
    with working(console, f"prediction by {predictor.name}"):
        model = predictor.predict(micro, drive, sampling, start=start)
    if options.certify:
        with working(console, "certificate"):
            model = certified(model)
    refinement = _refined(model, options, console)
    truth = None if refinement is None else refinement.truth
    if options.compare and truth is None:
        with working(console, "solver"):
            truth = _solved(micro, drive, finer=predictor.base == "grid")
    return Prediction(model, start.planar, start.base, base_name, truth, refinement)


def _solved(micro: Microstructure, drive: Drive, *, finer: bool) -> FlowField:
    from resinflow.stokes import solve, solve_finer

    return solve_finer(micro, drive) if finer else solve(micro, drive)


def _refined(model: FlowField, options: PredictionOptions, console: Console) -> Refinement | None:
    from resinflow.stokes import certified, refine_flow

    if options.refine is None:
        return None
    with working(console, "refinement by the solver"):
        refinement = refine_flow(model, options.refine, compare=options.compare)
        return replace(refinement, flow=certified(refinement.flow)) if options.certify else refinement


def print_prediction(prediction: Prediction, console: Console) -> None:
    """Print the table of all flows, the permeability in all units with its plausibility, and the warnings."""
    from resinflow.evaluate import ResultRow, compare, result_rows

    truth = prediction.truth
    rows = [
        ResultRow(
            name,
            flow.permeability,
            compare(flow, truth).relative_l2.total if truth is not None and flow is not truth else None,
            flow.report.wall_time if flow.report is not None else None,
        )
        for name, flow in prediction.flows().items()
    ]
    console.print(result_rows(rows, truth.permeability if truth is not None else None).terminal(wrapped=False))
    console.print("times: the model's comes on top of the planar flow and base that it starts from")
    print_plausibility(console, prediction.final)
    _print_spread(prediction.model, console)
    print_certificates(console, prediction.flows())
    if prediction.refinement is not None:
        print_refinement(console, prediction.refinement)
    print_warnings(console, list(prediction.flows().values()))


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


def draw_prediction(prediction: Prediction, path: Path, console: Console, image: NDArray | None = None) -> None:
    """Save the figure of a prediction, with the image (nz or 1, ny, nx) of the medium where it is at hand, and say so."""
    from resinflow.view import comparison_figure

    comparison_figure(prediction.final, truth=prediction.truth, planar=prediction.planar, path=path, image=image)
    console.print(f"wrote {path}")


def print_certificates(console: Console, flows: dict[str, FlowField]) -> None:
    """Print what is certain of the flows that carry a certificate; nothing where none does."""
    from resinflow.evaluate import TextTable

    certificates = {
        name: (flow, certificate)
        for name, flow in flows.items()
        if flow.report is not None and (certificate := flow.report.certificate) is not None
    }
    if not certificates:
        return
    rule = next(iter(certificates.values()))[1].wall_rule
    console.print(f"certificate: the discrete flow on these voxels, walls by the rule {rule}")
    header = ("its K is at least, m^2", "of the field's K", "projection changed", "momentum residual", "net outflow")
    rows = []
    for name, (flow, certificate) in certificates.items():
        bound = certificate.permeability_bound
        part = f"{100 * bound / flow.permeability:.1f} %" if flow.permeability > 0 else "-"
        changed, residual = f"{100 * certificate.correction:.2g} %", f"{certificate.residual:.3f}"
        rows.append((name, f"{bound:.4e}", part, changed, residual, f"{certificate.divergence:.1e}"))
    console.print(TextTable(("field", *header), tuple(rows)).terminal(wrapped=False))
    console.print(
        "The bound holds for any field after the projection to no net outflow and no flow through fibre faces. Residual: 0 for "
        "the exact flow of this problem, 1 for no flow."
    )


def print_refinement(console: Console, refinement: Refinement) -> None:
    """Print what the refinement reached, what it took, and, where a cold start was run, what was saved."""
    nz, ny, nx = refinement.shape
    work, cold = refinement.work, refinement.cold
    console.print(
        f"refined on {nx} x {ny} x {nz} voxels, walls by the rule surface: error of K at most "
        f"{100 * work.permeability_error:.2g} % (estimated from above) after {work.iterations} iterations, "
        f"{work.seconds:.2f} s on top of a set-up of {refinement.setup_seconds:.2f} s"
    )
    if cold is None:
        console.print("--compare also solves from a cold start and prints what the prediction saved")
        return
    console.print(
        f"from a cold start: {cold.iterations} iterations, {cold.seconds:.2f} s; the prediction saved "
        f"{_saved(work.iterations, cold.iterations)} of the iterations and {_saved(work.seconds, cold.seconds)} of the time "
        "without set-up"
    )


def _saved(spent: float, otherwise: float) -> str:
    """Part saved, in per cent; negative where more was spent."""
    return f"{100 * (1 - spent / otherwise):.0f} %" if otherwise > 0 else "nothing"
