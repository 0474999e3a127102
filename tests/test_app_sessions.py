"""Claims about sessions: every step can be taken back, what cannot be is said, and nothing is shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from resinflow.app.jobs import Desk, Job
from resinflow.app.sessions import Session, Sessions
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import WorkFolder
from resinflow.flow import InvalidInputError
from resinflow.media import Stroke, example_path


class FakeDesk:
    """A desk that takes jobs and computes nothing."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> Job:
        self.jobs.append(job)
        return job

    def cancel(self, job: Job) -> None:
        if not job.is_over:
            job.end("cancelled")


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(WorkFolder(tmp_path / "work"), cast(Desk, FakeDesk()))


@pytest.fixture
def session(sessions: Sessions) -> Session:
    """One with the embedded example, as if it had been looked at and read."""
    session = sessions.new()
    session.take_example(example_path())
    for job in (session.look, session.reading):
        assert job is not None
        job.end("done")
    return session


def test_an_answer_that_the_server_did_not_finish_is_told_by_the_next_one(sessions: Sessions, session: Session):
    assert session.reading is not None
    session.reading.result = {"extruded": False}
    (session.folder / "fibres").mkdir(exist_ok=True)
    (session.folder / "fibres" / "medium.npz").touch()
    assert session.change(task="solve", draws=True)
    assert not session.ask().choices.draws  # a stack shows its tilts
    again = Sessions(sessions.work, sessions.desk).find(session.key)
    assert again is not None
    assert again.running is None
    assert again.answers[-1].job.state == "refused"
    assert "server ended" in again.answers[-1].job.line


def test_an_answer_whose_solver_gave_up_goes_on_from_its_field_whatever_the_image_is_now(session: Session):
    session.change(task="solve", max_iterations=5)
    (session.folder / "fibres" / "medium.npz").write_bytes(b"medium")
    first = session.ask()
    first.job.remedies, first.job.reached = ("more iterations",), 1e-3
    first.job.end("refused", "it was falling.")
    with pytest.raises(InvalidInputError, match="no field to go on from"):
        session.go_on(first)
    (session.folder / "answer-1" / "so-far.npz").write_bytes(b"field")
    session.take_example(example_path())
    second = session.go_on(first)
    assert second.choices == replace(first.choices, runs=2)
    assert (session.folder / second.run / "so-far.npz").read_bytes() == b"field"
    assert (session.folder / second.run / ".medium.npz").read_bytes() == b"medium"


def test_why_an_answer_was_refused_and_what_helps_are_told_by_the_next_server(sessions: Sessions, session: Session):
    session.change(task="solve")
    answer = session.ask()
    answer.job.remedies, answer.job.reached = ("more iterations", "looser tolerance"), 1e-3
    answer.job.end("refused", "it was falling.")
    session.save()
    again = Sessions(sessions.work, sessions.desk).find(session.key)
    assert again is not None
    job = again.answers[-1].job
    assert (job.state, job.line, job.remedies, job.reached) == (
        "refused",
        "it was falling.",
        ("more iterations", "looser tolerance"),
        1e-3,
    )


def test_another_image_does_not_end_the_answer_that_is_being_computed(session: Session):
    answer = session.ask()
    session.take_example(example_path())
    assert session.running is answer


def test_a_question_that_is_asked_again_has_its_other_values_and_those_of_the_present_image(session: Session):
    session.change(task="solve", axis="y")
    answer = session.ask()
    answer.job.end("refused", "it was falling.")
    session.change(task="tensor", pixel_size="0.5um")
    assert session.reading is not None
    session.reading.end("done")
    again = session.ask_again(answer, tolerance=1e-3)
    assert (again.choices.task, again.choices.axis, again.choices.tolerance) == ("solve", "y", 1e-3)
    assert again.choices.pixel_size == "0.5um"


