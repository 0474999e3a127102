"""Errors whose message names the fault, what is needed, and what to do.

Every error that a user can cause derives from :class:`ResinflowError`; the command line prints its message as one line and
exits with status 2.
"""

from __future__ import annotations

from typing import Literal

Remedy = Literal["more iterations", "looser tolerance", "voxel mask", "smaller voxels", "voxels like cubes", "solver"]
"""What helps a solve that stopped: ``voxel mask`` is the wall rule ``plain``, ``solver`` the whole medium's solve."""


class ResinflowError(Exception):
    """Base of all errors whose message is meant for the user as it stands."""


class InvalidInputError(ResinflowError, ValueError):
    """An array, file, number or option that cannot be used; the message says what it is and what is needed."""


class BlockedMediumError(InvalidInputError):
    """Nothing flows through the medium along the axis: K = 0."""


class ConvergenceError(ResinflowError, RuntimeError):
    """The solver stopped before it reached the tolerance; no field is returned.

    Args:
        message: what it reached, what is needed, and what helps.
        error: estimated relative error of K that it reached; infinite where it has none.
        remedies: what helps, the best first.
    """

    def __init__(self, message: str, error: float = float("inf"), remedies: tuple[Remedy, ...] = ()) -> None:
        super().__init__(message)
        self.error = error
        self.remedies = remedies


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a queueing system or a machine that shuts down ends a process: an interruption like Ctrl-C."""


class MissingDependencyError(ResinflowError, ImportError):
    """An optional library is needed; the message names the extra that installs it."""
