"""What a data set on disk says of itself, attributes and arrays: checked once, when it is opened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import zarr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resinflow.data.division import SPLITS
from resinflow.data.schema import ALL_FIELDS, LENGTHS
from resinflow.flow import InvalidInputError, check_size, first_fault

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
_PARTS = tuple(SPLITS)


class _Part(BaseModel):
    """Strict: what a file writes as text is no number. Keys of other versions and writers may stand beside."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Recipe(_Part):
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)] = [1, 1, 1]
    width: Positive = 1.0
    depth: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [1.0, 1.0]
    split: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=3, max_length=3)] = [1.0, 0.0, 0.0]


class _Layout(_Part):
    cases: dict[Literal["x", "y"], Count] = {}
    slice_axis: bool = True
    components: Annotated[int, Field(ge=2, le=3)] = 3
    planar: bool = True
    types: dict[str, Literal["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "bool"]] = {}
    permeability_shape: list[Count] = []
    permeability_given: bool = False


class _Splits(_Part):
    indices: dict[str, list[Count]]
    fractions: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}


_Factors = Annotated[list[Annotated[float, Field(ge=0, allow_inf_nan=False)]], Field(min_length=4, max_length=4)]


class _Statistics(_Part):
    samples: Count
    correction_rms: _Factors
    correction_rms_grid: _Factors = [1.0, 1.0, 1.0, 1.0]
    permeability: dict[str, Finite] = {}


class _Attributes(_Part):
    flow_axis: Literal["x"] = "x"
    boundary: Literal["pressure"] = "pressure"
    lateral: Literal["symmetry"] = "symmetry"
    pressure_drop: Positive = 1.0
    viscosity: Positive = 1.0
    density: Positive | None = None
    recipe: _Recipe | None = None
    layout: _Layout | None = None
    splits: _Splits | None = None
    statistics: _Statistics | None = None
    published_statistics: dict[str, Any] | None = None


def check_attributes(attributes: Mapping[str, Any], samples: int, where: object) -> None:
    """Raise InvalidInputError unless the attributes of a data set are of the right types and fit its number of samples.

    What is missing is not asked for here: a data set has no split before it is drawn.
    """
    try:
        checked = _Attributes.model_validate(dict(attributes))
    except (ValidationError, RecursionError) as error:
        fault = first_fault(error, "attributes", value=False) if isinstance(error, ValidationError) else "nested too deeply"
        raise InvalidInputError(f"{where}: the attributes are damaged: {fault}; restore the data set.") from None
    absent = [name for name in ("splits", "statistics") if name in attributes and attributes[name] is None]
    if absent:
        raise InvalidInputError(f"{where}: the attribute {absent[0]} is null; needed: none, or the one that was written.")
    if checked.splits is not None:
        indices = checked.splits.indices
        missing = [name for name in _PARTS if name not in indices]
        if missing:
            raise InvalidInputError(f"{where}: the splits have no {' and no '.join(missing)}; needed: {', '.join(_PARTS)}.")
        beyond = [(name, index) for name, part in indices.items() for index in part if index >= samples]
        if beyond:
            name, index = beyond[0]
            raise InvalidInputError(f"{where}: the split {name} names sample {index}; needed: 0 to {samples - 1}.")
    if checked.layout is not None and checked.layout.cases and sum(checked.layout.cases.values()) != samples:
        raise InvalidInputError(f"{where}: the layout has {checked.layout.cases} samples, the data set {samples}.")


def open_arrays(group: zarr.Group, where: Path | str) -> dict[str, zarr.Array]:
    """Return the arrays of a data set by field, in the order of the schema, checked against each other and the machine.

    Raises:
        InvalidInputError: metadata that cannot be read, an array of something else than numbers, or shapes that do not fit.
    """
    if isinstance(where, Path):
        in_order = [_open_array(group, name, where) for name in ALL_FIELDS]
    else:  # object storage answers late, but many at once
        with ThreadPoolExecutor(len(ALL_FIELDS)) as pool:
            in_order = list(pool.map(lambda name: _open_array(group, name, where), ALL_FIELDS))
    arrays = {name: array for name, array in zip(ALL_FIELDS, in_order, strict=True) if array is not None}
    for name, array in arrays.items():
        if array.ndim != len(ALL_FIELDS[name].dims) + 1 or min(array.shape) < 1 or array.dtype.kind not in "biuf":
            raise InvalidInputError(
                f"{where}: {name} is {array.dtype} of shape {array.shape}; needed: numbers over "
                f"{('sample', *ALL_FIELDS[name].dims)}; generate the data set again."
            )
    _check_lengths(arrays, where)
    _check_memory(arrays.items(), where)
    return arrays


def _open_array(group: zarr.Group, name: str, where: Path | str) -> zarr.Array | None:
    """The array of a field, None where there is none."""
    if isinstance(where, Path) and not (where / name).exists():
        return None
    try:
        array = group[name]
    except KeyError as error:
        if not isinstance(where, Path) or not any((where / name).iterdir()):
            return None
        raise _unreadable(name, where, error) from None
    except Exception as error:  # foreign metadata fail in any way
        raise _unreadable(name, where, error) from None
    if not isinstance(array, zarr.Array):
        raise InvalidInputError(f"{where}: {name} is no array; generate the data set again.")
    return array


def _unreadable(name: str, where: Path | str, error: Exception) -> InvalidInputError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return InvalidInputError(
        f"{where}: the metadata of {name} cannot be read ({type(error).__name__}: {reason}); generate the data set again."
    )


def _check_lengths(arrays: Mapping[str, zarr.Array], where: object) -> None:
    lengths: dict[str, tuple[int, str]] = {name: (length, "the schema") for name, length in LENGTHS.items()}
    for name, array in arrays.items():
        for dim, length in zip(("sample", *ALL_FIELDS[name].dims), array.shape, strict=True):
            first, source = lengths.setdefault(dim, (length, name))
            if length != first:
                raise InvalidInputError(
                    f"{where}: {name} has {length} along {dim}, {source} {first}; needed: the same; make the data set again."
                )


def _check_memory(arrays: Iterable[tuple[str, zarr.Array]], where: object) -> None:
    """One sample of all fields, the numbers of all samples, and a chunk of each must fit into memory."""
    sample = numbers = 0
    for name, array in arrays:
        inner, itemsize = math.prod(array.shape[1:]), np.dtype(array.dtype).itemsize
        sample += inner * itemsize
        numbers += array.shape[0] * itemsize * (inner if array.ndim < 4 else 0)
        check_size(f"{where}: a chunk of {name}", math.prod(array.shards or array.chunks) * itemsize)
    check_size(f"{where}: one sample", sample)
    check_size(f"{where}: its numbers", numbers)
