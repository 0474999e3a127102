"""One way to open a data set, whatever its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from resinflow.data.division import Fold
from resinflow.data.published.flows import PublishedFlows
from resinflow.data.published.layout import is_published
from resinflow.data.source import FlowSource, FlowUnits, SourceRecipe, fold_division
from resinflow.data.store import FlowStore, locate
from resinflow.flow import InvalidInputError, check_type, read_recipe


def open_flows(
    path: str | Path,
    *,
    cache: str | Path | None = None,
    **units: Unpack[FlowUnits],
) -> FlowSource:
    """Open a store (folder or URL), a folder in the published layout, or what a YAML file (:class:`SourceRecipe`) names.

    Args:
        path: the data set.
        cache: folder for flows that a published folder lacks and the solver adds; None: memory alone.
        units: ``pressure_drop`` (Pa), ``viscosity`` (Pa s) and, where the pressure is kinematic, ``density`` (kg/m^3). A
            published folder that resinflow did not write needs them, and nothing else does.

    Raises:
        InvalidInputError: neither layout, a damaged data set or YAML file, or options that contradict the data set.

    Example:
        >>> import resinflow as rf
        >>> source = rf.open_flows("data/small.zarr")
        >>> len(source), source.shape
        (8, (3, 16, 16))
        >>> source.sample(0).truth.permeability > 0
        True
    """
    check_type("the data set", path, (str, Path), "its folder or URL")
    place = locate(path)
    if isinstance(place, Path) and place.suffix in (".yaml", ".yml"):
        recipe = read_recipe(place, SourceRecipe)
        target = locate(recipe.path)
        if cache is None and recipe.cache is not None:
            cache = place.parent / recipe.cache
        return open_flows(place.parent / target if isinstance(target, Path) else target, cache=cache, **recipe.units(**units))
    if isinstance(place, Path) and is_published(place):
        return PublishedFlows(place, cache=cache, **units)
    store = FlowStore.open(place)
    for name, value in units.items():
        if value is not None and value != store.attributes.get(name):
            raise InvalidInputError(
                f"{path} says {name} {store.attributes.get(name)}, the call {value}; needed: the same, or leave it out."
            )
    return store


def open_folded(data: str | Path, fold: Fold | None) -> FlowSource:
    """Open a data set, its training and validation samples divided anew where a fold is named.

    Raises:
        InvalidInputError: as :func:`open_flows`, or a fold that the data set does not have samples for.
    """
    source = open_flows(data)
    return source if fold is None else source.with_division(fold_division(source, fold))
