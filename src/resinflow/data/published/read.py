"""From the published layout into a store, sample by sample; interrupted, the same call goes on."""

from __future__ import annotations

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from resinflow.data.published.layout import PERMEABILITY_FILE, PLANAR_FILE, PublishedSet, open_published
from resinflow.data.sample import medium_from_fields
from resinflow.data.schema import FIELDS, GIVEN_PERMEABILITY, OWN_FIELDS, REQUIRED
from resinflow.data.source import FlowUnits, Watch, watched
from resinflow.data.store import FlowStore
from resinflow.flow import ConvergenceError, Drive, InvalidInputError, Microstructure, check_positive, replacing
from resinflow.stokes import planar_flow, response_flow

_UNITS = {"pressure_drop": "Pa", "viscosity": "Pa s", "density": "kg/m^3"}


def import_published(
    source: str | Path,
    path: str | Path,
    *,
    derive: bool = False,
    watch: Watch | None = None,
    **units: Unpack[FlowUnits],
) -> FlowStore:
    """Write the data set in the folder ``source`` (published layout) as a store at ``path``.

    float32 values are kept bit for bit; flows along y are turned onto x. One sample at a time is in memory. Interrupted, the
    same call goes on where it stopped.

    Args:
        source: the folder with ``x`` and ``y``.
        path: the store, made if absent.
        derive: add the planar pressure and the response flow, which training needs, with our own solver.
        watch: called with the numbers of complete and of all samples, after every sample.
        units: pressure drop (Pa), viscosity (Pa s) and density (kg/m^3) of a folder that resinflow did not write.

    Raises:
        InvalidInputError: a damaged source, a missing pressure drop or viscosity, or a store of something else at ``path``.
    """
    published = open_published(Path(source))
    attributes = published_attributes(published, **units)
    store = _open_or_create(published, Path(path), attributes, derive)
    missing = np.flatnonzero(~store.complete).tolist()
    for index in watched(missing, watch, len(store), len(store) - len(missing)):
        store.write_fields(index, _sample_fields(published, index, store))
    return store


def _open_or_create(published: PublishedSet, path: Path, attributes: dict[str, Any], derive: bool) -> FlowStore:
    if path.exists():
        store = FlowStore.open(path, writable=True)
        stored = store.attributes
        changed = [name for name, value in attributes.items() if stored.get(name) != value]
        if changed or len(store) != len(published) or (derive and not all(store.has(name) for name in DERIVED)):
            raise InvalidInputError(
                f"{path} holds another data set (different: {', '.join(changed) or 'fields'}); choose another path."
            )
        store.remove_leftovers()
        return store
    extras = set(published.cases[0].extras)
    fields = [name for name in OWN_FIELDS if name in REQUIRED or name in extras or (derive and name in DERIVED)]
    table = published.cases[0].files.get(PERMEABILITY_FILE)
    lengths = {}
    if table is not None and "permeability" not in extras:
        fields.append(GIVEN_PERMEABILITY)
        lengths["entry"] = int(np.prod(table.shape[1:], dtype=int))
    return FlowStore.create(path, len(published), published.shape, attributes, fields=fields, lengths=lengths)


def _sample_fields(published: PublishedSet, index: int, store: FlowStore) -> dict[str, Any]:
    drive = store.info.drive
    values, micro = published_fields(published, index, drive)
    if all(store.has(name) for name in DERIVED) and not all(name in values for name in DERIVED):
        try:
            values |= derive_flows(micro, drive)
        except InvalidInputError as error:
            raise InvalidInputError(f"sample {index}: {error} Convert without --derive to keep the data as they are.") from None
    return {name: value for name, value in values.items() if store.has(name)}


def published_attributes(published: PublishedSet, **units: Unpack[FlowUnits]) -> dict[str, Any]:
    """Return the attributes of the store that holds the same data set.

    Args:
        published: the opened set.
        units: pressure drop (Pa), viscosity (Pa s) and density (kg/m^3) of a folder that resinflow did not write.

    Raises:
        InvalidInputError: a missing pressure drop or viscosity, or another than the set says.
    """
    values = {name: check_positive(name, units[name], unit) for name, unit in _UNITS.items() if units.get(name) is not None}
    stored = published.attributes
    if stored is not None:
        for name, value in values.items():
            if value != stored.get(name):
                raise InvalidInputError(
                    f"{published.path} says {name} {stored.get(name)}, the call {value}; needed: the same, or leave it out."
                )
        return {name: value for name, value in stored.items() if name != "schema"}
    for name in ("pressure_drop", "viscosity"):
        if name not in values:
            raise InvalidInputError(
                f"{published.path} does not say its {name.replace('_', ' ')}; needed: --{name.replace('_', '-')} "
                f"in {_UNITS[name]}, or {name} in a YAML file that names the folder. It is never guessed: K scales with it."
            )
    attributes = {**values, "recipe": {"converted_from": _identity(published), "shape": list(published.shape)}}
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


def published_fields(published: PublishedSet, index: int, drive: Drive) -> tuple[dict[str, Any], Microstructure]:
    """Return the fields of one sample, its fingerprint and permeabilities added where absent, and its medium."""
    values: dict[str, Any] = dict(published.fields(index))
    micro = medium_from_fields(values)
    values.setdefault("fingerprint", np.frombuffer(bytes.fromhex(micro.fingerprint), dtype=np.uint8))
    for name, velocity in (("permeability", "velocity"), ("planar_permeability", "planar_velocity")):
        mean = float(values[velocity][0].mean(dtype=np.float64))
        values.setdefault(name, drive.viscosity * mean * micro.extent[2] / drive.pressure_drop)
    return values, micro


DERIVED = ("planar_pressure", "response_velocity", "response_pressure", "response_permeability")
"""Fields that the published layout lacks and the solver can add."""
MEMORY = 2**30
"""Bytes of derived flows kept in memory."""

Derived = dict[str, NDArray[Any]]


def derive_flows(micro: Microstructure, drive: Drive) -> Derived:
    """Return the fields ``DERIVED`` of a medium under the data set's drive, typed as a store keeps them.

    Raises:
        InvalidInputError: a medium without planar flow (a slice without fibre), or one that the solver gives up.
    """
    try:
        planar, response = planar_flow(micro, drive), response_flow(micro, drive)
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
        self._memory: OrderedDict[str, Derived] = OrderedDict()
        self._bytes = 0

    def get(self, micro: Microstructure, drive: Drive) -> Derived:
        """Return the derived flows of a medium, solved on first use.

        Raises:
            InvalidInputError: as :func:`derive_flows`, or a damaged file in the folder.
        """
        identity = f"{micro.fingerprint} {drive.pressure_drop!r} {drive.viscosity!r}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:32]
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        flows = self._from_folder(key, lambda: derive_flows(micro, drive))
        self._memory[key] = flows
        self._bytes += _size(flows)
        while self._bytes > MEMORY and len(self._memory) > 1:
            self._bytes -= _size(self._memory.popitem(last=False)[1])
        return flows

    def _from_folder(self, key: str, solve: Callable[[], Derived]) -> Derived:
        if self._folder is None:
            return solve()
        file = self._folder / f"{key}.npz"
        if not file.is_file():
            flows = solve()
            with replacing(file) as temporary:
                np.savez(temporary, **flows)  # type: ignore[arg-type]
            return flows
        try:
            with np.load(file, allow_pickle=False) as opened:
                return {name: opened[name] for name in DERIVED}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InvalidInputError(f"{file} cannot be read ({error}); remove it, it is made again.") from None


def _size(values: Derived) -> int:
    return sum(value.nbytes for value in values.values())
