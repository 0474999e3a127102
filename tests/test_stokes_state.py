"""Claims about interrupted solves: what is kept, that a solve goes on from it to the same answer, and what is refused."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import Axis, Boundary, ConvergenceError, Drive, InvalidInputError, Lateral, Microstructure, SolverReport
from resinflow.media import fibre_bundle
from resinflow.stokes import WallRule, solve, solve_finer, state_file
from resinflow.stokes.algebra.pool import Pool
from tests.commands import refusal, run
from tests.test_interruptions import WORDS, end_group, start, wait_for

TOLERANCE = 1e-8
CASES: list[tuple[int, Axis, Boundary, Lateral, WallRule]] = [
    (4, "x", "pressure", "symmetry", "surface"),
    (4, "z", "pressure", "no-slip", "plain"),
    (4, "y", "periodic", "periodic", "gap"),
    (1, "x", "pressure", "symmetry", "plain"),
    (1, "z", "pressure", "symmetry", "surface"),
]


def bundle(slices: int, seed: int = 3) -> Microstructure:
    """A bundle whose slices differ, unless there is but one."""
    return fibre_bundle((slices, 20, 28), (slices * 3e-6, 30e-6, 42e-6), seed=seed, volume_fraction=0.4)


class Interruption:
    """Ends a solve like Ctrl-C when it has told K a number of times."""

    def __init__(self, count: int) -> None:
        self.count = count

    def follow(self, permeability: float, error: float) -> None:
        self.count -= 1
        if self.count == 0:
            raise KeyboardInterrupt


def interrupt(micro: Microstructure, drive: Drive, state: Path, count: int = 4, wall_rule: WallRule = "surface") -> None:
    with pytest.raises(KeyboardInterrupt):
        solve(micro, drive, tolerance=TOLERANCE, wall_rule=wall_rule, follow=Interruption(count).follow, state=state)
    assert state.is_file()


@pytest.mark.parametrize(("slices", "axis", "boundary", "lateral", "rule"), CASES)
def test_a_solve_goes_on_to_the_answer_of_one_that_ran_through(
    slices: int, axis: Axis, boundary: Boundary, lateral: Lateral, rule: WallRule, tmp_path: Path
):
    micro, drive, state = bundle(slices), Drive(axis, 1e5, 0.2, boundary, lateral), tmp_path / "a.state.npz"
    through = solve(micro, drive, tolerance=TOLERANCE, wall_rule=rule)
    interrupt(micro, drive, state, count=2 if slices == 1 and axis == "z" else 4, wall_rule=rule)
    resumed = solve(micro, drive, tolerance=TOLERANCE, wall_rule=rule, state=state)
    assert resumed.permeability == pytest.approx(through.permeability, rel=2 * TOLERANCE)
    speed = np.abs(through.velocity).max()
    assert np.abs(resumed.velocity - through.velocity).max() < 5 * np.sqrt(TOLERANCE) * speed
    assert list(tmp_path.iterdir()) == []


def test_work_is_not_done_twice_and_the_report_counts_all_of_it(tmp_path: Path):
    micro, drive, state = bundle(4), Drive("x"), tmp_path / "a.npz"
    through = solve(micro, drive, tolerance=TOLERANCE)
    told: list[int] = []
    interrupt(micro, drive, state, count=9)
    resumed = solve(micro, drive, tolerance=TOLERANCE, state=state, watch=lambda number, size: told.append(number))
    assert isinstance(through.report, SolverReport)
    assert isinstance(resumed.report, SolverReport)
    assert len(told) < 0.8 * through.report.iterations
    assert through.report.iterations <= resumed.report.iterations <= 1.5 * through.report.iterations
    assert len(resumed.report.residual_history) > len(told)
    assert resumed.report.residual_history[0] == 1.0


def test_many_interruptions_come_to_the_same_answer(tmp_path: Path):
    micro, drive, state = bundle(4), Drive("x"), tmp_path / "a.npz"
    for _ in range(4):
        interrupt(micro, drive, state, count=4)
    resumed = solve(micro, drive, tolerance=TOLERANCE, state=state)
    assert resumed.permeability == pytest.approx(solve(micro, drive, tolerance=TOLERANCE).permeability, rel=2 * TOLERANCE)


def test_an_interruption_of_the_set_up_keeps_what_an_earlier_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    micro, drive, state = bundle(4), Drive("x"), tmp_path / "a.npz"
    interrupt(micro, drive, state)
    before = state.read_bytes()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[solve.__module__], "TwoScale", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solve(micro, drive, state=state)
    assert state.read_bytes() == before


def test_a_finer_grid_goes_on_too(tmp_path: Path):
    micro, drive, state = bundle(2), Drive("y"), tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        solve_finer(micro, drive, follow=Interruption(3).follow, state=state)
    assert state.is_file()
    resumed = solve_finer(micro, drive, state=state)
    assert resumed.permeability == pytest.approx(solve_finer(micro, drive).permeability, rel=2e-4)
    assert not state.exists()


def test_a_solve_that_needs_more_iterations_goes_on_where_it_stopped(tmp_path: Path):
    micro, state = bundle(4), tmp_path / "a.npz"
    with pytest.raises(ConvergenceError, match=r"allow more iterations .* The field so far is kept in .*a\.npz"):
        solve(micro, tolerance=TOLERANCE, max_iterations=6, state=state)
    flow = solve(micro, tolerance=TOLERANCE, state=state)
    assert flow.permeability == pytest.approx(solve(micro, tolerance=TOLERANCE).permeability, rel=2 * TOLERANCE)


OTHERS = {
    "another medium": (bundle(4, seed=4), Drive("x"), "surface"),
    "another medium ": (replace(bundle(4), spacing=(3e-6, 1.5e-6, 1.6e-6)), Drive("x"), "surface"),
    "a flow along x; this one is along y": (bundle(4), Drive("y"), "surface"),
    "a pressure drop of 100000 Pa; this one is 200000 Pa": (bundle(4), Drive("x", 2e5), "surface"),
    "a viscosity of 0.1 Pa s; this one is 0.3 Pa s": (bundle(4), Drive("x", 1e5, 0.3), "surface"),
    "the boundary pressure; this one has periodic": (bundle(4), Drive("x", boundary="periodic"), "surface"),
    "the lateral faces symmetry; this one has no-slip": (bundle(4), Drive("x", lateral="no-slip"), "surface"),
    "the wall rule surface; this one has plain": (bundle(4), Drive("x"), "plain"),
}


@pytest.mark.parametrize("words", OTHERS)
def test_the_state_of_another_flow_is_refused_and_stays(words: str, tmp_path: Path):
    state = tmp_path / "a.npz"
    interrupt(bundle(4), Drive("x"), state)
    before = state.read_bytes()
    micro, drive, rule = OTHERS[words]
    with pytest.raises(InvalidInputError, match=words.strip()) as refused:
        solve(micro, drive, wall_rule=rule, state=state)
    assert "\n" not in str(refused.value)
    assert state.read_bytes() == before


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def altered(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - value for value in content[middle : middle + 64]) + content[middle + 64 :]


@pytest.mark.parametrize("damage", [truncated, altered, lambda content: b"", lambda content: b"PK text"])
def test_a_damaged_state_is_refused_in_one_line(damage, tmp_path: Path):
    state = tmp_path / "a.npz"
    interrupt(bundle(4), Drive("x"), state)
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(InvalidInputError, match=r"a\.npz is damaged, or no state") as refused:
        solve(bundle(4), Drive("x"), state=state)
    assert "\n" not in str(refused.value)


def test_a_foreign_archive_and_a_field_of_nan_are_refused(tmp_path: Path):
    state = tmp_path / "a.npz"
    solve(bundle(4)).save(state)
    with pytest.raises(InvalidInputError, match="no state"):
        solve(bundle(4), state=state)
    state.unlink()
    interrupt(bundle(4), Drive("x"), state)
    with np.load(state) as file:
        header, values = file["header"], file["values"]
    values[0, 3, 3] = np.nan
    np.savez(state, header=header, values=values)
    with pytest.raises(InvalidInputError, match="no state"):
        solve(bundle(4), state=state)


class Clock:
    """A clock that tells what a test says; writing takes time by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize("cost", [0.01, 1.0, 20.0])
