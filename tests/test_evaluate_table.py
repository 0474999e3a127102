import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from resinflow.evaluate.metrics import compare
from resinflow.evaluate.records import save_scores
from resinflow.evaluate.scores import Score
from resinflow.evaluate.tables import (
    ResultRow,
    component_rows,
    cost_rows,
    ensemble_rows,
    result_rows,
    score_rows,
    summary,
)
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure


def truth(nz=3):
    rng = np.random.default_rng(0)
    velocity = rng.normal(size=(3, nz, 10, 10)) * 1e-5
    velocity[0] += 3e-5
    if nz == 1:
        velocity[2] = 0.0
    micro = Microstructure(np.ones((nz, 10, 10), dtype=bool), (1e-6, 1e-6, 1e-6))
    return FlowField(micro, velocity, rng.random((nz, 10, 10)), "x", 1.0, 1.0)


def scaled(factors, flow):
    return [compare(replace(flow, velocity=factor * flow.velocity), flow) for factor in factors]


def text(table, width=220):
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_the_result_table_shows_k_in_both_units_and_its_error():
    rows = [ResultRow("planar flow", 1.1e-13, 0.19, 0.012), ResultRow("solver", 1e-13, None, 1.5), ResultRow("guess", 2e-13)]
    lines = text(result_rows(rows, true_permeability=1e-13).terminal(wrapped=False)).splitlines()
    planar, solver, guess = (next(line for line in lines if name in line) for name in ("planar flow", "solver", "guess"))
    assert all(part in planar for part in ("1.1000e-13", "0.1115", "19.00 %", "+10.00 %", "12 ms"))
    assert "1.5 s" in solver
    assert guess.count("-") >= 2  # neither a velocity error nor a time


def test_without_a_true_permeability_there_is_no_error_of_k():
    line = next(
        line for line in text(result_rows([ResultRow("model", 1e-13, 0.05, 2.0)]).terminal()).splitlines() if "model" in line
    )
    assert "5.00 %" in line
    assert line.count("%") == 1


def test_the_summary_gives_mean_median_and_ninetieth_percentile():
    factors = 1.0 + np.arange(1, 12) / 100
    numbers = summary(scaled(factors, truth()))["relative_l2"]
    assert numbers["mean"] == pytest.approx(0.06)
    assert numbers["median"] == pytest.approx(0.06)
    assert numbers["p90"] == pytest.approx(0.10)
    assert numbers["count"] == 11


def test_numbers_that_do_not_exist_are_left_out_of_the_summary():
    mixed = scaled([1.1], truth()) + scaled([1.2], truth(nz=1))
    numbers = summary(mixed)
    assert numbers["relative_l2_z"]["mean"] == pytest.approx(0.1)
    assert numbers["relative_l2_z"]["count"] == 1
    assert numbers["relative_l2_x"]["count"] == 2
    assert numbers["seconds"]["count"] == 0
    assert np.isnan(numbers["seconds"]["mean"])
    assert summary([]) == {}


def test_the_evaluation_table_has_mean_median_and_percentile_of_every_method():
    flow = truth()
    lines = text(
        score_rows({"zero": scaled([0.0], flow), "model": scaled([1.01, 1.02, 1.06], flow)}).terminal(wrapped=False), 130
    ).splitlines()
    first = next(number for number, line in enumerate(lines) if "model" in line)
    cells = [line.replace("│", " ").split() for line in lines[first : first + 3]]
    assert cells[0][:4] == ["model", "mean", "3", "3"]
    assert cells[1][:5] == ["samples:", "3", "median", "2", "2"]
    assert cells[2][:3] == ["p90", "5.2", "5.2"]
    assert cells[0][-1] == "-"  # no report, no time
    zero = next(line for line in lines if "zero" in line).replace("│", " ").split()
    assert zero[2:8] == ["100"] * 6  # velocity, its components, nMAE and K
    assert zero[8] == "0"  # the pressure was not touched


def test_the_component_table_has_a_line_per_component():
    flow = truth()
    lines = text(component_rows({"model": scaled([1.01, 1.02, 1.06], flow)}).terminal(), 160).splitlines()
    first = next(number for number, line in enumerate(lines) if "model" in line)
    assert all("3 / 2 / 5.2" in line for line in lines[first : first + 4])


def test_absolute_errors_are_shown_in_millimetres_a_second():
    flow = truth()
    expected = f"{1e3 * scaled([1.5], flow)[0].mae.total:.3g}"
    line = next(
        line for line in text(component_rows({"model": scaled([1.5], flow)}).terminal(), 160).splitlines() if "model" in line
    )
    assert f"{expected} / {expected} / {expected}" in line


def test_the_cost_table_shows_only_methods_that_cost_something():
    comparison = scaled([1.1], truth())[0]
    timed = replace(comparison, seconds=0.25)
    rows = cost_rows({"known before": [Score(comparison)], "model": [Score(timed, peak_memory=1.5e9)]}).rows
    assert rows == (("model", "250 ms / 250 ms / 250 ms", "1.50 GB / 1.50 GB / 1.50 GB"),)


def test_nobody_is_calibrated_without_an_ensemble():
    assert ensemble_rows({"model": [Score(scaled([1.1], truth())[0])]}).rows == ()


def test_a_method_without_samples_has_empty_lines():
    for table in (score_rows({"none": []}).terminal(wrapped=False), component_rows({"none": []}).terminal()):
        line = next(line for line in text(table, 160).splitlines() if "none" in line)
        assert not any(digit in line for digit in "0123456789")


def test_json_holds_every_sample_and_null_where_there_is_no_number(tmp_path):
    scores = {"model": scaled([1.1, 1.2], truth(nz=1))}
    path = save_scores(scores, tmp_path / "new" / "scores.json")
    saved = json.loads(path.read_text())
    assert saved["model"]["samples"][1]["relative_l2"] == pytest.approx(0.2)
    assert saved["model"]["samples"][0]["relative_l2_z"] is None
    assert saved["model"]["summary"]["relative_l2"]["mean"] == pytest.approx(0.15)


def test_csv_holds_a_line_per_method_and_sample(tmp_path):
    scores = {"a": scaled([1.1, 1.2], truth()), "b": scaled([1.3], truth(nz=1))}
    rows = list(csv.DictReader(save_scores(scores, tmp_path / "scores.csv").open()))
    assert [(row["method"], row["sample"]) for row in rows] == [("a", "0"), ("a", "1"), ("b", "0")]
    assert float(rows[2]["relative_l2"]) == pytest.approx(0.3)
    assert rows[2]["relative_l2_z"] == ""


def test_an_unknown_suffix_is_refused_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(InvalidInputError, match="needed: .json or .csv"):
        save_scores({}, tmp_path / "scores.xlsx")
    assert not list(tmp_path.iterdir())
