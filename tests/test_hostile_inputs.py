"""Whatever a user, a stranger's file or a machine does ends in one line and a status, and never in a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings

import pytest

from resinflow.cli import app as application
from resinflow.cli.app import main


def ending(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run a command that must fail; return its status and its one line."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert isinstance(ended.value.code, int)
    return ended.value.code, lines[0]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status, line = ending(capsys, *arguments)
    assert status == 2, line
    assert line.startswith("error: ")
    return line


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command end with ``error``."""

    def fail(*_: object, **__: object) -> None:
        warnings.warn("of a library", stacklevel=1)
        raise error

    monkeypatch.setattr(application, "app", fail)


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), ValueError("a\nb"), OSError("no errno")])
def test_a_fault_of_ours_is_one_line_with_a_saved_traceback(error, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(monkeypatch, error)
    status, line = ending(capsys, "solve", "some file.tif")
    assert status == 70
    assert "resinflow solve 'some file.tif' failed by a fault of resinflow" in line
    (saved,) = tmp_path.iterdir()
    assert str(saved) in line
    assert "Traceback (most recent call last)" in saved.read_text()
    assert type(error).__name__ in saved.read_text()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (PermissionError(13, "Permission denied", "/data/a.zarr"), 2, "/data/a.zarr cannot be used: Permission denied"),
        (OSError(28, "No space left on device", "/data/b"), 2, "No space left"),
        (MemoryError("Unable to allocate 6 TiB"), 2, "memory of this machine does not suffice (Unable to allocate 6 TiB)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_the_machine_refuses_is_no_fault_of_ours(error, status, words, capsys, monkeypatch):
    failing(monkeypatch, error)
    code, line = ending(capsys, "solve", "a.tif")
    assert code == status
    assert words in line


def test_control_characters_and_surrogates_of_names_do_not_reach_the_terminal(capsys, monkeypatch):
    failing(monkeypatch, PermissionError(13, "Permission denied", "a\x1b[2J\udcff"))
    line = refused(capsys, "solve", "a.tif")
    assert r"a\x1b[2J\udcff" in line


SLOW = """
import sys, time
from pathlib import Path
from resinflow.cli import app
from resinflow.flow.atomic import replacing

def slow(*_, **__):
    with replacing(Path(sys.argv[1])) as temporary:
        temporary.mkdir()
        print("ready", flush=True)
        time.sleep(60)

app.app = slow
app.main()
"""


@pytest.mark.parametrize(("number", "status", "word"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "interrupted")])
def test_a_signal_ends_a_command_in_one_line_and_leaves_nothing(number, status, word, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "flow.zarr")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert len(errors.splitlines()) == 1
    assert word in errors
    assert list(tmp_path.iterdir()) == []