def test_writing_takes_less_than_two_percent_of_the_time(cost: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock, spent = Clock(), []
    monkeypatch.setattr(state_file.time, "perf_counter", clock.perf_counter)
    file = state_file.StateFile(tmp_path / "a.npz", bundle(1), Drive("x"), "plain", 0.0)
    values = np.broadcast_to(np.zeros(1), (int(cost * state_file._SLOWEST / 8),))  # as large as what takes so long

    def save() -> bool:
        clock.now += cost
        spent.append(cost)
        return True

    monkeypatch.setattr(file, "save", save)
    while clock.now < 300 * max(cost, 1.0):
        clock.now += 1.0
        file.note(values, 1, [1.0])
        assert sum(spent) < 0.02 * clock.now
    assert len(spent) > 2


def test_a_place_that_can_be_written_no_more_ends_no_solve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_file, "SHORTEST_INTERVAL", 0.0)
    monkeypatch.setattr(state_file, "_SLOWEST", np.inf)
    (tmp_path / "file").write_text("")
    micro = bundle(4)
    flow = solve(micro, state=tmp_path / "file" / "a.npz")
    assert flow.permeability == solve(micro).permeability


OFTEN = """
import sys
from resinflow.stokes import state_file
state_file.SHORTEST_INTERVAL, state_file._SLOWEST, state_file._SHARE = 0.0, float("inf"), float("inf")
from resinflow.cli.app import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_command_that_a_signal_ends_goes_on_with_resume(number: signal.Signals, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    micro = fibre_bundle((24, 72, 72), (36e-6, 108e-6, 108e-6), seed=2, volume_fraction=0.5)
    np.save("mask.npy", (~micro.fluid).astype(np.uint8))
    words = ("mask.npy", "--pixel-size", "1.5um", "--depth", "36um", "--front-end", "classical", "--tolerance", "1e-10")
    state = tmp_path / "mask-x.state.npz"
    monkeypatch.setattr("tests.test_interruptions.COMMAND", (sys.executable, "-c", OFTEN))
    process = start("solve", *words)
    wait_for(process, state.is_file)
    status, lines = end_group(process, number)
    if number in WORDS:
        assert (status, len(lines)) == (WORDS[number][0], 1), lines
        assert lines[0].startswith(f"{WORDS[number][1]}; the field so far is in mask-x.state.npz. Go on from it with: resin")
        assert lines[0].endswith("--resume")
    line = refusal(capsys, "solve", *words)
    assert "mask-x.state.npz holds the field of a solve that was interrupted; needed: --resume" in line
    line = refusal(capsys, "solve", *words, "--axis", "y", "--state", state, "--resume")
    assert "is the state of a flow along x; this one is along y" in line
    run("solve", *words, "--resume")
    assert "goes on from mask-x.state.npz" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["mask.npy"]


def test_the_state_lies_beside_the_first_output_and_without_one_resume_starts_anew(tmp_path: Path, capsys):
    np.save(tmp_path / "mask.npy", (~bundle(3).fluid).astype(np.uint8))
    words = (tmp_path / "mask.npy", "--pixel-size", "1.5um", "--depth", "9um", "--front-end", "classical")
    (tmp_path / "flow.state.npz").write_text("")
    assert "flow.state.npz holds the field" in refusal(capsys, "solve", *words, "--output", tmp_path / "flow.npz")
    assert "flow.state.npz is damaged" in refusal(capsys, "solve", *words, "--output", tmp_path / "flow.npz", "--resume")
    assert "a.txt" in refusal(capsys, "solve", *words, "--state", tmp_path / "a.txt")
    run("solve", *words, "--output", tmp_path / "other.npz", "--resume")
    assert "there is no field to go on from: the solver starts anew" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flow.state.npz", "mask.npy", "other.npz"]


def test_an_interruption_finds_whole_arrays_on_every_thread():
    ended: list[int] = []

    def work(low: int, high: int) -> None:
        if low == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        ended.append(low)

    with Pool(3) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.run(work, 300, 1_000_000)
        assert sorted(ended) == [100, 200]
