"""From the published layout into a store, sample by sample; interrupted, the same call goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.core import InvalidInputError
from resinflow.data.derived import DERIVED, derive_flows
from resinflow.data.interpret import published_attributes, published_fields
from resinflow.data.layout import PERMEABILITY_FILE, PublishedSet, open_published
from resinflow.data.schema import FIELDS, GIVEN_PERMEABILITY, REQUIRED
from resinflow.data.store import FlowStore


def import_published(
    source: str | Path,
    path: str | Path,
    *,
    pressure_drop: float | None = None,
    viscosity: float | None = None,
    density: float | None = None,
    derive: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> FlowStore:
    """Write the data set in the folder ``source`` (published layout) as a store at ``path``.

    float32 values are kept bit for bit; flows along y are turned onto x. One sample at a time is in memory. Interrupted, the
    same call goes on where it stopped.

    Args:
        source: the folder with ``x`` and ``y``.
        path: the store, made if absent.
        pressure_drop: Pa along the flow axis. The published files do not say it; sets that resinflow wrote do.
        viscosity: Pa s, likewise.
        density: kg/m^3 if the stored pressure is kinematic (pressure over density), as OpenFOAM's incompressible solvers give.
        derive: add the planar pressure and the response flow, which training needs, with our own solver.
        watch: called with the numbers of complete and of all samples, after every sample.

    Raises:
        InvalidInputError: a damaged source, a missing pressure drop or viscosity, or a store of something else at ``path``.
    """
    published = open_published(Path(source))
    attributes = published_attributes(published, pressure_drop=pressure_drop, viscosity=viscosity, density=density)
    store = _open_or_create(published, Path(path), attributes, derive)
    missing = np.flatnonzero(~store.complete).tolist()
    done = len(store) - len(missing)
    if watch:
        watch(done, len(store))
    for index in missing:
        store.write_fields(index, _sample_fields(published, index, store))
        done += 1
        if watch:
            watch(done, len(store))
    return store


def _open_or_create(published: PublishedSet, path: Path, attributes: dict[str, Any], derive: bool) -> FlowStore:
    if path.exists():
        store = FlowStore.open(path, writable=True)
        found = store.attributes
        changed = [name for name, value in attributes.items() if found.get(name) != value]
        if changed or len(store) != len(published) or (derive and not all(store.has(name) for name in DERIVED)):
            raise InvalidInputError(
                f"{path} holds another data set (different: {', '.join(changed) or 'fields'}); choose another path."
            )
        store.remove_leftovers()
        return store
    extras = set(published.cases[0].extras)
    fields = [name for name in FIELDS if name in REQUIRED or name in extras or (derive and name in DERIVED)]
    given = published.cases[0].files.get(PERMEABILITY_FILE)
    lengths = {}
    if given is not None and "permeability" not in extras:
        fields.append(GIVEN_PERMEABILITY)
        lengths["entry"] = int(np.prod(given.shape[1:], dtype=int))
    return FlowStore.create(path, len(published), published.shape, attributes, fields=fields, lengths=lengths)


def _sample_fields(published: PublishedSet, index: int, store: FlowStore) -> dict[str, Any]:
    attributes = store.attributes
    values, micro = published_fields(published, index, attributes)
    if all(store.has(name) for name in DERIVED) and not all(name in values for name in DERIVED):
        try:
            values |= derive_flows(micro, attributes)
        except InvalidInputError as error:
            raise InvalidInputError(f"sample {index}: {error} Convert without --derive to keep the data as they are.") from None
    return {name: value for name, value in values.items() if store.has(name)}
