"""The process that computes: it takes one task after another from its standard input and answers in lines of JSON.

It ends with its parent: at the end of its input it stops at once, whatever it does. Nothing of a task is kept for the next one.
"""

from __future__ import annotations

import io
import json
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from resinflow.app.user_choices import Choices
from resinflow.flow import ConvergenceError, ResinflowError

Lane = Literal["quick", "long"]
"""Which tasks a process gets: those that a page waits for, or answers."""
_SHORT = ("DefaultCPUAllocator: ", "CUDA out of memory")
"""How torch, whose errors are no MemoryError, says that memory was short."""
_LEAST_PAUSE = 0.1
"""Seconds between two reports of progress."""


class Channel:
    """The way back to the server: one line of JSON a message."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self._job = ""
        self._told_at = 0.0
        self._words = ""
        self._moment: dict[str, float | None] = {}

    def begin(self, job: str) -> None:
        """Send what follows as messages of a job."""
        self._job, self._told_at, self._words, self._moment = job, 0.0, "", {}

    def send(self, event: str, **values: Any) -> None:
        """Send a message."""
        self._stream.write(json.dumps({"job": self._job, "event": event, **values}) + "\n")
        self._stream.flush()

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        self._told_at = 0.0
        self.send("progress", stage=text)

    def follow(self, permeability: float, error: float | None) -> None:
        """Report K so far, m^2, and about its relative error, with the next iteration; at once where the error is unknown."""
        self._moment = {"permeability": permeability, "error": error}
        if error is None:
            self.send("progress", **self._moment)

    def count(self, text: str, done: int, total: int) -> None:
        """Say what is being done now, and how much of it is done; what was said before is not said again."""
        words = f"{text}: {done} of {total}"
        if words != self._words:
            self._words = words
            self.stage(words)

    def draws(self, text: str, values: Sequence[float], total: int) -> None:
        """Say what is being drawn now, with the mean K, m^2, of the draws so far and the interval of their scatter."""
        from resinflow.evaluate import permeability_range

        interval = permeability_range(values) if len(values) > 1 else None
        mean = sum(values) / len(values)
        stage = f"{text} {len(values)} of {total}"
        self.send("progress", stage=stage, permeability=mean, draws=len(values), interval=interval)

    def watch(self, iteration: int, residual: float) -> None:
        """Report an iteration of the solver, not more often than a reader can follow."""
        if time.monotonic() - self._told_at >= _LEAST_PAUSE:
            self._told_at = time.monotonic()
            self.send("progress", iteration=iteration, residual=residual, **self._moment)

    def part(self, **values: Any) -> None:
        """Send a part of the result before the rest."""
        self.send("part", result=values)


def main() -> None:
    """Work until the input ends."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints goes to the log
    channel = Channel(own)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    _prepare("quick" if sys.argv[1:] == ["quick"] else "long", tasks)
    channel.send("ready")
    while True:
        task = tasks.get()
        channel.begin(task["job"])
        _work(task, channel)


def _listen(tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def _prepare(lane: Lane, tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Load what takes seconds to load, by doing small tasks of the lane's kinds, until a task waits."""
    for step in (_read_a_little,) if lane == "quick" else (_predict_a_little, _import_drawing):
        if not tasks.empty():
            return
        try:
            step()
        except Exception:  # whatever it is, the task that meets it will tell it
            traceback.print_exc()  # to the server's log
            return


def _read_a_little() -> None:
    from resinflow.media import example_path, fibre_sections
    from resinflow.presets.surface.reading import read_medium

    fibre_sections(read_medium(example_path(), pixel_size="1um", depth="50um", crop="0:32,0:32"))


def _predict_a_little() -> None:
    from resinflow.flow import Drive
    from resinflow.media import fibre_bundle
    from resinflow.models import Sampling
    from resinflow.presets import load_model

    micro = fibre_bundle((3, 32, 32), (9e-6, 32e-6, 32e-6), seed=0)
    load_model("small").predict(micro, Drive("x", 1e5, 0.1), Sampling(samples=2))


def _import_drawing() -> None:
    import matplotlib.pyplot

    import resinflow.view

    _ = (matplotlib.pyplot, resinflow.view)
    if find_spec("pyvista") is not None:
        import_module("pyvista")


def compute(kind: str, folder: Path, values: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Return the result of a task as plain values; its files lie in the session's folder.

    Args:
        kind: ``look``, ``read``, ``pick`` or ``answer``.
        folder: of the session; also the current folder, so that files are named as the reproducing command names them.
        values: ``choices``; for an answer ``run``, the name of its folder; to pick a fibre ``x``, ``y`` and ``slice``.
        channel: where it says how far it is.

    Raises:
        ResinflowError: what cannot be done, in one line.
    """
    from resinflow.app.answer import answer
    from resinflow.app.computing import look, pick, read

    choices = Choices.of(values["choices"])
    if kind == "look":
        return look(folder, choices)
    if kind == "read":
        return read(folder, choices, channel)
    if kind == "pick":
        return pick(folder, choices, values["x"], values["y"], values["slice"])
    return answer(folder, choices, values["run"], channel)


def _work(task: dict[str, Any], channel: Channel) -> None:
    """Compute one task and send how it ended."""
    try:
        folder = Path(task["folder"])
        os.chdir(folder)
        channel.send("done", result=compute(task["kind"], folder, task["values"], channel))
    except ConvergenceError as error:
        reached = error.error if math.isfinite(error.error) else None
        channel.send("refused", line=" ".join(str(error).split()), remedies=error.remedies, reached=reached)
    except ResinflowError as error:
        channel.send("refused", line=" ".join(str(error).split()))
    except MemoryError:
        channel.send("refused", line="the memory of this machine does not suffice; needed: a smaller medium: crop the image.")
    except Exception as error:  # the last line of defence: the server goes on
        if any(words in str(error) for words in _SHORT):
            channel.send(
                "refused", line="the memory of this machine does not suffice; needed: a smaller medium: crop the image."
            )
            return
        channel.send("fault", line=f"{type(error).__name__}: {error}"[:200], trace=traceback.format_exc())


if __name__ == "__main__":
    main()
