"""What a data set in the published layout says in the terms of a store: its attributes, and the fields of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from resinflow.core import InvalidInputError, Microstructure
from resinflow.core.flow import check_positive
from resinflow.data.layout import PERMEABILITY_FILE, PLANAR_FILE, PublishedSet
from resinflow.data.sample import medium_from_fields


def published_attributes(
    published: PublishedSet,
    *,
    pressure_drop: float | None = None,
    viscosity: float | None = None,
    density: float | None = None,
) -> dict[str, Any]:
    """Return the attributes of the store that holds the same data set.

    Args:
        published: the opened set.
        pressure_drop: Pa along the flow axis. The published files do not say it; sets that resinflow wrote do.
        viscosity: Pa s, likewise.
        density: kg/m^3 if the pressure is kinematic (pressure over density).

    Raises:
        InvalidInputError: a missing pressure drop or viscosity, or another than the set says.
    """
    given = {"pressure_drop": (pressure_drop, "Pa"), "viscosity": (viscosity, "Pa s"), "density": (density, "kg/m^3")}
    asked = {name: check_positive(name, value, unit) for name, (value, unit) in given.items() if value is not None}
    known = published.attributes
    if known is not None:
        for name, value in asked.items():
            if value != known.get(name):
                raise InvalidInputError(
                    f"{published.path} says {name} {known.get(name)}, the call {value}; needed: the same, or leave it out."
                )
        return {name: value for name, value in known.items() if name != "schema"}
    for name in ("pressure_drop", "viscosity"):
        if name not in asked:
            raise InvalidInputError(
                f"{published.path} does not say its {name.replace('_', ' ')}; needed: --{name.replace('_', '-')} "
                f"in {given[name][1]}, or {name} in a YAML file that names the folder. It is never guessed: K scales with it."
            )
    attributes = {**asked, "recipe": {"converted_from": _identity(published), "shape": list(published.shape)}}
    attributes["layout"] = _layout(published)
    if published.statistics is not None:
        attributes["published_statistics"] = published.statistics
    return attributes


def _identity(published: PublishedSet) -> dict[str, Any]:
    """What tells one source from another without reading it all."""
    return {case.axis: {name: list(array.shape) for name, array in case.files.items()} for case in published.cases}


def _layout(published: PublishedSet) -> dict[str, Any]:
    """How the source was laid out, so that it can be written again as it was."""
    first = published.cases[0]
    return {
        "cases": {case.axis: len(case) for case in published.cases},
        "slice_axis": first.has_slice_axis,
        "components": int(first.files["U"].shape[-3]),
        "planar": PLANAR_FILE in first.files,
        "types": {name: str(array.dtype) for name, array in first.files.items()},
        "permeability_given": PERMEABILITY_FILE in first.files,
        "permeability_shape": list(first.files[PERMEABILITY_FILE].shape[1:]) if PERMEABILITY_FILE in first.files else [],
    }


def published_fields(
    published: PublishedSet, index: int, attributes: Mapping[str, Any]
) -> tuple[dict[str, Any], Microstructure]:
    """Return the fields of one sample, its fingerprint and permeabilities added where absent, and its medium."""
    values: dict[str, Any] = dict(published.fields(index))
    micro = medium_from_fields(values)
    values.setdefault("fingerprint", np.frombuffer(bytes.fromhex(micro.fingerprint), dtype=np.uint8))
    for name, velocity in (("permeability", "velocity"), ("planar_permeability", "planar_velocity")):
        mean = float(values[velocity][0].mean(dtype=np.float64))
        values.setdefault(name, attributes["viscosity"] * mean * micro.extent[2] / attributes["pressure_drop"])
    return values, micro
