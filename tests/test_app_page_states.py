"""Claims about the page as its choices change, without a browser: what is out of date is said, and what helps is offered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

pytest.importorskip("nicegui")

from nicegui import ui
from nicegui.testing import User, user_simulation

from resinflow.app.jobs import Desk, Job
from resinflow.app.server import AppSettings, add_pages
from resinflow.app.sessions import Answer, Session, Sessions
from resinflow.app.work_folder import WorkFolder
from resinflow.media import example_path

FACTS = {
    "fraction": 0.449,
    "sections": 18.0,
    "diameters": [10e-6, 11e-6, 12e-6],
    "pixel": 0.78e-6,
    "diameter": 11e-6,
    "shape": [11, 64, 64],
    "spacing": [4.5e-6, 0.78e-6, 0.78e-6],
    "extruded": False,
    "region": None,
    "polarity": "dark",
    "level": None,
    "surface": "found",
    "notes": [],
    "warnings": [],
    "percolates": {"x": True, "y": True, "z": True},
}
NUMBERS = {
    "permeability": 1.7e-13,
    "interval": None,
    "error": None,
    "parts": {},
    "gebart": None,
    "draws": 0,
    "axis": "x",
    "warnings": [],
    "files": [],
}


_PATIENCE = 90.0


class Hand:
    """A desk whose jobs are ended by hand."""

    def submit(self, job: Job) -> Job:
        return job

    def place(self, job: Job) -> int:
        return 0

    def cancel(self, job: Job) -> None:
        if not job.is_over:
            job.end("cancelled")


def read(session: Session) -> None:
    """End what looks at the image and finds its fibres."""
    assert session.look is not None
    assert session.reading is not None
    session.look.result = {"slices": 11, "height": 64, "width": 64, "tag": None}
    session.reading.result = FACTS
    for job in (session.look, session.reading):
        job.end("done")


def answered(session: Session) -> Answer:
    """Ask and answer a question."""
    answer = session.ask()
    answer.job.result = NUMBERS
    answer.job.end("done")
    return answer


def on_a_page(tmp_path: Path, story: Callable[[User, Session, Sessions], Awaitable[None]]) -> None:
    """Open a page that shows the embedded example with its fibres, and let a story happen on it."""

    async def happen() -> None:
        sessions = Sessions(WorkFolder(tmp_path / "work"), cast(Desk, Hand()))
        async with user_simulation() as user:
            add_pages(sessions, AppSettings(sessions.work.path))
            client = await user.open("/")
            session = sessions.find(client.request.url.path.split("/")[2])
            assert session is not None
            session.take_example(example_path())
            read(session)
            await see(user, "fibre fraction")
            await story(user, session, sessions)

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(happen(), _PATIENCE))
    finally:
        for task in asyncio.all_tasks(loop):  # timers of the page, which do not end when they are told to
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def is_enabled(user: User, words: str) -> bool:
    (button,) = (each for each in user.find(ui.button).elements if each.text == words)
    return button.enabled


async def see(user: User, words: str) -> None:
    await user.should_see(words, retries=100)


async def lose(user: User, words: str) -> None:
    """Wait until words are not seen any more, or fail."""
    for _ in range(100):
        try:
            await user.should_not_see(words, retries=1)
        except AssertionError:
            continue
        return
    raise AssertionError(f"this is still seen: {words}")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"this did not come: {inspect.getsource(condition).strip()}")


def type_into(user: User, label: str, text: str) -> None:
    field = user.find(kind=ui.input, content=label)
    field.clear()
    field.type(text)
    field.trigger("blur")


def test_what_cannot_be_in_a_field_keeps_the_question_from_being_asked_until_it_is_mended(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        await until(lambda: is_enabled(user, "Compute"))
        for text, words in (("0", "without a unit"), ("0um", "1e-09 to 0.001"), ("1km", "a unit of nm"), ("five", "'five'")):
            type_into(user, "Pixel size", text)
            await see(user, words)
            await see(user, "in the field Pixel size cannot be used: mend it first")
            assert not is_enabled(user, "Compute")
            assert session.choices.pixel_size == "0.78125um"
        type_into(user, "Pixel size", "0,5um")
        await until(lambda: session.choices.pixel_size == "0.5um")
        read(session)
        await until(lambda: is_enabled(user, "Compute"))
        type_into(user, "Viscosity in Pa s", "thick")
        await see(user, "'thick' is no number")
        await until(lambda: not is_enabled(user, "Compute"))
        session.change(task="tensor")  # which asks for no viscosity
        await until(lambda: is_enabled(user, "Compute"))

    on_a_page(tmp_path, story)


def test_an_answer_says_what_it_is_the_answer_to_and_what_has_changed_since(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        answered(session)
        await see(user, "Predict along x: tilted_bundle.tif (embedded example), pixels of 0.78125um")
        await lose(user, "since this answer")
        session.change(axis="y")
        await see(user, "The question above is another one than this answer's")
        session.undo()
        await lose(user, "is another one than")
        session.change(crop="0:32,0:32")
        read(session)
        await see(user, "its fibres have changed since this answer")
        session.take_example(example_path())
        read(session)
        await see(user, "This answer is not of the image above, but of tilted_bundle.tif (embedded example)")
        answered(session)
        await lose(user, "not of the image above")

    on_a_page(tmp_path, story)


def test_a_new_answer_is_looked_at_and_those_before_can_be_chosen(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        answered(session)
        session.change(task="solve", axis="y")
        answered(session)
        await see(user, "Solve along y")
        user.find("1. Predict").click()
        await see(user, "Predict along x")
        session.change(axis="z")
        answered(session)
        await see(user, "Solve along z")

    on_a_page(tmp_path, story)


def test_an_answer_goes_on_while_another_image_is_looked_at_and_a_failure_of_the_image_before_is_not_shown(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        answer = session.ask()
        answer.job.state, answer.job.stage = "running", "solving the flow"
        session.take_example(example_path())
        read(session)
        await see(user, "Solving the flow (tilted_bundle.tif (embedded example))")
        assert not is_enabled(user, "Compute")
        answer.job.end("refused", "it was falling.")
        await until(lambda: is_enabled(user, "Compute"))
        await lose(user, "It was falling.")

    on_a_page(tmp_path, story)


def test_a_solver_that_gave_up_goes_on_by_a_button_and_one_that_is_cancelled_offers_nothing(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        session.change(task="solve", max_iterations=40)
        first = session.ask()
        first.job.remedies, first.job.reached = ("more iterations", "looser tolerance"), 2e-4
        first.job.end("refused", "it was falling.")
        (session.folder / first.run / "so-far.npz").touch()
        await see(user, "It was falling.")
        await see(user, "Be content with an error of K of 0.1 %")
        user.find("Go on: 40 more iterations").click()
        await until(lambda: len(session.answers) == 2)
        assert session.answers[-1].choices.runs == 2
        await lose(user, "Be content")
        user.find("Cancel").click()
        await see(user, "Cancelled.")
        await lose(user, "Go on")

    on_a_page(tmp_path, story)


def test_two_pages_of_one_session_show_the_same_choices(tmp_path: Path):
    async def story(user: User, session: Session, sessions: Sessions) -> None:
        other = User(user.http_client)
        await other.open(f"/s/{session.key}/")
        type_into(other, "Depth of the stack", "40um")
        await until(lambda: session.choices.depth == "40um")
        (box,) = user.find(kind=ui.input, content="Depth of the stack").elements
        await until(lambda: box.value == "40um")

    on_a_page(tmp_path, story)
