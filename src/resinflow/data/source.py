"""A source of samples with any layout on disk; training and evaluation use nothing else."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self, TypedDict, TypeVar, Unpack, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resinflow.data.division import Division, Fold, canonical_fingerprint, divide_again
from resinflow.data.info import DataInfo
from resinflow.data.sample import Sample
from resinflow.flow import InvalidInputError, Microstructure

Item = TypeVar("Item")
Watch = Callable[[int, int], None]
"""Called with the numbers of finished and of all items."""


def watched(items: Iterable[Item], watch: Watch | None, total: int, finished: int = 0) -> Iterator[Item]:
    """Yield the items; ``watch`` is called at the start and as soon as the work on an item is finished.

    Args:
        items: what the caller works on, one after the other.
        watch: None: nobody watches.
        total: number of all items, those that were finished before included.
        finished: number of items that were finished before.
    """
    if watch:
        watch(finished, total)
    for number, item in enumerate(items, start=finished + 1):
        yield item
        if watch:
            watch(number, total)


class FlowUnits(TypedDict, total=False):
    """Physical numbers that a folder in the published layout does not say of itself, and stores and our own folders do."""

    pressure_drop: float | None
    """Pa along the flow axis."""
    viscosity: float | None
    """Pa s."""
    density: float | None
    """kg/m^3 where the stored pressure is kinematic, pressure over density, as OpenFOAM's incompressible solvers give."""


