"""A source of samples, whatever its layout on disk: what training and evaluation are written against."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resinflow.data.division import Division, Fold, canonical_fingerprint, divide_again
from resinflow.data.info import DataInfo
from resinflow.data.sample import Sample
from resinflow.data.statistics import measure_statistics
from resinflow.flow import InvalidInputError, Microstructure


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
            InvalidInputError: the sample is not there, or damaged.
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
        """Statistics of the training samples (:func:`resinflow.data.statistics.measure_statistics`).

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


def data_fingerprint(source: FlowSource) -> str:
    """Return one sha256 over the fingerprints of all media of a data set and its splits."""
    digest = hashlib.sha256(source.read("fingerprint").tobytes())
    digest.update(json.dumps(source.attributes.get("splits"), sort_keys=True).encode())
    return digest.hexdigest()
