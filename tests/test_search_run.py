"""Claims about searches: every point once, whatever happens to the processes; failures and folds; suggestions."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from resinflow.flow.errors import InvalidInputError
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.search.objective import TrialSetup
from resinflow.search.plan import SearchPlan, SearchRecipe, plan_search
from resinflow.search.results import TrialRow
from resinflow.search.study import DEATHS, POINT, Heartbeat, TrialSeededSampler
from resinflow.search.trials import Search

RATES = [1e-4, 1e-3, 1e-2]
BLOCKS = [[1, 1, 1, 1], [2, 2, 2, 2]]
GRID = {
    "name": "grid",
    "base": "small.yaml",
    "stage": "vae3d",
    "mode": "grid",
    "space": {"vae3d.learning_rate": {"values": RATES}, "model.blocks": {"values": BLOCKS}},
}
TPE = {
    "name": "tpe",
    "base": "small.yaml",
    "stage": "vae3d",
    "mode": "tpe",
    "trials": 12,
    "space": {
        "vae3d.learning_rate": {"low": 1e-6, "high": 1.0, "log": True},
        "vae3d.latent_dropout": {"low": 0.0, "high": 0.9},
    },
}
HEARTBEAT = Heartbeat(interval=1, grace=2)


def plan_of(recipe: dict[str, object], **changes: object) -> SearchPlan:
    return plan_search(SearchRecipe.model_validate({**recipe, **changes}), LatentRecipe())


def run_search(
    plan: SearchPlan, objective: Any, folder: Path, *, trials: int | None = None, jobs: int = 1, **options: Any
) -> list[TrialRow]:
    return Search(plan, objective, folder, **options).run(trials=trials, jobs=jobs)


def bowl(setup: TrialSetup) -> float:
    """A smooth function with its minimum, 1, at a learning rate of 1e-3 and no dropout; every call is noted in a file."""
    recipe = setup.recipe
    assert isinstance(recipe, LatentRecipe)
    trial = setup.folder if setup.fold is None else setup.folder.parent
    calls = trial.parents[1] / "calls.txt"
    calls.parent.mkdir(parents=True, exist_ok=True)
    with calls.open("a", encoding="utf-8") as file:
        file.write(f"{trial.name} {os.getpid()}\n")
    distance = math.log10(recipe.vae3d.learning_rate) + 3
    return 1 + distance**2 + recipe.vae3d.latent_dropout**2 + 0.1 * (recipe.model.blocks[0] - 1)


def bowl_that_kills_its_process_once(setup: TrialSetup) -> float:
    value = bowl(setup)
    marker = setup.folder.parents[1] / "killed"
    if setup.folder.name == "0002" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def calls_of(folder: Path) -> Counter[str]:
    lines = (folder / "calls.txt").read_text(encoding="utf-8").splitlines()
    return Counter(line.split()[0] for line in lines)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figure where many trials would draw it many times."""
    monkeypatch.setattr("resinflow.search.results.draw_search", lambda plan, rows, path: None)


def test_a_grid_tries_every_combination_once_and_ranks_them(tmp_path: Path) -> None:
    rows = run_search(plan_of(GRID), bowl, tmp_path)
    assert {tuple(map(str, row.parameters.values())) for row in rows} == {(str(r), str(b)) for r in RATES for b in BLOCKS}
    assert calls_of(tmp_path) == {f"{place:04d}": 1 for place in range(6)}
    best = table(tmp_path / "top10.csv")
    assert [float(row["value"]) for row in best] == sorted(row.value for row in rows)
    assert (best[0]["vae3d.learning_rate"], best[0]["model.blocks"]) == ("0.001", "[1, 1, 1, 1]")
    assert {row["state"] for row in table(tmp_path / "results.csv")} == {"complete"}
    assert "1. trial 2: 1.04  vae3d.learning_rate = 0.001" in (tmp_path / "summary.txt").read_text()
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_finished_search_tries_nothing_again(tmp_path: Path, no_figure: None) -> None:
    first = run_search(plan_of(GRID), bowl, tmp_path)
    assert run_search(plan_of(GRID), bowl, tmp_path) == first
    assert set(calls_of(tmp_path).values()) == {1}


