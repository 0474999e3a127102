"""The demonstration: from an embedded stack of micrographs to the 3-D flow, its table and its figure."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from resinflow.cli.console import print_medium, save_all, working
from resinflow.cli.medium import read_medium
from resinflow.cli.options import MediumOptions, PredictionOptions
from resinflow.cli.predict import Prediction, draw_prediction, predict_flows, print_prediction
from resinflow.media import example_path

EXAMPLE_OPTIONS = MediumOptions(pixel_size=50e-6 / 64, depth=50e-6)


def run_demo(output: Path, console: Console) -> Prediction:
    """Segment the embedded stack, predict, solve, print the table, and write ``flow.png`` and ``flow.vti`` to ``output``."""
    with working(console, "segmentation"):
        micro = read_medium(example_path(), EXAMPLE_OPTIONS)
    print_medium(console, micro, f"embedded stack {example_path().name}")
    prediction = predict_flows(micro, PredictionOptions(compare=True), console)
    print_prediction(prediction, console)
    draw_prediction(prediction, output / "flow.png", console)
    save_all(console, prediction.model, [output / "flow.vti"])
    return prediction
