"""The command `resinflow predict`: planar flow, base flow, model, and if asked refinement and truth; table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from resinflow.cli.answer import AsJson, flow_answer, medium_answer, print_flow_json
from resinflow.cli.console import (
    following_draws,
    make_console,
    print_medium,
    print_plausibility,
    print_warnings,
    save_all,
    working,
)
from resinflow.cli.drawn import (
    Drawing,
    DrawingOptions,
    answer,
    drawing_answer,
    model_of,
    read_question,
    solver_of,
    surface_deviation,
)
from resinflow.cli.options import FLAT, MediumOptions, Outputs, PredictionOptions
from resinflow.cli.outputs import check_outputs
from resinflow.cli.refined import print_refinement, print_surface_error, refinement_answer
from resinflow.flow import (
    FIGURE_SUFFIXES,
    FLOW_SUFFIXES,
    Base,
    BlockedMediumError,
    Drive,
    FlowField,
    Microstructure,
    ModelReport,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resinflow.stokes import Refinement


@dataclass(frozen=True)
class Prediction:
    """All flows of one medium; ``truth`` and ``refinement`` only where they were solved.

    ``base_kind``: the flow that the model corrects; None for a model that looks at the planar flow alone.
    """

    model: FlowField
    planar: FlowField
    base: FlowField
    base_kind: Base | None
    truth: FlowField | None
    refinement: Refinement | None = None

    @property
    def final(self) -> FlowField:
        """The flow to use: refined where it was asked for, else the model's."""
        return self.model if self.refinement is None else self.refinement.flow

    @property
    def finer_truth(self) -> bool:
        """Whether the truth was solved on a finer grid, not on the voxels themselves."""
        return self.base_kind == "grid" or self.refinement is not None

    def flows(self) -> dict[str, FlowField]:
        """Return the flows by the names of the table, which say the grid."""
        flows = {"planar": self.planar}
        if self.base_kind in _BASE_ROWS:
            flows[_BASE_ROWS[self.base_kind]] = self.base
        flows["model"] = self.model
        if self.refinement is not None:
            flows[_REFINED] = self.refinement.flow
        if self.truth is not None:
            flows[_FINER if self.finer_truth else _SOLVER] = self.truth
        return flows


_SOLVER, _FINER, _REFINED = "solver, these voxels", "solver, finer grid", "refined, finer grid"
_BASE_ROWS: dict[Base | None, str] = {"response": "response", "grid": _SOLVER}


