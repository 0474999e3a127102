"""The command `resinflow search`: argument parsing only, as in :mod:`resinflow.cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators


def register(app: App) -> None:
    """Add the command to ``app``."""
    app.command(search)


def search(
    recipe: Path,
    /,
    *,
    data: Path,
    run: Path,
    storage: str | None = None,
    trials: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    jobs: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1,
) -> None:
    """Search over the options of a training recipe: a grid, or suggestions of an estimator. Running again goes on.

    Parameters
    ----------
    recipe
        YAML search recipe, e.g. recipes/search-quick.yaml.
    data
        A data set with a split.
    run
        Directory of the results: results.csv, top10.csv, summary.txt, search.png.
    storage
        URL of a database that several machines share, e.g. postgresql+psycopg2://user@host/base; by default search.db in RUN.
    trials
        Begin at most so many trials now; by default all that are left.
    jobs
        Processes on this machine; they share the GPUs in turn, or the cores.
    """
    from resinflow.cli.searching import search_and_print

    search_and_print(recipe, data, run, storage=storage, trials=trials, jobs=jobs)
