"""Planar pressure and response flow of media whose 3-D flow came from elsewhere: solved, and kept for the next use."""

from __future__ import annotations

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.core import ConvergenceError, InvalidInputError, Microstructure
from resinflow.core.files import replacing
from resinflow.data.schema import FIELDS
from resinflow.stokes import planar_flow, response_flow

DERIVED = ("planar_pressure", "response_velocity", "response_pressure", "response_permeability")
"""Fields that the published layout lacks and the solver can add."""
MEMORY = 2**30
"""Bytes of derived flows kept in memory."""

Derived = dict[str, NDArray[Any]]


def derive_flows(micro: Microstructure, attributes: Mapping[str, Any]) -> Derived:
    """Return the fields ``DERIVED`` of a medium under the data set's pressure drop and viscosity, typed as a store keeps them.

    Raises:
        InvalidInputError: a medium without planar flow (a slice without fibre), or one that the solver gives up.
    """
    drive = {"pressure_drop": attributes["pressure_drop"], "viscosity": attributes["viscosity"]}
    try:
        planar, response = planar_flow(micro, **drive), response_flow(micro, **drive)
    except ConvergenceError as error:
        raise InvalidInputError(str(error)) from None
    values = (planar.pressure, response.velocity, response.pressure, response.permeability)
    return {name: np.asarray(value, dtype=FIELDS[name].dtype) for name, value in zip(DERIVED, values, strict=True)}


class DerivedFlows:
    """Derived flows by medium, in memory (the latest up to ``MEMORY`` bytes) and, where asked, in a folder.

    Several processes may use one folder: a file appears whole, and two that solve the same medium write the same.

    Args:
        folder: where they are kept between runs; made on first use. None: in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, Derived] = OrderedDict()
        self._bytes = 0

    def get(self, micro: Microstructure, attributes: Mapping[str, Any]) -> Derived:
        """Return the derived flows of a medium, solved on first use.

        Raises:
            InvalidInputError: as :func:`derive_flows`, or a damaged file in the folder.
        """
        story = f"{micro.fingerprint} {attributes['pressure_drop']!r} {attributes['viscosity']!r}"
        key = hashlib.sha256(story.encode()).hexdigest()[:32]
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = self._from_folder(key, lambda: derive_flows(micro, attributes))
        self._kept[key] = found
        self._bytes += _size(found)
        while self._bytes > MEMORY and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return found

    def _from_folder(self, key: str, solve: Callable[[], Derived]) -> Derived:
        if self._folder is None:
            return solve()
        file = self._folder / f"{key}.npz"
        if not file.is_file():
            found = solve()
            with replacing(file) as temporary:
                np.savez(temporary, **found)  # type: ignore[arg-type]
            return found
        try:
            with np.load(file, allow_pickle=False) as opened:
                return {name: opened[name] for name in DERIVED}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InvalidInputError(f"{file} cannot be read ({error}); remove it, it is made again.") from None


def _size(values: Derived) -> int:
    return sum(value.nbytes for value in values.values())
