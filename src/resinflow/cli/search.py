"""The command `resinflow search`: progress on a terminal, the results in files, the best five in a table."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table

from resinflow.cli.console import counting, make_console
from resinflow.flow import InvalidInputError

if TYPE_CHECKING:
    from resinflow.search import SearchPlan, TrialRow

_SHOWN = 5


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
    from resinflow.search import StageObjective, check_start, load_search, run_search, run_search_jobs
    from resinflow.train import STAGES

    plan = load_search(recipe)
    fingerprint = _checked_data(plan, data)
    if plan.start is not None:
        for stage in STAGES[: STAGES.index(plan.config.stage)]:
            check_start(plan.start, stage)
    objective = StageObjective(str(data), plan.start, plan.config.keep_weights)
    console = make_console()
    console.file = sys.stdout  # training's own output is sent to files by putting others in the place of sys.stdout
    console.print(_describe(plan))
    with counting(console, "trials") as show:
        shown: set[int] = set()

        def watch(rows: list[TrialRow]) -> None:
            show(sum(row.finished for row in rows), plan.size)
            if console.is_terminal:
                _print_new(console, rows, shown)

        search = run_search if jobs == 1 else partial(run_search_jobs, jobs=jobs)
        rows = search(plan, objective, run, storage=storage, trials=trials, data=fingerprint, watch=watch)
    _print_end(console, plan, rows, run)


def _checked_data(plan: SearchPlan, data: Path) -> str:
    """Return the fingerprint of a data set, once it has what every trial needs: a mistake here would fail them all."""
    from resinflow.data import data_fingerprint, open_flows
    from resinflow.presets import TrainingConfig

    source = open_flows(data)
    source.indices("train")
    if isinstance(plan.base, TrainingConfig):  # the published system measures its own factors
        dict(source.statistics)
    return data_fingerprint(source)


def _describe(plan: SearchPlan) -> str:
    config = plan.config
    folds = f", {config.folds} folds each" if config.folds > 1 else ""
    keys = ", ".join(config.space)
    return f"search {config.name}: {plan.size} trials of stage {config.stage} ({config.mode}{folds}) over {keys}"


def _print_new(console: Console, rows: list[TrialRow], shown: set[int]) -> None:
    """Print a line for every trial that has finished since the last look."""
    from resinflow.search import describe_parameters, describe_value

    for row in rows:
        if row.finished and row.number not in shown:
            shown.add(row.number)
            end = row.error or describe_value(row)
            console.print(f"trial {row.number} {row.state}: {end}  {describe_parameters(row)}", markup=False)


def _print_end(console: Console, plan: SearchPlan, rows: list[TrialRow], folder: Path) -> None:
    """Print the best trials, what is left, and where the results are."""
    from resinflow.search import best_first

    done = sum(row.finished for row in rows)
    failed = [row for row in rows if row.state == "failed"]
    best = best_first(rows)[:_SHOWN]
    if best:
        console.print(_table(plan, best))
    counts = [f"{done} of {plan.size} trials finished"]
    counts += [f"{sum(row.state == 'pruned' for row in rows)} pruned"] if plan.config.pruner != "none" else []
    counts += [f"{len(failed)} failed"] if failed else []
    console.print("; ".join(counts) + f"; results: {folder}/results.csv, top10.csv, summary.txt, search.png", markup=False)
    if done < plan.size:
        console.print("run the same command again to go on")
    if failed and not best and done == plan.size:
        raise InvalidInputError(
            f"every trial failed, the first with {failed[0].error}; needed: a recipe that trains; correct it and search in "
            "another directory."
        )


def _table(plan: SearchPlan, best: list[TrialRow]) -> Table:
    from resinflow.search import describe_value

    table = Table(title=f"best {len(best)} of the search {plan.config.name}")
    table.add_column("trial", justify="right")
    table.add_column("validation loss", justify="right", no_wrap=True)
    for axis in plan.axes:
        table.add_column(axis.key, justify="right", overflow="fold")
    for row in best:
        values = (row.parameters[axis.key] for axis in plan.axes)
        texts = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
        table.add_row(str(row.number), describe_value(row), *texts)
    return table
