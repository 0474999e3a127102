"""The command `resinflow demo`: from an embedded stack of micrographs to the 3-D flow, its table and its figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from resinflow.cli.answer import AsJson, medium_answer, print_flow_json
from resinflow.cli.console import make_console, print_medium, save_all, working
from resinflow.cli.options import OUTPUT, MediumOptions, PredictionOptions
from resinflow.cli.outputs import check_outputs
from resinflow.cli.predict import draw_prediction, predict_flows, prediction_answer, print_prediction
from resinflow.flow import FIGURE_SUFFIXES, FLOW_SUFFIXES

EXAMPLE_OPTIONS = MediumOptions(pixel_size=50e-6 / 64, depth=50e-6)


def demo(*, output: Annotated[Path, OUTPUT] = Path("demo"), as_json: AsJson = False) -> None:
    """Run the whole way on an embedded stack of micrographs: segment, predict, solve, table and figure.

    Parameters
    ----------
    output
        Folder for flow.png and flow.vti.
    """
    picture, field = output / "flow.png", output / "flow.vti"
    check_outputs((picture, FIGURE_SUFFIXES), (field, FLOW_SUFFIXES))

    from resinflow.media import example_path

    console = make_console(as_json=as_json)
    with working(console, "segmentation"):
        micro = EXAMPLE_OPTIONS.read(example_path())
    options = PredictionOptions(compare=True)
    print_medium(console, micro, f"embedded stack {example_path().name}", options.drive)
    prediction = predict_flows(micro, options, console)
    print_prediction(prediction, console)
    draw_prediction(prediction, picture, console, EXAMPLE_OPTIONS.greys(example_path(), micro))
    save_all(console, prediction.model, [field])
    if as_json:
        about = medium_answer(micro, example_path().name)
        print_flow_json(as_json, about, prediction.final, prediction_answer(prediction))
