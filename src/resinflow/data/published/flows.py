"""A data set in the published layout as a source of samples: nothing is converted, nothing is written beside it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from resinflow.data.division import Division, canonical_fingerprint, draw_division
from resinflow.data.info import DataInfo
from resinflow.data.published.layout import PublishedSet, open_published
from resinflow.data.published.read import DERIVED, DerivedFlows, published_attributes, published_fields
from resinflow.data.sample import Sample, medium_from_fields, sample_from_fields
from resinflow.data.schema import ALL_FIELDS
from resinflow.data.source import FlowSource, FlowUnits
from resinflow.flow import InvalidInputError, Microstructure


class PublishedFlows(FlowSource):
    """Samples of a folder in the published layout (:mod:`resinflow.data.published.layout`), read when they are asked for.

    Samples, splits and statistics are those of the store that ``resinflow data convert --derive`` makes of the same folder.
    What the layout lacks, planar pressure and response flow, is solved on first use and kept in memory or in ``cache``.

    Attributes:
        path: the folder.

    Args:
        path: the folder.
        cache: folder that keeps solved flows between runs; None: memory alone.
        units: pressure drop (Pa), viscosity (Pa s) and density (kg/m^3) of a folder that resinflow did not write.

    Raises:
        InvalidInputError: a damaged folder, or a missing pressure drop or viscosity.
    """

    def __init__(self, path: str | Path, *, cache: str | Path | None = None, **units: Unpack[FlowUnits]) -> None:
        super().__init__()
        self.path = Path(path)
        self._units = units
        self._cache = None if cache is None else Path(cache)
        self._published: PublishedSet = open_published(self.path)
        self._attributes = published_attributes(self._published, **self._units)
        self._derived = DerivedFlows(self._cache)

    def __getstate__(self) -> dict[str, Any]:
        # mapped arrays would travel to other processes value by value: they open the files again instead
        return {
            "path": self.path,
            "units": self._units,
            "cache": self._cache,
            "attributes": self._attributes,
            "division": self._division,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        PublishedFlows.__init__(self, state["path"], cache=state["cache"], **state["units"])
        self._attributes = state["attributes"]
        self._division = state["division"]

    @property
    def _info(self) -> DataInfo:
        """What :attr:`info` gives, without a division being drawn for it."""
        return DataInfo.of(self._attributes, self.path)

    def __len__(self) -> int:
        return len(self._published)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""
        return self._published.shape

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the store that would hold this set, its splits included (drawn when they are first asked for)."""
        if "splits" not in self._attributes:
            prints = [canonical_fingerprint(self.microstructure(index)) for index in range(len(self))]
            self._attributes["splits"] = draw_division(prints).to_attribute()
        return dict(self._attributes)

    @property
    def own_statistics(self) -> dict[str, Any]:
        """Statistics of the training split; on first use its samples are read, and solved where ``cache`` lacks them."""
        if "statistics" not in self._attributes:
            self._attributes["statistics"] = self.with_division(self.own_division).measured_statistics()
        return self._attributes["statistics"]

    @property
    def own_division(self) -> Division:
        """The division that a converted data set would have, drawn on first use."""
        return Division.from_attribute(self.attributes["splits"])

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of sample ``index``."""
        return medium_from_fields(self._published.fields(index))

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return field ``name`` of one sample, or of all, shaped and typed as a store keeps it; the solver adds what lacks."""
        if index is None:
            return self._fingerprints if name == "fingerprint" else np.stack([self._field(name, k) for k in range(len(self))])
        return self._field(name, index)

    @cached_property
    def _fingerprints(self) -> NDArray[np.uint8]:
        return np.stack([self._field("fingerprint", index) for index in range(len(self))])

    def _field(self, name: str, index: int) -> NDArray[Any]:
        values, micro = published_fields(self._published, index, self._info.drive)
        if name not in values and name in DERIVED:
            values |= self._solved(micro, index)
        if name not in values:
            raise InvalidInputError(f"{self.path} holds no {name}; there are: {', '.join(values)}.")
        return _typed(name, values[name])

    def sample(self, index: int) -> Sample:
        """Return sample ``index`` as flow fields, flows along y turned onto x."""
        values, micro = published_fields(self._published, index, self._info.drive)
        if not all(name in values for name in DERIVED):
            values |= self._solved(micro, index)
        typed = {name: _typed(name, value) for name, value in values.items()}
        micro = medium_from_fields(typed, {"data_set": Path(self.path).name, "sample": index})
        return sample_from_fields(typed, micro, self._info)

    def _solved(self, micro: Microstructure, index: int) -> dict[str, NDArray[Any]]:
        try:
            return self._derived.get(micro, self._info.drive)
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.path}: sample {index}: {error}") from None


def _typed(name: str, value: Any) -> NDArray[Any]:
    return np.asarray(value, dtype=ALL_FIELDS[name].dtype)
