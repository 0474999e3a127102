"""The command line: all groups of commands, and how errors end. A command is a function of the module of its group."""

from __future__ import annotations

import gc
import io
import shlex
import sys

from cyclopts import App, Parameter

from resinflow.cli.console import COMMAND_LINE
from resinflow.cli.data import data_app
from resinflow.cli.demo import demo
from resinflow.cli.ending import one_line_ending
from resinflow.cli.evaluate import evaluate, reconstruct
from resinflow.cli.model import model_app
from resinflow.cli.permeability import permeability
from resinflow.cli.predict import predict
from resinflow.cli.search import search
from resinflow.cli.segment import segment
from resinflow.cli.serve import serve_app
from resinflow.cli.solve import solve, verify
from resinflow.cli.tow import tow
from resinflow.cli.train import train_app
from resinflow.cli.values import read_value
from resinflow.cli.view import plot, view

__all__ = ["app", "main"]

_COLLECTION = 50_000
"""New objects between searches for circles among them: with Python's 700 these searches take a tenth of the time of a short
command, most of it while libraries load."""

app = App(
    name="resinflow",
    help="Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.",
    version_flags=["--version"],
    default_parameter=Parameter(converter=read_value),
    suppress_keyboard_interrupt=False,  # else Ctrl-C and SIGTERM would end without a word, and alike
)
for command in (
    segment,
    solve,
    permeability,
    tow,
    predict,
    demo,
    verify,
    search,
    evaluate,
    reconstruct,
    plot,
    view,
    data_app,
    model_app,
    train_app,
):
    app.command(command)
app.command(serve_app, name="app")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; whatever happens ends in one line on stderr and a status (:mod:`resinflow.cli.ending`)."""
    gc.set_threshold(_COLLECTION, *gc.get_threshold()[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may hold what no encoding has
    words = sys.argv[1:] if arguments is None else arguments
    COMMAND_LINE.set(shlex.join(["resinflow", *words]))
    with one_line_ending(words):
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
