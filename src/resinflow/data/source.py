"""A source of samples, whatever its layout on disk: what training and evaluation are written against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resinflow.core import InvalidInputError, Microstructure
from resinflow.data.config import read_config
from resinflow.data.layout import is_published
from resinflow.data.published import PublishedFlows
from resinflow.data.sample import Sample
from resinflow.data.store import FlowStore, locate


class FlowSource(Protocol):
    """Samples of one shape, their splits and their statistics. Opening and reading write nothing beside the data."""

    @property
    def path(self) -> Path | str:
        """Folder or URL."""
        ...

    @property
    def attributes(self) -> dict[str, Any]:
        """``pressure_drop``, ``viscosity``, ``recipe``, ``splits`` once drawn, and what else the set says of itself."""
        ...

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the training split (:func:`resinflow.data.statistics.measure_statistics`)."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""
        ...

    def __len__(self) -> int: ...

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation``, ``test`` or ``all``."""
        ...

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of one sample."""
        ...

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return one field of one sample, or of all."""
        ...

    def sample(self, index: int) -> Sample:
        """Return one sample as flow fields."""
        ...


class SourceConfig(BaseModel):
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


def open_flows(
    path: str | Path,
    *,
    pressure_drop: float | None = None,
    viscosity: float | None = None,
    density: float | None = None,
    cache: str | Path | None = None,
) -> FlowSource:
    """Open a store (folder or URL), a folder in the published layout, or what a YAML file (:class:`SourceConfig`) names.

    Args:
        path: the data set.
        pressure_drop: Pa; needed for a published folder that resinflow did not write, and for nothing else.
        viscosity: Pa s, likewise.
        density: kg/m^3, likewise, if its pressure is kinematic.
        cache: folder for flows that a published folder lacks and the solver adds; None: memory alone.

    Raises:
        InvalidInputError: neither layout, a damaged data set or YAML file, or options that contradict the data set.
    """
    place = locate(path)
    if isinstance(place, Path) and place.suffix in (".yaml", ".yml"):
        config = read_config(place, SourceConfig)
        named = locate(config.path)
        return open_flows(
            named if isinstance(named, str) else place.parent / named,
            pressure_drop=config.pressure_drop if pressure_drop is None else pressure_drop,
            viscosity=config.viscosity if viscosity is None else viscosity,
            density=config.density if density is None else density,
            cache=place.parent / config.cache if cache is None and config.cache is not None else cache,
        )
    if isinstance(place, Path) and is_published(place):
        return PublishedFlows(place, pressure_drop=pressure_drop, viscosity=viscosity, density=density, cache=cache)
    store = FlowStore.open(place)
    for name, value in (("pressure_drop", pressure_drop), ("viscosity", viscosity), ("density", density)):
        if value is not None and value != store.attributes.get(name):
            raise InvalidInputError(
                f"{path} says {name} {store.attributes.get(name)}, the call {value}; needed: the same, or leave it out."
            )
    return store
