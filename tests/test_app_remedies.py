"""Claims about answers whose solver stopped before its goal: what helps is offered, and it is what the question can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resinflow.app.jobs import Job
from resinflow.app.remedies import offers
from resinflow.app.sessions import Answer
from resinflow.app.user_choices import Choices
from resinflow.flow import Remedy


def refused(remedies: tuple[Remedy, ...], reached: float | None = None, **choices: Any) -> Answer:
    job = Job("answer", Path(), {}, state="refused", line="it stopped.", remedies=remedies, reached=reached)
    return Answer("answer-1", Choices.of({"image": "a.tif", "pixel_size": "1um", "depth": "5um", **choices}), job)


@pytest.mark.parametrize(
    ("remedies", "reached", "choices", "values"),
    [
        (("more iterations", "looser tolerance"), 3e-5, {"task": "solve"}, [{}, {"tolerance": 1e-4}]),
        (("more iterations",), 3e-5, {"task": "tensor"}, [{"max_iterations": 1200}]),
        (("more iterations",), 3e-5, {"task": "tow"}, []),
        (("looser tolerance",), 3e-3, {"task": "tow"}, [{"tolerance": 1e-2}]),
        (("looser tolerance",), 0.7, {"task": "solve"}, []),
        (("looser tolerance",), None, {"task": "solve"}, []),
        (("voxel mask", "smaller voxels"), None, {"task": "solve"}, [{"wall_rule": "plain", "finer": False}, {"finer": True}]),
        (("voxel mask", "smaller voxels"), None, {"task": "solve", "finer": True}, [{"wall_rule": "plain", "finer": False}]),
        (("voxel mask",), None, {"task": "tensor", "wall_rule": "plain"}, []),
        (("voxels like cubes",), 0.1, {"task": "solve"}, [{"depth": "11um"}]),
        (("solver", "looser tolerance"), 1e-3, {"task": "predict"}, [{"task": "solve"}]),
    ],
)
def test_what_helps_is_offered_as_far_as_the_question_has_it(
    remedies: tuple[Remedy, ...], reached: float | None, choices: dict[str, Any], values: list[dict[str, Any]]
):
    ways = offers(refused(remedies, reached, **choices), single=True, current=True)
    assert [{name: way.values.get(name) for name in one} for way, one in zip(ways, values, strict=True)] == values
    for way in ways:
        Choices.of(vars(refused((), **choices).choices)).changed(**way.values)  # which can be


def test_one_that_went_on_and_is_content_with_less_gets_the_iterations_of_all_its_runs():
    answer = refused(("looser tolerance",), 3e-5, task="solve", max_iterations=50, runs=3)
    (way,) = offers(answer, single=True, current=True)
    assert way.values == {"tolerance": 1e-4, "max_iterations": 150}


def test_an_answer_of_another_medium_can_only_go_on():
    answer = refused(("more iterations", "looser tolerance"), 3e-5, task="solve")
    assert [way.values for way in offers(answer, single=True, current=False)] == [{}]


def test_a_stack_has_no_free_depth_and_an_answer_that_was_refused_for_its_input_has_no_offer():
    assert offers(refused(("voxels like cubes",), task="solve"), single=False, current=True) == []
    assert offers(refused(()), single=True, current=True) == []