def test_every_step_can_be_undone_and_done_again(session: Session):
    steps = [
        {"pixel_size": "0.5um"},
        {"crop": "0:32,0:32"},
        {"front_end": "classical"},
        {"level": 0.6},
        {"strokes": (Stroke(((5.0, 5.0),), 2.0, adds=True),)},
        {"viscosity": 0.2},
        {"task": "solve"},
    ]
    trail = [session.choices]
    for step in steps:
        assert session.change(**step)
        trail.append(session.choices)
    for choices in reversed(trail[:-1]):
        session.undo()
        assert session.choices == choices
    assert not session.can_undo
    for choices in trail[1:]:
        session.redo()
        assert session.choices == choices


@pytest.mark.parametrize(
    "step",
    [
        {"pixel_size": "5"},
        {"pixel_size": "abc"},
        {"depth": "-1um"},
        {"viscosity": 0.0},
        {"viscosity": float("nan")},
        {"viscosity": 1e-300},
        {"pressure_drop": 1e300},
        {"tolerance": 2.0},
        {"tolerance": 0.0},
        {"max_iterations": 0},
        {"max_iterations": 2.5},
        {"wall_rule": "soft"},
        {"pressure_drop": -1.0},
        {"axis": "w"},
        {"fibres": "blue"},
        {"slices": "many"},
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_changes_nothing(session: Session, step: dict[str, object]):
    before = session.choices
    assert not session.change(**step)
    assert session.choices == before
    assert "needed" in session.trouble
    assert "\n" not in session.trouble


def test_fibres_are_found_anew_only_where_the_choices_ask_for_it(session: Session):
    reading = session.reading
    session.change(viscosity=3.0)
    session.change(axis="y")
    assert session.reading is reading
    session.change(pixel_size="0.5um")
    assert session.reading is not reading


def test_a_reading_that_is_out_of_date_is_cancelled(session: Session):
    session.change(pixel_size="0.5um")
    first = session.reading
    session.change(pixel_size="0.6um")
    assert first is not None
    assert first.state == "cancelled"


def test_a_question_needs_fibres_and_its_turn(sessions: Sessions, session: Session):
    with pytest.raises(InvalidInputError, match="fibres were not found"):
        sessions.new().ask()
    session.ask()
    assert (session.folder / "answer-1").is_dir()
    with pytest.raises(InvalidInputError, match="being computed"):
        session.ask()
    session.cancel()
    assert session.answers[0].job.state == "cancelled"
    assert session.ask().run == "answer-2"


def test_sessions_share_neither_choices_nor_folders(sessions: Sessions):
    first, second = sessions.new(), sessions.new()
    first.change(viscosity=9.0)
    assert second.choices == Choices()
    assert first.folder != second.folder
    assert first.key != second.key
    assert sessions.find(first.key) is first
    assert sessions.find("guess") is None


def test_a_single_image_gets_the_depth_of_cubic_voxels(sessions: Sessions):
    session = sessions.new()
    session.take_example(example_path())
    assert session.look is not None
    session.look.result = {"slices": 1}
    session.change(depth="")
    session.change(pixel_size="0.5um")
    assert session.choices.depth == "5.5um"


def test_what_was_chosen_is_written_into_the_folder(session: Session):
    session.change(viscosity=0.25)
    session.save()
    text = (session.folder / "session.json").read_text()
    assert '"viscosity": 0.25' in text


def test_a_server_that_is_started_again_takes_up_the_sessions_of_its_folder(session: Session, sessions: Sessions):
    session.change(viscosity=0.25, strokes=(Stroke(((5.0, 5.0),), 2.0, adds=True),))
    assert session.reading is not None
    session.reading.end("done")
    answer = session.ask()
    answer.job.result = {"permeability": 1e-12}
    answer.job.end("done")
    session.save()
    (sessions.work.new_session() / "session.json").write_text("[broken")
    again = Sessions(sessions.work, cast(Desk, FakeDesk())).find(session.key)
    assert again is not None
    assert again.choices == session.choices
    assert [(each.run, each.choices, each.job.result) for each in again.answers] == [
        ("answer-1", answer.choices, {"permeability": 1e-12})
    ]
    assert Sessions(sessions.work, cast(Desk, FakeDesk())).find("") is None