def test_a_limit_of_trials_is_kept_and_the_next_call_goes_on(tmp_path: Path, no_figure: None) -> None:
    assert len(run_search(plan_of(GRID), bowl, tmp_path, trials=4)) == 4
    assert len(run_search(plan_of(GRID), bowl, tmp_path)) == 6
    assert set(calls_of(tmp_path).values()) == {1}


def test_after_sigkill_the_dead_trial_alone_is_tried_again(tmp_path: Path, no_figure: None) -> None:
    child = os.fork()
    if child == 0:
        run_search(plan_of(GRID), bowl_that_kills_its_process_once, tmp_path, heartbeat=HEARTBEAT)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    rows = run_search(plan_of(GRID), bowl_that_kills_its_process_once, tmp_path, heartbeat=HEARTBEAT)
    assert [row.state for row in rows] == ["complete"] * 6
    assert [row.attempts for row in rows] == [1, 1, 2, 1, 1, 1]
    assert calls_of(tmp_path) == {f"{place:04d}": 1 + (place == 2) for place in range(6)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_goes_on_with_the_trial_that_it_left(
    tmp_path: Path, no_figure: None, number: signal.Signals
) -> None:
    def interrupted(setup: TrialSetup) -> float:
        if setup.folder.name == "0001":
            os.kill(os.getpid(), number)
        return bowl(setup)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run_search(plan_of(GRID), interrupted, tmp_path)
    assert signal.getsignal(number) is before
    rows = run_search(plan_of(GRID), bowl, tmp_path)
    assert [row.attempts for row in rows] == [1, 2, 1, 1, 1, 1]
    assert set(calls_of(tmp_path).values()) == {1}


def test_an_interruption_that_a_library_turns_into_another_error_still_ends_the_search(tmp_path: Path, no_figure: None) -> None:
    def swallowing(setup: TrialSetup) -> float:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("release unlocked lock") from None
        return bowl(setup)

    with pytest.raises(KeyboardInterrupt):
        run_search(plan_of(GRID), swallowing, tmp_path)
    rows = run_search(plan_of(GRID), bowl, tmp_path)
    assert [row.state for row in rows] == ["complete"] * 6


def test_a_trial_that_raises_is_recorded_and_neither_fatal_nor_repeated(tmp_path: Path, no_figure: None) -> None:
    def failing(setup: TrialSetup) -> float:
        value = bowl(setup)
        if setup.folder.name == "0003":
            raise RuntimeError("out of\nmemory")
        return math.nan if setup.folder.name == "0004" else value

    run_search(plan_of(GRID), failing, tmp_path)
    rows = run_search(plan_of(GRID), failing, tmp_path)
    assert [row.state for row in rows] == ["complete", "complete", "complete", "failed", "failed", "complete"]
    assert set(calls_of(tmp_path).values()) == {1}
    errors = [row["error"] for row in table(tmp_path / "results.csv")]
    assert errors[3:5] == ["RuntimeError: out of memory", "ArithmeticError: the validation loss is nan"]
    assert len(table(tmp_path / "top10.csv")) == 4
    assert "trial 3: RuntimeError: out of memory" in (tmp_path / "summary.txt").read_text()


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_point_whose_process_keeps_dying_is_given_up(tmp_path: Path, no_figure: None) -> None:
    plan = plan_of(GRID)
    study = Search(plan, bowl, tmp_path).open().study
    for _ in range(DEATHS):
        study.enqueue_trial({}, user_attrs={POINT: 0})
        study.tell(study.ask(), state=TrialState.FAIL)
    rows = run_search(plan, bowl, tmp_path)
    assert rows[0].state == "failed"
    assert "died 3 times" in rows[0].error
    assert set(calls_of(tmp_path)) == {f"{place:04d}" for place in range(1, 6)}


def test_two_trials_enqueued_for_one_point_run_once(tmp_path: Path, no_figure: None) -> None:
    plan = plan_of(GRID)
    study = Search(plan, bowl, tmp_path).open().study
    for point in (0, 0, 1, 0):
        values = {key: json.dumps(value) for key, value in plan.points[point].items()}
        study.enqueue_trial(values, user_attrs={POINT: point})
    assert len(run_search(plan, bowl, tmp_path)) == 6
    assert set(calls_of(tmp_path).values()) == {1}


def test_processes_that_share_a_storage_split_the_grid_and_make_up_for_one_that_is_killed(tmp_path: Path) -> None:
    rows = run_search(plan_of(GRID), bowl_that_kills_its_process_once, tmp_path, jobs=2, heartbeat=HEARTBEAT)
    assert [row.state for row in rows] == ["complete"] * 6
    assert calls_of(tmp_path) == {f"{place:04d}": 1 + (place == 2) for place in range(6)}
    assert len({line.split()[1] for line in (tmp_path / "calls.txt").read_text().splitlines()}) == 2


def test_the_value_of_a_trial_is_the_mean_over_its_folds(tmp_path: Path, no_figure: None) -> None:
    folds: list[tuple[int, int] | None] = []

    def uneven(setup: TrialSetup) -> float:
        folds.append(setup.fold)
        assert setup.fold is not None
        return bowl(setup) + (0.0, 1.0, 5.0)[setup.fold[0]]

    rows = run_search(plan_of(GRID, folds=3), uneven, tmp_path)
    assert folds[:3] == [(0, 3), (1, 3), (2, 3)]
    assert len(folds) == 18
    assert [row.value for row in rows] == pytest.approx([2.04 + base for base in (2, 2.1, 1, 1.1, 2, 2.1)])
    assert [row.spread for row in rows] == pytest.approx([7**0.5] * 6)


def test_suggestions_come_closer_to_the_minimum_than_random_draws_of_the_same_number() -> None:
    def best(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda t: math.dist((t.suggest_float("x", -3, 3), t.suggest_float("y", -3, 3)), (1, -2)), n_trials=60)
        return study.best_value

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    suggested = [best(TrialSeededSampler(seed)) for seed in range(5)]
    drawn = [best(optuna.samplers.RandomSampler(seed)) for seed in range(5)]
    assert np.median(suggested) < 0.7 * np.median(drawn)


def test_a_resumed_search_makes_the_suggestions_of_one_that_ran_through(tmp_path: Path, no_figure: None) -> None:
    plan = plan_of(TPE)
    through = run_search(plan, bowl, tmp_path / "through")
    for _ in range(2):
        parts = run_search(plan, bowl, tmp_path / "parts", trials=6)
    assert [row.parameters for row in parts] == [row.parameters for row in through]
    assert len({row.parameters["vae3d.learning_rate"] for row in parts}) == 12


def test_trials_above_the_median_are_stopped_early_and_do_not_win(tmp_path: Path, no_figure: None) -> None:
    reported: list[int] = []

    def reporting(setup: TrialSetup) -> float:
        value = bowl(setup)
        reported.append(0)
        for epoch in range(5):
            reported[-1] += 1
            setup.report(epoch, value + 1 / (1 + epoch))
        return value

    rows = run_search(plan_of(TPE, epochs=5, pruner="median", pruner_trials=3, pruner_epochs=2), reporting, tmp_path)
    states = Counter(row.state for row in rows)
    assert states["complete"] + states["pruned"] == 12
    assert states["pruned"] >= 3
    assert set(reported) == {3, 5}
    assert all(row["state"] == "complete" for row in table(tmp_path / "top10.csv"))


def test_a_suggestion_whose_process_died_is_tried_again_with_its_values(tmp_path: Path, no_figure: None) -> None:
    plan = plan_of(TPE, trials=3)

    def interrupted(setup: TrialSetup) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(plan, interrupted, tmp_path)
    study = optuna.load_study(study_name="tpe", storage=f"sqlite:///{tmp_path / 'search.db'}")
    rows = run_search(plan, bowl, tmp_path)
    assert [row.attempts for row in rows] == [2, 1, 1]
    assert rows[0].parameters == study.trials[0].params


def test_a_directory_that_version_0_1_wrote_goes_on_where_it_was_interrupted(tmp_path: Path, no_figure: None) -> None:
    # two combinations were complete and the third was interrupted
    (tmp_path / "search.json").write_bytes(Path(__file__).with_name("search-before.json").read_bytes())
    with closing(sqlite3.connect(tmp_path / "search.db")) as database:
        database.executescript(Path(__file__).with_name("search-before.sql").read_text(encoding="utf-8"))
    rows = run_search(plan_of(GRID), bowl, tmp_path, data="d")
    assert [row.attempts for row in rows] == [1, 1, 2, 1, 1, 1]
    assert [row.value for row in rows] == pytest.approx([2.04 + base - 1 for base in (1, 1.1, 0, 0.1, 1, 1.1)])
    assert calls_of(tmp_path) == {f"{place:04d}": 1 for place in range(2, 6)}
    with pytest.raises(InvalidInputError, match="another data set"):
        run_search(plan_of(GRID), bowl, tmp_path, data="e")


def test_another_recipe_or_data_set_in_the_same_directory_is_refused(tmp_path: Path, no_figure: None) -> None:
    run_search(plan_of(GRID), bowl, tmp_path, trials=1, data="a")
    with pytest.raises(InvalidInputError, match="another search recipe"):
        run_search(plan_of(GRID, seed=1), bowl, tmp_path, data="a")
    other = plan_search(SearchRecipe.model_validate(GRID), LatentRecipe(seed=1))
    with pytest.raises(InvalidInputError, match="another training recipe"):
        run_search(other, bowl, tmp_path, data="a")
    with pytest.raises(InvalidInputError, match="another data set"):
        run_search(plan_of(GRID), bowl, tmp_path, data="b")


def test_trials_of_a_search_can_be_raised_and_what_was_tried_stays(tmp_path: Path, no_figure: None) -> None:
    few = run_search(plan_of(TPE, trials=3), bowl, tmp_path)
    more = run_search(plan_of(TPE, trials=5), bowl, tmp_path)
    assert [row.value for row in more[:3]] == [row.value for row in few]
    assert len(more) == 5
    assert len((tmp_path / "calls.txt").read_text().splitlines()) == 5
    with pytest.raises(InvalidInputError, match="trials was 5 and is 4.*Only trials can be raised"):
        run_search(plan_of(TPE, trials=4), bowl, tmp_path)
    with pytest.raises(InvalidInputError, match="seed was .* and is 1"):
        run_search(plan_of(TPE, trials=5, seed=1), bowl, tmp_path)


def test_another_search_of_the_same_name_in_a_shared_storage_is_refused(tmp_path: Path, no_figure: None) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    run_search(plan_of(GRID), bowl, tmp_path / "a", storage=storage, trials=1)
    with pytest.raises(InvalidInputError, match="holds a search grid with another recipe"):
        run_search(plan_of(GRID, seed=1), bowl, tmp_path / "b", storage=storage)


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////no/such/folder/search.db", "nodatabase://host/base"])
def test_a_storage_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resinflow.search.study._OPENINGS", 1)
    with pytest.raises(InvalidInputError, match="the storage cannot be used") as caught:
        run_search(plan_of(GRID), bowl, tmp_path, storage=storage)
    assert "\n" not in str(caught.value)
