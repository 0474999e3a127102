"""The iterate of a long solve in a file: what is left of it when it is interrupted, and what it goes on from.

The file (.npz) holds the iterate in double precision, its history, and which flow through which medium it is. Its place is
taken whole or not at all. It is written at intervals, so that a machine that fails costs no more than the last of them, and
when the solve is interrupted.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Drive, InvalidInputError, Microstructure, ResinflowError, check_npz, replacing
from resinflow.stokes.problem.mask import WallRule

SHORTEST_INTERVAL = 30.0
"""Seconds of work between two writings, at least."""
_SHARE = 0.015
"""Part of the time that writing may take."""
_SLOWEST = 200e6
"""Bytes a second, by which the time of the first writing is estimated."""
_FORMAT = "resinflow state 1"
_log = logging.getLogger(__name__)

_WORDS = {
    "medium": "another medium",
    "axis": "a flow along {theirs}; this one is along {ours}",
    "pressure_drop": "a pressure drop of {theirs:g} Pa; this one is {ours:g} Pa",
    "viscosity": "a viscosity of {theirs:g} Pa s; this one is {ours:g} Pa s",
    "boundary": "a flow with the boundary {theirs}; this one has {ours}",
    "lateral": "a flow with the lateral faces {theirs}; this one has {ours}",
    "wall_rule": "a flow with the wall rule {theirs}; this one has {ours}",
}


@dataclass(frozen=True, eq=False)
class Iterate:
    """What an interrupted solve had reached.

    Attributes:
        values: the iterate, as its solver lays it out.
        iterations: steps made.
        seconds: time they took, set-up included.
        residuals: norms of the residual after every step.
    """

    values: NDArray[np.float64]
    iterations: int
    seconds: float
    residuals: tuple[float, ...]


class StateFile:
    """The file of one solve: read at its start, written at intervals, removed at its end; use it inside :meth:`keeping`."""

    def __init__(self, path: str | Path, micro: Microstructure, drive: Drive, wall_rule: WallRule, started_at: float) -> None:
        """``started_at``: ``time.perf_counter()`` when the solve began, its set-up included."""
        self.path = Path(path)
        self._identity = {"medium": _digest(micro), **asdict(drive), "wall_rule": wall_rule}
        self._earlier, self._started_at = 0.0, started_at
        self._latest: tuple[NDArray[np.float64], int, Sequence[float]] | None = None
        self._written_at, self._interval = time.perf_counter(), 0.0

    def load(self, shape: tuple[int, ...]) -> Iterate | None:
        """Return what an earlier solve left, or None where there is no file.

        Args:
            shape: of the iterate.

        Raises:
            InvalidInputError: the file is no state, damaged, or that of another medium, drive or wall rule.
        """
        if not self.path.exists():
            return None
        header, values = self._read()
        for name, ours in self._identity.items():
            if header["identity"].get(name) != ours:
                what = _WORDS[name].format(theirs=header["identity"].get(name), ours=ours)
                raise InvalidInputError(
                    f"{self.path} is the state of {what}; needed: the medium and the options of the interrupted solve, "
                    "or another place for the state."
                )
        if values.shape != shape or values.dtype != np.float64 or not np.isfinite(np.vdot(values, values)):
            raise InvalidInputError(f"{self.path} {_DAMAGED}")
        self._earlier = float(header["seconds"])
        return Iterate(values, int(header["iterations"]), self._earlier, tuple(map(float, header["residuals"])))

    def _read(self) -> tuple[dict, NDArray]:
        try:
            check_npz(self.path)
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                if header["format"] != _FORMAT or not {"identity", "iterations", "seconds", "residuals"} <= set(header):
                    raise InvalidInputError("another format")
                return header, file["values"]
        except MemoryError:
            raise
        except (ResinflowError, Exception) as error:  # a truncated or foreign file has errors of many kinds
            raise InvalidInputError(f"{self.path} {_DAMAGED}") from error

    def note(self, values: NDArray[np.float64], iterations: int, residuals: Sequence[float]) -> None:
        """Take note of the iterate (no copy); write it where that is due.

        A place that cannot be written any more ends no solve: it is tried again after the next interval.
        """
        self._latest = (values, iterations, residuals)
        self._interval = self._interval or max(SHORTEST_INTERVAL, values.nbytes / _SLOWEST / _SHARE)
        began = time.perf_counter()
        if began - self._written_at < self._interval:
            return
        try:
            self.save()
        except InvalidInputError as error:
            _log.warning("the state of the solve is not kept: %s", error)
        self._written_at = time.perf_counter()
        self._interval = max(SHORTEST_INTERVAL, (self._written_at - began) / _SHARE)

    def save(self) -> bool:
        """Write the latest iterate; return whether there was one.

        Raises:
            InvalidInputError: the place cannot be written.
        """
        if self._latest is None:
            return False
        values, iterations, residuals = self._latest
        header = {
            "format": _FORMAT,
            "identity": self._identity,
            "iterations": iterations,
            "seconds": self._earlier + time.perf_counter() - self._started_at,
            "residuals": list(residuals),
        }
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), values=values)
        return True

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Write the iterate where the block is interrupted (Ctrl-C, SIGTERM); remove the file where it ends well."""
        try:
            yield
        except KeyboardInterrupt:
            self.save()
            raise
        with suppress(OSError):  # none was written, or its place is gone
            self.path.unlink()


_DAMAGED = (
    "is damaged, or no state of a solve on this grid; needed: the file that an interrupted solve left. Choose another place "
    "for the state, or remove the file to start anew."
)


def _digest(micro: Microstructure) -> str:
    """The identity of a medium with its fibre surfaces."""
    if micro.signed_distance is None:
        return micro.fingerprint
    digest = sha256(micro.fingerprint.encode())
    digest.update(np.ascontiguousarray(micro.signed_distance, dtype="<f8").data)
    return digest.hexdigest()
