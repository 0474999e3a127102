"""A session: what one user chose, step by step, and the jobs that follow from it; and all sessions of a server."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from resinflow.app.jobs import Desk, Job
from resinflow.app.uploads import Upload, place_uploads
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import INPUT, WorkFolder, keep_medium, new_image
from resinflow.flow import InvalidInputError, read_length, replacing
from resinflow.media import EXTRUDED_SLICES

__all__ = ["Answer", "Session", "Sessions"]

EXAMPLE_NAME = "tilted_bundle.tif (embedded example)"
_EXAMPLE_SIZES = {"pixel_size": "0.78125um", "depth": "50um"}
_BROKEN_OFF = "the server ended before this answer was ready; needed: ask again by Compute."
_LASTING = ("done", "refused")
"""States of answers that the next server tells again."""
_MOST_STEPS = 200
"""Steps that can be undone."""


@dataclass(eq=False)
class Answer:
    """A question and the job that answers it.

    Attributes:
        run: name of its folder.
        choices: the question.
        job: that computes it.
    """

    run: str
    choices: Choices
    job: Job


@dataclass(eq=False)
class Session:
    """What one user does; nothing of it is shared with another.

    Attributes:
        key: unguessable, the page's address.
        folder: of its files.
        desk: where its jobs are computed.
        choices: the present ones.
        look: the job that looks at the image; None before there is one.
        reading: the job that finds the fibres; None before there is one.
        picked: the job that measures a fibre; None before one was clicked.
        answers: all answers, the first one first.
        dark: whether its pages are dark; None: as the browser's system has it.
        trouble: why the last thing that was asked for cannot be, in one line; empty where there is none.
        stamp: grows with every change of the choices.
    """

    key: str
    folder: Path
    desk: Desk
    choices: Choices = field(default_factory=Choices)
    look: Job | None = None
    reading: Job | None = None
    picked: Job | None = None
    answers: list[Answer] = field(default_factory=list)
    dark: bool | None = None
    trouble: str = ""
    stamp: int = 0
    _before: list[Choices] = field(default_factory=list)
    _after: list[Choices] = field(default_factory=list)
    _read: Choices | None = None

    @property
    def can_undo(self) -> bool:
        """Whether a step can be taken back."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether a step that was taken back can be done again."""
        return bool(self._after)

    @property
    def is_read(self) -> bool:
        """Whether the fibres of the present choices were found."""
        return self.reading is not None and self.reading.state == "done" and self._current

    @property
    def running(self) -> Answer | None:
        """The answer that is waited for."""
        return next((answer for answer in reversed(self.answers) if not answer.job.is_over), None)

    @property
    def is_single(self) -> bool:
        """Whether the image is a single one, whose depth is free."""
        return self.look is not None and self.look.result.get("slices") == 1

    @property
    def _current(self) -> bool:
        return self._read is not None and self._read.reads_alike(self.choices)

    def change(self, **values: Any) -> bool:
        """Choose other values; return whether they can be. What cannot is told in ``trouble`` and leaves all as it is."""
        try:
            if values.get("pixel_size") and not self.choices.depth and self.is_single:
                values["depth"] = cubic_depth(values["pixel_size"])
            choices = self.choices.changed(**values)
        except InvalidInputError as error:
            self.trouble = str(error)
            self.stamp += 1
            return False
        if choices != self.choices:
            self._step(choices)
        self.trouble = ""
        return True

    def undo(self) -> None:
        """Take the last step back."""
        if self._before:
            self._after.append(self.choices)
            self._go(self._before.pop())

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        if self._after:
            self._before.append(self.choices)
            self._go(self._after.pop())

    def take(self, uploads: Sequence[Upload]) -> None:
        """Take an upload as the image of this session."""
        arrival = place_uploads(uploads, self.folder)
        self._begin(self.choices.started(arrival.image, arrival.name, slice_names=arrival.slice_names))

    def take_example(self, path: Path) -> None:
        """Take the embedded example as the image, with its scale."""
        place = f"{INPUT}/{new_image(self.folder)}{path.suffix}"
        (self.folder / place).write_bytes(path.read_bytes())
        self._begin(self.choices.started(place, EXAMPLE_NAME, **_EXAMPLE_SIZES))

    def ask(self) -> Answer:
        """Have the present question answered.

        Raises:
            InvalidInputError: there is no medium yet, or the answer before is not ready.
        """
        if not self.is_read:
            raise InvalidInputError("the fibres were not found yet; needed: an image with its pixel size and depth.")
        return self._submit(self.question)

    def go_on(self, answer: Answer) -> Answer:
        """Have an answer computed on, whose solver gave up at its last iteration, from the field that it left.

        Raises:
            InvalidInputError: there is no such field, or the answer before is not ready.
        """
        return self._submit(replace(answer.choices, runs=answer.choices.runs + 1), before=answer.run)

    def ask_again(self, answer: Answer, **values: Any) -> Answer:
        """Ask the question of an answer again of the present medium, with other values.

        Raises:
            InvalidInputError: as :meth:`ask`, or values that cannot be.
        """
        if not self.change(**{**answer.choices.question, **values}):
            raise InvalidInputError(self.trouble)
        return self.ask()

    def _submit(self, question: Choices, before: str | None = None) -> Answer:
        """Have a question answered: of the medium that was read last, or going on from an answer before."""
        if self.running is not None:
            raise InvalidInputError("an answer is being computed; needed: wait for it, or cancel it.")
        numbers = [int(path.name.removeprefix("answer-")) for path in self.folder.glob("answer-*") if path.name[7:].isdigit()]
        run = f"answer-{max([len(self.answers), *numbers]) + 1}"
        keep_medium(self.folder, run, before)
        job = Job("answer", self.folder, {"choices": asdict(question), "run": run})
        answer = Answer(run, question, self.desk.submit(job))
        self.answers.append(answer)
        self.save()
        return answer

    @property
    def question(self) -> Choices:
        """The choices of which the answer is asked: media are drawn round a single image alone, and for predictions."""
        single = self.reading is not None and bool(self.reading.result.get("extruded"))
        return replace(self.choices, draws=self.choices.draws and single and self.choices.task == "predict")

    def with_its_name(self, line: str) -> str:
        """Return a line with the image's name as its user knows it in the place of that of its file here."""
        return self.choices.with_its_name(line)

    def pick(self, x: float, y: float, index: int) -> None:
        """Measure the fibre at a place of the image, pixels, in a slice; without a medium nothing happens."""
        if self.is_read:
            values = {"choices": asdict(self.choices), "x": x, "y": y, "slice": index}
            self.picked = self.desk.submit(Job("pick", self.folder, values))

    def cancel(self) -> None:
        """End the answer that is being computed."""
        if self.running is not None:
            self.desk.cancel(self.running.job)

    def save(self) -> None:
        """Write what was chosen and answered into the session's folder; without an image there is nothing to write."""
        if not self.choices.image:
            return
        running = self.running
        document = {
            "key": self.key,
            "choices": asdict(self.choices),
            "answers": [
                {"run": each.run, "choices": asdict(each.choices), **_outcome(each.job)}
                for each in self.answers
                if each.job.state in _LASTING
            ],
            "unfinished": None if running is None else {"run": running.run, "choices": asdict(running.choices)},
        }
        with replacing(self.folder / "session.json") as temporary:
            temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")

    def restore(self, document: dict[str, Any]) -> None:
        """Take up what :meth:`save` wrote, in the same folder."""
        for each in document["answers"]:
            question = Choices.of(each["choices"])
            job = Job("answer", self.folder, {}, state="done", result=dict(each["result"]))
            if each.get("line"):
                job.state, job.line = "refused", str(each["line"])
                job.remedies, job.reached = tuple(each["remedies"]), each["reached"]
            self.answers.append(Answer(str(each["run"]), question, job))
        if (unfinished := document.get("unfinished")) is not None:
            job = Job("answer", self.folder, {}, state="refused", line=_BROKEN_OFF)
            self.answers.append(Answer(str(unfinished["run"]), Choices.of(unfinished["choices"]), job))
        self._begin(Choices.of(document["choices"]))

    def _begin(self, choices: Choices) -> None:
        """Begin with another image; what was chosen for the one before cannot be undone to, an answer of it goes on."""
        self._before.clear()
        self._after.clear()
        for job in (self.look, self.reading):
            if job is not None:
                self.desk.cancel(job)
        self.reading, self.picked, self._read, self.trouble, self.choices = None, None, None, "", choices
        self.look = self.desk.submit(Job("look", self.folder, {"choices": asdict(choices)}))
        self._follow()

    def _step(self, choices: Choices) -> None:
        self._before = [*self._before[-_MOST_STEPS:], self.choices]
        self._after.clear()
        self._go(choices)

    def _go(self, choices: Choices) -> None:
        self.choices, self.trouble = choices, ""
        self._follow()

    def _follow(self) -> None:
        """Find the fibres anew where the choices ask for it."""
        self.stamp += 1
        over = self.reading is None or self.reading.state in ("failed", "cancelled")
        if not self.choices.has_sizes or (self._current and not over):
            return
        if self.reading is not None:
            self.desk.cancel(self.reading)
        self._read, self.picked = self.choices, None
        self.reading = self.desk.submit(Job("read", self.folder, {"choices": asdict(self.choices)}))