def predict(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    options: Annotated[PredictionOptions, FLAT] = PredictionOptions(),
    drawing: Annotated[DrawingOptions, FLAT] = DrawingOptions(),
    extrude: bool = False,
    exact: bool = False,
    output: Outputs = None,
    figure: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Predict the 3-D flow through a medium with a trained model; with --compare also solve it and show the errors.

    --certify says what is certain of the prediction; --refine hands it to the solver until K is as accurate as asked. A single
    image does not show how its fibres lean: with --misalignment many media are drawn round it, and the flow through each; with
    --slice-spacing those between the slices of a stack that lie far apart.

    Example: resinflow predict micrograph.tif --pixel-size 0.47e-6 --depth 50e-6 --misalignment 5 --samples 32

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a flow field saved before (.vti, .npz, .nc, .zarr).
    extrude
        Of a single image: extrude it along z; what is done where --misalignment is not given, too.
    exact
        Solve the flow through each drawn medium in the place of predicting it.
    figure
        Where the figure goes (.png, .pdf, .svg); by default NAME_flow.png in the current folder.
    """
    figure = figure or Path(f"{medium.stem}_flow.png")
    check_outputs(*((path, FLOW_SUFFIXES) for path in output or ()), (figure, FIGURE_SUFFIXES))
    drawing.check(
        options.samples,
        ours=[("--exact", exact)],
        others=[
            ("--extrude", extrude),
            ("--compare", options.compare),
            ("--certify", options.certify),
            ("--refine", options.refine is not None),
        ],
    )
    drawing.sizes(image).check(medium)

    from resinflow.media import is_extruded
    from resinflow.stokes import check_refinement

    if options.refine is not None:
        check_refinement(options.refine)
    console = make_console(as_json=as_json)
    if drawing.asked:
        question = read_question(medium, image, drawing, console)
        surfaces = surface_deviation(question.micro, options.drive) if exact else None
        flow_of = solver_of(options.drive) if exact else model_of(options)
        plan = Drawing(drawing, options.samples, options.seed, output or [], figure)
        mixture = answer(question, plan, flow_of, console, surfaces)
        print_flow_json(as_json, medium_answer(question.micro, str(medium)), mixture, drawing_answer(question, drawing))
        return
    with working(console, "reading and segmenting"):
        micro = image.read(medium)
    about = medium_answer(micro, str(medium))
    print_medium(console, micro, medium.name, options.drive)
    if is_extruded(micro) and not extrude:
        console.print(
            "--misalignment DEGREES draws media round a single image and says what it leaves open; see docs/one-slice.md"
        )
    try:
        prediction = predict_flows(micro, options, console)
    except BlockedMediumError:
        print_flow_json(as_json, about, print_rest(micro, options.drive, console, output or []), {})
        return
    print_prediction(prediction, console)
    save_all(console, prediction.final, output or [])
    draw_prediction(prediction, figure, console, image.greys(medium, micro))
    print_flow_json(as_json, about, prediction.final, prediction_answer(prediction) if as_json else {})


def prediction_answer(prediction: Prediction) -> dict[str, Any]:
    """Return all flows by the names of the table, their errors where there is a truth, and what a refinement reached."""
    from resinflow.evaluate import compare

    truth, flows = prediction.truth, {}
    for name, flow in prediction.flows().items():
        compared = None if truth is None or flow is truth else compare(flow, truth).relative_l2.total
        flows[name] = {**flow_answer(flow), "relative_l2": compared}
    refinement = prediction.refinement
    reached = None if refinement is None else refinement_answer(refinement, _surface_part(prediction.model))
    return {"flows": flows, "refinement": reached}


def predict_flows(micro: Microstructure, options: PredictionOptions, console: Console) -> Prediction:
    """Return the predicted flow with the flows that it starts from and, if asked, the refined and the solved one.

    A model that corrects the solver's flow on the stored grid predicts that of a finer one: there, and beside a refined
    flow, the truth is solved on the finer grid; for other models on the mask itself, as in the data that they learn from.

    Raises:
        BlockedMediumError: nothing flows, so that there is no flow to predict.
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
    if start.base.permeability == 0:
        raise BlockedMediumError(f"nothing flows through the medium along {drive.axis}: K = 0.")
    with following_draws(console, f"prediction by {predictor.name}") as watch:
        model = predictor.predict(micro, drive, sampling, start=start, watch=watch)
    if options.certify:
        with working(console, "certificate"):
            model = certified(model)
    refinement = _refined(model, options, console)
    truth = None if refinement is None else refinement.truth
    if options.compare and truth is None:
        with working(console, "solver"):
            truth = _solved(micro, drive, finer=predictor.base == "grid")
    planar = _planar(micro, drive) if options.compare else start.planar
    return Prediction(model, planar, start.base, predictor.base, truth, refinement)


def _planar(micro: Microstructure, drive: Drive) -> FlowField:
    """The planar flow as a row of a comparison: what a prediction starts from is solved to a tenth of its K only."""
    from resinflow.stokes import planar_flow

    return planar_flow(micro, drive)


def _solved(micro: Microstructure, drive: Drive, *, finer: bool) -> FlowField:
    from resinflow.stokes import MASK_RULE, solve, solve_finer

    return solve_finer(micro, drive) if finer else solve(micro, drive, wall_rule=MASK_RULE)


def _refined(model: FlowField, options: PredictionOptions, console: Console) -> Refinement | None:
    from resinflow.stokes import certified, refine_flow

    if options.refine is None:
        return None
    with working(console, "refinement by the solver"):
        refinement = refine_flow(model, options.refine, compare=options.compare)
        return replace(refinement, flow=certified(refinement.flow)) if options.certify else refinement


def print_rest(micro: Microstructure, drive: Drive, console: Console, output: Sequence[Path]) -> FlowField:
    """Print, save and return that nothing flows: K = 0, as the solver says it; what a model says does not count."""
    from resinflow.stokes import rest_flow

    flow = rest_flow(micro, drive)
    print_plausibility(console, flow)
    print_warnings(console, {"solver": flow})
    console.print("nothing flows, so there is no prediction and no figure")
    save_all(console, flow, output)
    return flow


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
    _print_legend(prediction, console)
    print_plausibility(console, prediction.final)
    if prediction.refinement is None:
        _print_spread(prediction.model, console)
    else:
        print_refinement(console, prediction.refinement, _surface_part(prediction.model))
    print_certificates(console, prediction.flows())
    print_warnings(console, prediction.flows())


def _print_legend(prediction: Prediction, console: Console) -> None:
    """Print what the rows of the table are: their walls and grids."""
    console.print(
        "planar: every slice by itself, walls on the faces of the voxels also where the surfaces between them are known"
    )
    if prediction.base_kind == "grid":
        console.print(f"{_SOLVER}: walls at the fibre surfaces; the model starts from it")
    if prediction.finer_truth and prediction.truth is not None:
        console.print(f"{_FINER}: the same on a grid twice as fine (resinflow solve --refine 1e-4), averaged onto the voxels")
    elif prediction.truth is not None:
        console.print(f"{_SOLVER}: walls on the faces of the voxels (resinflow solve --wall-rule plain)")
    console.print("times: the model's comes on top of the planar flow and base that it starts from")


def _print_spread(flow: FlowField, console: Console) -> None:
    """Print how far K may be off: the calibrated interval and what it leaves out, or the bare spread of the samples."""
    spread, interval = flow.permeability_samples, flow.permeability_interval
    if interval is not None:
        low, high = interval
        console.print(f"90 % interval of K: {low:.4g} to {high:.4g} m^2 ({_parts(flow)})")
        print_surface_error(flow.microstructure, _surface_part(flow), console)
    elif spread is not None and len(spread) > 1:
        part = 100 * spread.std(ddof=1) / spread.mean()
        console.print(f"spread of K between {len(spread)} samples: {part:.2g} % (not calibrated)")


def _parts(flow: FlowField) -> str:
    """What an interval is made of: standard deviations in per cent of K."""
    parts = (flow.report.permeability_parts if isinstance(flow.report, ModelReport) else None) or {}
    numbers = ", ".join(f"{name} {100 * part:.2g} %" for name, part in parts.items())
    return f"calibrated; standard deviations: {numbers}" if "fibre surfaces" in parts else f"calibrated; of the {numbers}"


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
        "the exact flow of this problem, 1 for no flow. It weighs what differs from voxel to voxel, so that 0.9 is usual for a "
        "field whose K is right to a per cent: judge K by the bound."
    )


def _surface_part(flow: FlowField) -> float | None:
    """The relative standard deviation of K that the fibre surfaces leave; None where it is not known or there is none."""
    report = flow.report
    return (report.permeability_parts or {}).get("fibre surfaces") if isinstance(report, ModelReport) else None