class FlowSource(ABC):
    """Samples of one shape, their division and their statistics. Opening and reading write nothing beside the data.

    Attributes:
        path: folder or URL.
    """

    path: Path | str

    def __init__(self, division: Division | None = None) -> None:
        self._division = division
        self._division_statistics: dict[str, Any] | None = None

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """What the data set says of itself as it is written, ``splits`` and ``statistics`` included once they are there."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""

    @property
    @abstractmethod
    def own_division(self) -> Division:
        """The division of the data set itself.

        Raises:
            InvalidInputError: none drawn yet.
        """

    @property
    @abstractmethod
    def own_statistics(self) -> dict[str, Any]:
        """Statistics of the training samples of :attr:`own_division`.

        Raises:
            InvalidInputError: none computed yet.
        """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of sample ``index``."""

    @abstractmethod
    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return field ``name`` of one sample, or of all.

        Raises:
            InvalidInputError: a field that the data set does not have, or that cannot be read.
        """

    @abstractmethod
    def sample(self, index: int) -> Sample:
        """Return sample ``index`` as flow fields.

        Raises:
            InvalidInputError: a sample that is not there or is damaged, or a medium that the solver cannot derive flows of.
        """

    @property
    def info(self) -> DataInfo:
        """What the data set says of itself, typed.

        Raises:
            InvalidInputError: an attribute that is missing or cannot be.
        """
        return DataInfo.of(self.attributes, self.path)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which samples are there, (samples,)."""
        return np.ones(len(self), dtype=bool)

    @property
    def division(self) -> Division:
        """Which samples train, validate and test: the one of :meth:`with_division`, or the data set's own.

        Raises:
            InvalidInputError: none drawn yet.
        """
        return self.own_division if self._division is None else self._division

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the training samples (:func:`measure_statistics`).

        Those of another division than the data set's own are measured on first use.

        Raises:
            InvalidInputError: none computed yet.
        """
        if self._division is None:
            return self.own_statistics
        if self._division_statistics is None:
            self._division_statistics = self.measured_statistics()
        return self._division_statistics

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation``, ``test`` or ``all``, (samples,).

        Raises:
            InvalidInputError: unknown split, or no split drawn yet.
        """
        return self.division.indices(split)

    def with_division(self, division: Division) -> Self:
        """Return the same samples under another division, whose statistics are those of its own training samples."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))  # files stay open, solved flows stay in memory
        FlowSource.__init__(other, division)
        return other

    def measured_statistics(self) -> dict[str, Any]:
        """Measure and return the statistics of the training samples.

        Raises:
            InvalidInputError: no split drawn yet, or a sample that is missing.
        """
        indices = self.indices("train").tolist()
        permeability = np.array([float(self.read("permeability", index)) for index in indices])
        return measure_statistics((self.sample(index) for index in indices), permeability)


def measure_statistics(samples: Iterable[Sample], permeability: NDArray[np.float64]) -> dict[str, Any]:
    """Return the statistics of training samples.

    ``correction_rms``: root mean square over fluid voxels of the 3-D flow minus the response flow, for vx, vy, vz in units of
    the response flow's RMS speed, and for the pressure in units of the pressure drop. ``correction_rms_grid``: the same against
    the solver's flow on the stored grid, where the data set has it. ``permeability``: mean, minimum and maximum, m^2.

    Args:
        samples: read one after the other.
        permeability: (samples,), m^2, as stored.
    """
    squares: dict[str, NDArray[np.float64]] = {}
    voxels = 0
    for sample in samples:
        fluid = sample.truth.microstructure.fluid
        voxels += int(fluid.sum())
        for name, base in (("correction_rms", sample.response), ("correction_rms_grid", sample.grid)):
            if base is None:
                continue
            speed = float(np.sqrt((base.velocity**2).sum(axis=0)[fluid].mean()))
            velocity = (sample.truth.velocity - base.velocity)[:, fluid] / speed
            pressure = (sample.truth.pressure - base.pressure)[None, fluid] / sample.truth.pressure_drop
            total = (np.concatenate([velocity, pressure]).astype(np.float64) ** 2).sum(axis=1)
            squares[name] = squares.get(name, np.zeros(4)) + total
    return {
        "samples": len(permeability),
        **{name: np.sqrt(total / voxels).tolist() for name, total in squares.items()},
        "permeability": {
            "mean": float(permeability.mean()),
            "min": float(permeability.min()),
            "max": float(permeability.max()),
        },
    }


def fold_division(source: FlowSource, fold: Fold) -> Division:
    """Return the division of one fold of a data set: training and validation samples divided anew.

    Copies of one medium, mirrored and rotated ones included, fall into one fold. The folds of one ``count`` are disjoint and
    cover the training and validation samples; the test samples stay.

    Raises:
        InvalidInputError: no split drawn yet, or more folds than media.
    """
    own = source.division
    prints = {index: canonical_fingerprint(source.microstructure(index)) for index in (*own.train, *own.validation)}
    division = divide_again(own, prints, fold)
    if division is None:
        raise InvalidInputError(
            f"{source.path} has {len(set(prints.values()))} media to train on; needed: at least one for {fold.count} folds."
        )
    return division


class SourceRecipe(BaseModel):
    """A data set named by a YAML file: what a folder in the published layout does not say of itself.

    Attributes:
        path: folder or URL; a relative one starts at the YAML file.
        pressure_drop: Pa.
        viscosity: Pa s.
        density: kg/m^3 if the pressure is kinematic.
        cache: folder for solved flows; a relative one starts at the YAML file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    pressure_drop: Annotated[float, Field(gt=0)] | None = None
    viscosity: Annotated[float, Field(gt=0)] | None = None
    density: Annotated[float, Field(gt=0)] | None = None
    cache: str | None = None

    def units(self, **units: Unpack[FlowUnits]) -> FlowUnits:
        """Return the physical numbers of the file, those of a call in the place of its own where they are not None."""
        own: FlowUnits = {"pressure_drop": self.pressure_drop, "viscosity": self.viscosity, "density": self.density}
        return own | cast(FlowUnits, {name: value for name, value in units.items() if value is not None})


def data_fingerprint(source: FlowSource) -> str:
    """Return one sha256 over the fingerprints of all media of a data set and its splits."""
    digest = hashlib.sha256(source.read("fingerprint").tobytes())
    digest.update(json.dumps(source.attributes.get("splits"), sort_keys=True).encode())
    return digest.hexdigest()
