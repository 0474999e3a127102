"""Whoever gives an array where a medium or a flow is needed reads one line that says what to give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resinflow as rf
from resinflow.data import FlowStore
from resinflow.flow import InvalidInputError
from resinflow.stokes import certified, solve_finer

MASK: Any = np.ones((3, 16, 16), dtype=bool)


@pytest.mark.parametrize(
    "way",
    [rf.solve, rf.planar_flow, rf.response_flow, rf.grid_flow, rf.permeability_tensor, solve_finer],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize(("medium", "what"), [(MASK, r"an array of shape \(3, 16, 16\)"), ([1.0], "of type list")])
def test_every_way_to_a_flow_refuses_what_is_no_medium(way: Any, medium: Any, what: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"the medium is {what}; needed: a Microstructure, e\.g\. rf\.from_image"):
        way(medium)


@pytest.mark.parametrize(
    "use", [rf.certify, certified, lambda flow: rf.refine_flow(flow, 0.01), lambda flow: rf.compare(flow, flow)]
)
def test_what_takes_a_flow_refuses_an_array(use: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"the flow is an array .*; needed: a FlowField, e\.g\. rf\.solve"):
        use(MASK)


def test_a_model_refuses_what_is_no_medium_and_says_what_it_is() -> None:
    model = rf.load_model("small", "cpu")
    with pytest.raises(InvalidInputError, match="the medium is of type list; needed: a Microstructure"):
        model.predict([1.0])  # pyright: ignore[reportArgumentType]
    words = repr(model)
    assert "\n" not in words
    assert all(part in words for part in ("small", "grid flow", "M parameters on cpu", "4 samples", "calibrated"))


def test_a_comparison_reads_as_one_line_of_errors() -> None:
    micro = rf.fibre_bundle((2, 16, 16), (10e-6, 20e-6, 20e-6), volume_fraction=0.3, seed=0)
    score = rf.compare(rf.planar_flow(micro), rf.solve(micro))
    words = repr(score)
    assert "\n" not in words
    assert f"velocity {100 * score.relative_l2.total:.3g} % off" in words
    assert f"K {100 * score.permeability_bias:+.3g} %" in words


@pytest.mark.parametrize("wrong", [None, 3, [1.0], MASK])
def test_models_runs_and_data_sets_of_wrong_types_are_refused_in_one_line(
    wrong: Any, tiny_store: FlowStore, tmp_path: Path
) -> None:
    model, recipe = rf.load_model("small", "cpu"), rf.load_recipe("recipes/small.yaml")
    calls = [
        lambda: model.ensemble(wrong),
        lambda: rf.load_model(wrong),
        lambda: rf.open_flows(wrong),
        lambda: rf.evaluate_model(wrong, tiny_store),
        lambda: rf.evaluate_model(model, wrong),
        lambda: rf.train_model("vae3d", wrong, tmp_path / "run", recipe),
        lambda: rf.train_model("vae3d", tiny_store, wrong, recipe),
        lambda: rf.train_model("vae3d", tiny_store, tmp_path / "run", wrong),
    ]
    if wrong is not None:
        micro = rf.fibre_bundle((2, 16, 16), (10e-6, 20e-6, 20e-6), volume_fraction=0.3, seed=0)
        calls += [
            lambda: model.predict(micro, wrong),
            lambda: model.predict(micro, None, wrong),
            lambda: model.predict(micro, start=wrong),
            lambda: rf.evaluate_model(model, tiny_store, wrong),
            lambda: rf.solve(micro, wrong),
            lambda: rf.train_model("vae3d", tiny_store, tmp_path / "run", recipe, start=wrong),
            lambda: rf.train_model("vae3d", tiny_store, tmp_path / "run", recipe, fold=wrong),
        ]
    for call in calls:
        with pytest.raises(InvalidInputError, match=r"is of type .*; needed: ") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
