"""Claims about many pages at once: twenty of them are served by one server, and each gets its own answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nicegui.testing")

from nicegui.testing import User, user_simulation

from resinflow.app.jobs import Desk
from resinflow.app.server import AppSettings, add_pages
from resinflow.app.sessions import Session, Sessions
from resinflow.app.work_folder import WorkFolder
from resinflow.flow import FlowField

PAGES = 20
PATIENCE = 400.0


async def until(condition: Callable[[], bool]) -> None:
    """Let the pages live until a condition holds, or fail."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        await asyncio.sleep(0.1)


async def opened(user: User, sessions: Sessions) -> Session:
    """Open a page and return its session."""
    client = await user.open("/")
    session = sessions.find(client.request.url.path.split("/")[2])
    assert session is not None
    return session


async def ask_all(sessions: Sessions, settings: AppSettings) -> list[Session]:
    """Open the pages, take the example on each, choose another part of it on each, and have all of them solved."""
    async with user_simulation() as first:
        add_pages(sessions, settings)
        users = [User(first.http_client) for _ in range(PAGES)]
        asked = [await opened(user, sessions) for user in users]
        for user in users:
            user.find("Try the example").click()
        await until(lambda: all(session.is_read for session in asked))
        for number, session in enumerate(asked):
            assert session.change(task="solve", crop=f"{number}:{number + 24},{number}:{number + 24}")
        await until(lambda: all(session.is_read for session in asked))
        for user in users:
            await user.should_see("fibre fraction")
            user.find("Compute").click()
        assert max(sessions.desk.place(session.answers[0].job) for session in asked) >= PAGES // 2
        await until(lambda: all(session.answers[0].job.is_over for session in asked))
        for user, session in zip(users, asked, strict=True):
            await user.should_see(f"{1e12 * session.answers[0].job.result['permeability']:.4g} µm²")
    return asked


@pytest.mark.slow
def test_twenty_pages_at_once_each_get_their_own_answer(tmp_path: Path):
    work = WorkFolder(tmp_path / "work")
    desk = Desk(work.log)
    desk.start()
    try:
        asked = asyncio.run(ask_all(Sessions(work, desk), AppSettings(work.path)))
    finally:
        desk.close()
    assert len({session.key for session in asked}) == PAGES
    assert [session.answers[0].job.state for session in asked] == ["done"] * PAGES
    values = []
    for number, session in enumerate(asked):
        flow = FlowField.load(session.folder / "answer-1" / "flow.npz")
        assert tuple(flow.microstructure.provenance["region"]) == (number, number + 24, number, number + 24)
        assert flow.permeability == session.answers[0].job.result["permeability"]
        values.append(flow.permeability)
    assert len(set(values)) == PAGES
