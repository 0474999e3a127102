"""Claims about the reproducing lines: the commands and the Python lines of an answer give it again, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from resinflow.app.answer import answer
from resinflow.app.computing import look, read
from resinflow.app.reproduction import command_lines, python_lines
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import WorkFolder, keep_medium
from resinflow.cli.app import main
from resinflow.flow import ConvergenceError, FlowField
from resinflow.media import BundleSettings, Stroke, draw_micrograph, fibre_bundle, save_stack
from tests.drawn_images import drawn_greys


class Silent:
    """Progress that nobody follows."""

    def stage(self, text: str) -> None:
        assert text

    def count(self, text: str, done: int, total: int) -> None:
        assert 0 <= done <= total

    def follow(self, permeability: float, error: float | None) -> None:
        assert permeability >= 0

    def draws(self, text: str, values: Sequence[float], total: int) -> None:
        assert 0 < len(values) <= total

    def watch(self, iteration: int, residual: float) -> None:
        assert residual >= 0

    def part(self, **values: object) -> None:
        json.dumps(values)  # what goes through a pipe is plain


QUESTIONS = {
    "solve": {"task": "solve", "axis": "y", "viscosity": 0.033, "pressure_drop": 2e5},
    "thresholds, crop and brush": {
        "task": "solve",
        "front_end": "classical",
        "level": 0.5,
        "fibres": "dark",
        "crop": "4:60,2:58",
        "strokes": [{"points": [[30, 30], [33, 31]], "radius": 4, "adds": True}],
        "lateral": "no-slip",
    },
    "periodic": {"task": "solve", "front_end": "classical", "boundary": "periodic", "lateral": "periodic", "axis": "z"},
    "predict with a brush": {"strokes": [{"points": [[20, 40]], "radius": 3, "adds": False, "first": 1, "last": 2}]},
    "labels": {"task": "solve", "fibre_label": "1,2", "crop": "0:40,0:40"},
    "media round one image": {"draws": True, "misalignment": 5.0, "crop": "0:32,0:32"},
    "media of unknown tilt round one image, thresholds": {
        "draws": True,
        "front_end": "classical",
        "level": 0.5,
        "crop": "0:32,4:36",
        "axis": "y",
        "strokes": [{"points": [[20, 20]], "radius": 3, "adds": True}],
    },
    "finer": {"task": "solve", "finer": True, "crop": "0:32,0:32"},
    "looser, walls at the pixels": {"task": "solve", "tolerance": 1e-3, "wall_rule": "plain", "crop": "0:32,0:32"},
    "tensor": {"task": "tensor", "crop": "0:40,0:40"},
    "tensor of more iterations": {
        "task": "tensor",
        "crop": "0:32,0:32",
        "tolerance": 1e-4,
        "max_iterations": 400,
        "wall_rule": "plain",
    },
    "periodic tensor": {"task": "tensor", "crop": "0:32,0:32", "boundary": "periodic", "lateral": "periodic"},
    "tow": {"task": "tow", "lateral": "periodic", "tolerance": 1e-3, "wall_rule": "plain"},
    "tow of one image": {"task": "tow", "misalignment": 2.0, "pixel_error": 1.5, "front_end": "classical", "level": 0.5},
}
QUICK = ("solve",)


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in QUESTIONS])
def test_commands_and_python_lines_give_the_answer_again_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = WorkFolder(tmp_path / "work").new_session()
    monkeypatch.chdir(folder)
    single = slice(0, 1) if "one image" in name else slice(None)
    halves = 1 + (np.arange(64) >= 32)
    greys = ((drawn_greys() < 128) * halves).astype(np.uint8) if name == "labels" else drawn_greys()
    save_stack(folder / "input" / "image.tif", tow_greys(len(range(3)[single])) if "tow" in name else greys[single])
    sizes = {"image": "input/image.tif", "name": "drawn.tif", "pixel_size": "0.78125um", "depth": "50um"}
    choices = Choices.of({**sizes, **QUESTIONS[name]})
    look(folder, choices)
    read(folder, choices, Silent())
    keep_medium(folder, "answer-1")
    files = answer(folder, choices, "answer-1", Silent())["files"]
    assert {"reproduce.sh", "reproduce.py", "numbers.csv"} <= set(files)
    run = folder / "answer-1"
    for line in (run / "reproduce.sh").read_text().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "resinflow"
        main(arguments)
    capsys.readouterr()
    if choices.task == "tensor":
        check_tensor(run)
        return
    if choices.task == "tow":
        check_tow(run)
        return
    told, again = (FlowField.load(run / file) for file in ("flow.npz", "again.npz"))
    check_alike(told, again)
    (run / "again.npz").unlink()
    run_python(run / "reproduce.py", folder)
    check_alike(told, FlowField.load(run / "again.npz"))


GIVING_UP = {
    "solve": ({"task": "solve", "crop": "0:32,0:32", "max_iterations": 3, "tolerance": 1e-9}, 3),
    "finer": ({"task": "solve", "crop": "0:32,0:32", "max_iterations": 2, "finer": True, "axis": "y"}, 2),
    "along a single image": (
        {"task": "solve", "crop": "0:32,0:32", "max_iterations": 2, "axis": "z", "front_end": "classical", "level": 0.5},
        2,
    ),
}
"""Questions whose solver gives up, and goes on; how often it is run at least."""


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in GIVING_UP])
def test_a_solver_that_gave_up_goes_on_and_its_lines_give_the_answer_again_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    values, least = GIVING_UP[name]
    folder = WorkFolder(tmp_path / "work").new_session()
    monkeypatch.chdir(folder)
    save_stack(folder / "input" / "image.tif", drawn_greys()[:1] if "single" in name else drawn_greys())
    sizes = {"image": "input/image.tif", "name": "drawn.tif", "pixel_size": "0.78125um", "depth": "50um"}
    choices = Choices.of({**sizes, **values})
    read(folder, choices, Silent())
    keep_medium(folder, "answer-1")
    runs = 1
    while (error := stopped(folder, choices, runs)) is not None:
        assert "more iterations" in error.remedies
        assert f"kept in answer-{runs}/so-far.npz" in str(error)
        runs += 1
        keep_medium(folder, f"answer-{runs}", f"answer-{runs - 1}")
    assert runs >= least
    run = folder / f"answer-{runs}"
    assert not (run / "so-far.npz").exists()
    *readings, line = (run / "reproduce.sh").read_text().splitlines()
    for reading in readings:
        main(shlex.split(reading)[1:])
    *first, last = line.split(" || ")
    for command in first:
        with pytest.raises(SystemExit):
            main(shlex.split(command)[1:])
    main(shlex.split(last)[1:])
    capsys.readouterr()
    told, again = (FlowField.load(run / file) for file in ("flow.npz", "again.npz"))
    check_alike(told, again)
    (run / "again.npz").unlink()
    run_python(run / "reproduce.py", folder)
    check_alike(told, FlowField.load(run / "again.npz"))


def stopped(folder: Path, choices: Choices, runs: int) -> ConvergenceError | None:
    """Compute an answer in its last run; return why its solver gave up, None where it did not."""
    try:
        answer(folder, replace(choices, runs=runs), f"answer-{runs}", Silent())
    except ConvergenceError as error:
        return error
    return None


def tow_greys(slices: int) -> NDArray[np.uint8]:
    """A micrograph of enough fibres for two windows along either edge."""
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    extent = (slices * 1e-6, 66e-6, 66e-6)
    return draw_micrograph(fibre_bundle((slices, 66, 66), extent, seed=8, settings=settings), seed=1)


def run_python(script: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=250, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr


def check_alike(told: FlowField, again: FlowField) -> None:
    assert again.permeability == told.permeability
    assert again.permeability_interval == told.permeability_interval
    assert np.array_equal(again.velocity, told.velocity)
    assert np.array_equal(again.pressure, told.pressure)


def check_tensor(run: Path) -> None:
    told = json.loads((run / "tensor.json").read_text())
    with (run / "again.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["K_m2"]) for row in rows] == [told["values_m2"][k][k] for k in range(3)]
    run_python(run / "reproduce.py", run.parent)
    assert json.loads((run / "again.json").read_text())["values_m2"] == told["values_m2"]


def check_tow(run: Path) -> None:
    told, again = (json.loads((run / name).read_text()) for name in ("tow.json", "again.json"))
    assert again["budget"] == told["budget"]
    assert again["tensor"]["values_m2"] == told["tensor"]["values_m2"]
    assert len((run / "map.csv").read_text().splitlines()) >= 5
    assert not list(run.glob(".windows*"))
    run_python(run / "reproduce.py", run.parent)
    once_more = json.loads((run / "again.json").read_text())
    assert once_more["budget"] == told["budget"]
    assert once_more["upscaled_m2"] == told["upscaled_m2"]


def test_a_question_about_drawn_media_names_the_tilt_or_that_it_is_unknown():
    tilted, unknown = (Choices.of({"draws": True, "misalignment": tilt}) for tilt in (5.0, None))
    assert command_lines(tilted, "answer-1")[0].count("--misalignment 5.0") == 1
    assert "--misalignment unknown" in command_lines(unknown, "answer-1")[0]
    assert "misalignment=None" in python_lines(unknown, "answer-1")
    assert "--misalignment" not in command_lines(Choices(misalignment=5.0), "answer-1")[0]


def test_a_stroke_in_the_question_is_a_file_of_the_answer():
    choices = Choices.of({"strokes": [{"points": [[1, 2]], "radius": 3, "adds": True}]})
    assert choices.strokes == (Stroke(((1.0, 2.0),), 3.0, adds=True),)
