"""How a command ends: one line on stderr and a status, whatever happens."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from cyclopts import CycloptsError

from resinflow.flow import ResinflowError, Terminated

_ERROR = 2
_FAULT = 70
"""EX_SOFTWARE of sysexits.h: an internal fault."""
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_TERMINATED = 143
_ALLOCATORS = ("DefaultCPUAllocator: ", "CUDA out of memory")
"""How torch, whose errors are no MemoryError, says that memory was short."""
_GO_ON = "nothing half-written is left. Long jobs go on when the same command is run again."
_LONGEST = 200
"""Characters of a command that a message repeats."""


@contextmanager
def one_line_ending(arguments: Sequence[str]) -> Iterator[None]:
    """Turn every exception of the block into one line on stderr and a status.

    2: an error that the user or the machine causes. 70: a fault of resinflow; its traceback goes to a file in the temporary
    folder. 130: Ctrl-C. 143: SIGTERM; what an interruption
    says, if anything, is in the line. Warnings and log lines of libraries are not shown: what a user must know is in our own.
    """
    try:
        with _terminable(), _quiet_libraries():
            yield
    except (ResinflowError, CycloptsError) as error:
        _end(f"error: {error}", _ERROR)
    except KeyboardInterrupt as error:
        sys.unraisablehook = lambda _: None  # destructors of libraries meet what the signal has ended, and so do their tasks
        logging.getLogger("asyncio").disabled = True
        word, status = ("ended by SIGTERM", _TERMINATED) if isinstance(error, Terminated) else ("interrupted", _INTERRUPTED)
        _end(f"{word}; {str(error) or _GO_ON}", status)
    except BrokenPipeError:  # the reader of our output (head, less) has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(_BROKEN_PIPE)
    except MemoryError as error:
        _end(_short_of_memory(error), _ERROR)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            _end(_fault(error, arguments), _FAULT)
        _end(
            f"error: {error.filename} cannot be used: {error.strerror}; choose another one, or change its permissions.", _ERROR
        )
    except Exception as error:  # the last line of defence
        if any(words in str(error) for words in _ALLOCATORS):
            _end(_short_of_memory(error), _ERROR)
        _end(_fault(error, arguments), _FAULT)


def _end(line: str, status: int) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.exit(status)


def printable(text: str) -> str:
    """Return text as one line without control characters and lone surrogates, which names of files may hold."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def _short_of_memory(error: Exception) -> str:
    detail = f" ({' '.join(str(error).split())[:_LONGEST]})" if str(error) else ""
    return (
        f"error: the memory of this machine does not suffice{detail}; needed: a smaller medium or model, or a larger machine."
    )


def _fault(error: Exception, arguments: Sequence[str]) -> str:
    command = shlex.join(["resinflow", *arguments])
    command = command if len(command) <= _LONGEST else f"{command[:_LONGEST]}..."
    cause = f"{type(error).__name__}: {error}"[:_LONGEST]
    return f"error: {command} failed by a fault of resinflow ({cause}); {_saved_traceback(error, command)}."


def _saved_traceback(error: Exception, command: str) -> str:
    text = f"{command}\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="resinflow-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError as failure:
        return f"its traceback could not be saved ({failure.strerror})"
    return f"please report it with its traceback, which is in {file.name}"


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM an interruption, so that what is half-written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep lines of libraries from standing before ours; ``python -W`` and PYTHONWARNINGS show their warnings again."""
    silent = logging.NullHandler()
    logging.getLogger().addHandler(silent)  # else the logging module prints what has no handler
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook
        logging.getLogger().removeHandler(silent)