def _outcome(job: Job) -> dict[str, Any]:
    """How an answer ended, as plain values."""
    if job.state == "done":
        return {"result": job.result}
    return {"result": job.result, "line": job.line, "remedies": job.remedies, "reached": job.reached}


def cubic_depth(pixel_size: str) -> str:
    """Return the depth, with its unit, of a single image whose voxels are to be cubes; K does not depend on it.

    Raises:
        InvalidInputError: no length.
    """
    return f"{1e6 * EXTRUDED_SLICES * read_length('pixel size', pixel_size):.6g}um"


class Sessions:
    """All sessions of a server, by their keys."""

    def __init__(self, work: WorkFolder, desk: Desk) -> None:
        self.work = work
        self.desk = desk
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def new(self) -> Session:
        """Begin a session in a folder of its own."""
        session = Session(secrets.token_urlsafe(16), self.work.new_session(), self.desk)
        with self._lock:
            self._sessions[session.key] = session
        return session

    def find(self, key: str) -> Session | None:
        """Return the session of a key, or take up one that a server before left in the folder; None where there is none."""
        with self._lock:
            if key not in self._sessions:
                session = self._left(key)
                if session is not None:
                    self._sessions[key] = session
            return self._sessions.get(key)

    def _left(self, key: str) -> Session | None:
        """The session of a key whose folder a server before has written; what cannot be read of it is left alone."""
        for folder in self.work.sessions():
            try:
                document = json.loads((folder / "session.json").read_text(encoding="utf-8"))
                if not isinstance(document, dict) or not secrets.compare_digest(str(document.get("key")), key):
                    continue
                session = Session(key, folder, self.desk)
                session.restore(document)
            except (OSError, ValueError, KeyError, TypeError):
                continue
            return session
        return None
