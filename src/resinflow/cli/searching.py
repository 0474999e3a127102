"""A search from the command line: progress on a terminal, the results in files, the best five in a table."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from resinflow.cli.console import counting, make_console
from resinflow.data import data_fingerprint, open_flows
from resinflow.flow import InvalidInputError
from resinflow.presets import TrainingConfig
from resinflow.search import (
    SearchPlan,
    StageObjective,
    TrialRow,
    best_first,
    check_start,
    describe_parameters,
    describe_value,
    load_search,
    run_search,
    run_search_jobs,
)
from resinflow.train import STAGES

_SHOWN = 5


def search_and_print(
    recipe: Path, data: Path, run: Path, *, storage: str | None = None, trials: int | None = None, jobs: int = 1
) -> list[TrialRow]:
    """Run (or go on with) the search of ``recipe`` and print its best trials.

    Raises:
        InvalidInputError: recipes, data set, folder or storage that cannot be used; or every trial failed.
    """
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
    return rows


def _checked_data(plan: SearchPlan, data: Path) -> str:
    """Return the fingerprint of a data set, once it has what every trial needs: a mistake here would fail them all."""
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
    for row in rows:
        if row.finished and row.number not in shown:
            shown.add(row.number)
            end = row.error or describe_value(row)
            console.print(f"trial {row.number} {row.state}: {end}  {describe_parameters(row)}", markup=False)


def _print_end(console: Console, plan: SearchPlan, rows: list[TrialRow], folder: Path) -> None:
    """Print the best trials, what is left, and where the results are."""
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
