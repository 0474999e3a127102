"""The command `resinflow search`: progress on a terminal, the results in files, the best five in a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import counting, make_console
from resinflow.cli.outputs import check_outputs
from resinflow.flow import InvalidInputError

if TYPE_CHECKING:
    from resinflow.evaluate import TextTable
    from resinflow.search import SearchPlan, TrialRow

_BEST = 5


def search(
    recipe: Path,
    /,
    *,
    data: Path,
    run: Path,
    storage: str | None = None,
    trials: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    jobs: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    as_json: AsJson = False,
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
    device
        Where the networks are trained; auto: on a GPU if there is one.
    """
    check_outputs((run, ()))

    from resinflow.search import best_first, load_search, search_training

    plan = load_search(recipe)
    console = make_console(as_json=as_json)
    # training redirects sys.stdout and sys.stderr to files; the progress must not go there
    console.file = sys.stderr if as_json else sys.stdout
    folds = f", {plan.recipe.folds} folds each" if plan.recipe.folds > 1 else ""
    console.print(
        f"search {plan.recipe.name}: {plan.size} trials of stage {plan.recipe.stage} ({plan.recipe.mode}{folds}) "
        f"over {', '.join(plan.axes)}"
    )
    printed: set[int] = set()
    with counting(console, "trials") as show:

        def watch(rows: list[TrialRow]) -> None:
            show(sum(row.finished for row in rows), plan.size)
            for row in rows if console.is_terminal else ():
                if row.finished and row.number not in printed:
                    printed.add(row.number)
                    end = row.error or row.value_text
                    console.print(f"trial {row.number} {row.state}: {end}  {row.parameter_text}", markup=False)

        rows = search_training(plan, data, run, jobs=jobs, storage=storage, trials=trials, device=device, watch=watch)
    best = best_first(rows)[:_BEST]
    if best:
        console.print(_table(plan, best).terminal())
    count, failures = sum(row.finished for row in rows), [row for row in rows if row.state == "failed"]
    counts = [f"{count} of {plan.size} trials finished"]
    counts += [f"{sum(row.state == 'pruned' for row in rows)} pruned"] if plan.recipe.pruner != "none" else []
    counts += [f"{len(failures)} failed"] if failures else []
    console.print("; ".join(counts) + f"; results: {run}/results.csv, top10.csv, summary.txt, search.png", markup=False)
    if count < plan.size:
        console.print("run the same command again to go on")
    elif failures and not best:
        raise InvalidInputError(
            f"every trial failed, the first with {failures[0].error}; needed: a recipe that trains; correct it and search in "
            "another directory."
        )
    if as_json:
        counts = {"finished": count, "size": plan.size, "failed": len(failures)}
        about = {"search": plan.recipe.name, "stage": plan.recipe.stage, "mode": plan.recipe.mode, "folds": plan.recipe.folds}
        print_json({**about, **counts, "best": [row.number for row in best], "trials": [_trial(row) for row in rows]})


def _trial(row: TrialRow) -> dict[str, Any]:
    """A row of the results: validation loss with its deviation over the folds, options, and what became of it."""
    return {
        "number": row.number,
        "state": row.state,
        "validation_loss": row.value,
        "deviation": row.spread,
        "parameters": row.parameters,
        "wall_time_s": row.seconds,
        "attempts": row.attempts,
        "error": row.error or None,
    }


def _table(plan: SearchPlan, best: list[TrialRow]) -> TextTable:
    from resinflow.evaluate import TextTable

    rows = []
    for row in best:
        values = (row.parameters[key] for key in plan.axes)
        texts = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
        rows.append((str(row.number), row.value_text, *texts))
    return TextTable(
        ("trial", "validation loss", *plan.axes), tuple(rows), f"best {len(best)} of the search {plan.recipe.name}"
    )
