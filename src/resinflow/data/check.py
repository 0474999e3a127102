"""The validator of data sets: the faults, their samples and their causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resinflow.data.check_flow import check_flows, check_medium
from resinflow.data.division import SPLITS, Division, canonical_fingerprint, draw_division
from resinflow.data.schema import ALL_FIELDS, FIELDS, REQUIRED
from resinflow.data.source import Watch, watched
from resinflow.data.store import FlowStore
from resinflow.flow import InvalidInputError


@dataclass(frozen=True)
class Fault:
    """One fault: the sample's number (None: the data set as a whole), its cause in a few words, and its details."""

    sample: int | None
    cause: str
    detail: str

    def __str__(self) -> str:
        where = "data set" if self.sample is None else f"sample {self.sample}"
        return f"{where}: {self.cause}: {self.detail}"


def check_store(store: FlowStore, *, watch: Watch | None = None) -> list[Fault]:
    """Return all faults of a data set; the list of a sound one is empty.

    The schema is checked first. Every sample must be complete, readable and finite. Its mask and spacing must be those of its
    fingerprint and of the recipe, and its fibres must be without flow. Divergence, flux, level of the pressure and K are
    checked. No medium may be there twice. The splits must hold every sample once, and no medium in two parts. Flows that
    resinflow solved are checked to rounding (:mod:`resinflow.flow.grid`). Converted flows, which other solvers made on other
    grids, are checked to a few percent.

    Args:
        store: a data set; it is only read.
        watch: called with the numbers of checked and of all samples.
    """
    faults = _schema_faults(store)
    if faults:
        return faults
    complete = store.complete
    prints: list[str | None] = []
    for index in watched(range(len(store)), watch, len(store)):
        fingerprint = None
        if complete[index]:
            in_sample, fingerprint = _sample_faults(store, index)
            faults += in_sample
        else:
            faults.append(Fault(index, "missing", "the sample was never finished; run the command that makes it again"))
        prints.append(fingerprint)
    return faults + _duplicate_faults(store, prints) + _split_faults(store, prints)


def _schema_faults(store: FlowStore) -> list[Fault]:
    faults = [Fault(None, "schema", f"no {name}") for name in REQUIRED if not store.has(name)]
    faults += [
        Fault(None, "schema", f"no attribute {name}") for name in ("pressure_drop", "viscosity") if name not in store.attributes
    ]
    if not faults and not store.info.converted:
        faults += [Fault(None, "schema", f"no {name}") for name in FIELDS if not store.has(name)]
    if faults:
        return faults
    for name in store.fields:
        stored, needed = store.layout_of(name), ALL_FIELDS[name]
        if stored.dims != needed.dims or stored.dtype != needed.dtype:
            faults.append(
                Fault(None, "schema", f"{name} is {stored.dtype} over {stored.dims}; needed: {needed.dtype} over {needed.dims}")
            )
        elif stored.samples != len(store):
            faults.append(Fault(None, "schema", f"{name} holds {stored.samples} samples, the data set {len(store)}"))
    return faults


def _sample_faults(store: FlowStore, index: int) -> tuple[list[Fault], str | None]:
    """Faults of one sample, and the canonical fingerprint of its medium unless that cannot be trusted."""
    try:
        values = {name: store.read(name, index) for name in store.fields}
        micro = store.microstructure(index)
    except InvalidInputError as error:
        return [Fault(index, "unreadable", str(error))], None
    info = store.info
    geometry = check_medium(values, micro, info)
    causes = geometry + check_flows(values, micro, info, geometry_holds=not geometry)
    fingerprint = None if geometry else canonical_fingerprint(micro)
    return [Fault(index, cause, detail) for cause, detail in causes], fingerprint


def _duplicate_faults(store: FlowStore, prints: Sequence[str | None]) -> list[Fault]:
    """Media that are there twice; the flows along x and y of one medium are not."""
    layout = store.info.layout
    cases = {"x": len(store)} if layout is None else layout.cases
    faults, start = [], 0
    for count in cases.values():
        first: dict[str, int] = {}
        for index in range(start, start + count):
            fingerprint = prints[index]
            if fingerprint is None:
                continue
            if fingerprint in first:
                faults.append(
                    Fault(index, "duplicate", f"its medium is that of sample {first[fingerprint]}, or its mirrored copy")
                )
            first.setdefault(fingerprint, index)
        start += count
    return faults


def _split_faults(store: FlowStore, prints: Sequence[str | None]) -> list[Fault]:
    splits = store.attributes.get("splits")
    if splits is None:
        return []
    parts: dict[int, list[str]] = {}
    for name, indices in splits["indices"].items():
        for index in indices:
            parts.setdefault(index, []).append(name)
    faults = [Fault(None, "splits", f"they name sample {index}, which is not there") for index in parts if index >= len(store)]
    homes: dict[str, tuple[int, str]] = {}
    for index, fingerprint in enumerate(prints):
        names = parts.get(index, [])
        if len(names) != 1:
            cause = "leaked split" if names else "splits"
            faults.append(
                Fault(index, cause, f"it is in {' and '.join(names) or 'no part'}; needed: one of {', '.join(SPLITS)}")
            )
        elif fingerprint is not None:
            other, home = homes.setdefault(fingerprint, (index, names[0]))
            if home != names[0]:
                faults.append(
                    Fault(index, "leaked split", f"it is in {names[0]}, a copy of its medium (sample {other}) in {home}")
                )
    if not faults and all(prints):
        division = draw_division([fingerprint or "" for fingerprint in prints], store.info.shares)
        faults = _moved_samples(splits["indices"], division, parts)
    statistics = store.attributes.get("statistics")
    if statistics is not None and statistics.get("samples") != len(splits["indices"].get("train", ())):
        faults.append(Fault(None, "statistics", "they come from another training split; run: resinflow data stats"))
    return faults


def _moved_samples(stored: dict[str, list[int]], division: Division, parts: dict[int, list[str]]) -> list[Fault]:
    """Samples that the draw put elsewhere: a split that was changed by hand after a model had seen its test samples."""
    if set(stored) != set(SPLITS):
        return [Fault(None, "splits", f"they have the parts {', '.join(stored)}; needed: {', '.join(SPLITS)}")]
    return [
        Fault(index, "leaked split", f"it is in {parts[index][0]}, but was drawn into {name}: the split was changed by hand")
        for name, indices in division.parts().items()
        for index in indices
        if parts[index] != [name]
    ]
