"""The command line: all groups of commands, and how errors end. A command is a function of the module of its group."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from resinflow.cli.data import data_app
from resinflow.cli.demo import demo
from resinflow.cli.evaluate import evaluate, reconstruct
from resinflow.cli.model import model_app
from resinflow.cli.predict import predict
from resinflow.cli.search import search
from resinflow.cli.solve import solve, verify
from resinflow.cli.train import train_app
from resinflow.cli.view import plot, view
from resinflow.flow import ResinflowError

__all__ = ["app", "main"]

_EXIT_ERROR = 2
_EXIT_INTERRUPTED = 130

app = App(
    name="resinflow",
    help="Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.",
    version_flags=["--version"],
)
for command in (solve, predict, demo, verify, search, evaluate, reconstruct, plot, view, data_app, model_app, train_app):
    app.command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a user can cause end in one line on stderr and exit status 2."""
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (ResinflowError, CycloptsError) as error:
        sys.stderr.write("error: " + " ".join(str(error).split()) + "\n")
        sys.exit(_EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written is left. Long jobs go on when the same command is run again.\n")
        sys.exit(_EXIT_INTERRUPTED)
