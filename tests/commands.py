"""The command line as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from resinflow.cli.app import main


def run(*arguments: str | Path) -> None:
    """Run a command that must succeed."""
    main([str(argument) for argument in arguments])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that must fail, and return its one line."""
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]
