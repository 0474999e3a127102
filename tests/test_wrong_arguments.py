"""Whoever gives an array where a medium or a flow is needed reads one line that says what to give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import resinflow as rf
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
