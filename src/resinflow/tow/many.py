"""The tensors of many media in one table, which grows medium by medium: what fails is a row with its reason.

The table is written anew after every medium. Running again continues: media whose rows are there, of the same content and with
the same options, are not solved again; those that failed are.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resinflow.evaluate import write_csv, write_json
from resinflow.flow import (
    InvalidInputError,
    Microstructure,
    PermeabilityTensor,
    ResinflowError,
    address_of,
    format_length,
    replacing,
)
from resinflow.tow.rows import COLUMNS, TABLE_SUFFIXES, tensor_rows

_KEY_LENGTH = 16
_BLOCK = 1 << 20
_SAME = 1e-6
"""Relative difference up to which two pixel sizes are the same."""


@dataclass(frozen=True)
class Entry:
    """What a table holds of one medium.

    Attributes:
        medium: its name.
        rows: by the names of :data:`resinflow.tow.COLUMNS`; a single one with the reason where it failed.
        error: why it failed; empty where it did not.
        tensor: as :meth:`resinflow.PermeabilityTensor.to_dict`; None where it failed, or in a table of an earlier run.
    """

    medium: str
    rows: tuple[Mapping[str, Any], ...]
    error: str = ""
    tensor: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TableOptions:
    """How a table is made.

    Attributes:
        path: .csv or .json; None: no file.
        settings: all that the tensors depend on beside the media, as plain types: other settings are another table.
        one_pixel_size: refuse a medium whose pixels are not those of the first one.
    """

    path: Path | None = None
    settings: Mapping[str, Any] | None = None
    one_pixel_size: bool = False


def measure_media(
    paths: Sequence[Path],
    read: Callable[[Path], Microstructure],
    measure: Callable[[Microstructure], PermeabilityTensor],
    options: TableOptions = TableOptions(),
    *,
    watch: Callable[[Entry, int, int], None] | None = None,
) -> list[Entry]:
    """Return the entries of all media, in their order.

    Args:
        paths: of the media.
        read: returns the medium in a file.
        measure: returns its tensor.
        options: how the table is made.
        watch: called after every medium with its entry, the number of media that are done, and of all.

    Raises:
        InvalidInputError: another suffix, a table of something else in the place of the file, or a name twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise InvalidInputError("a medium is named twice; needed: each once.")
    earlier = {} if options.path is None or not options.path.exists() else _read_table(options.path)
    entries: list[Entry] = []
    pixels: tuple[float, float] | None = None
    for count, path in enumerate(paths, 1):
        key = medium_key(path, options.settings or {})
        entry = earlier.get(key) if key else None
        if entry is not None and options.one_pixel_size:
            own = float(entry.rows[0]["dy_m"]), float(entry.rows[0]["dx_m"])
            pixels = pixels or own
            entry = entry if _are_alike(own, pixels) else None
        if entry is None:
            entry, pixels = _measured(path, key, read, measure, pixels if options.one_pixel_size else None)
        entries.append(entry)
        if options.path is not None:
            _write_table(options.path, entries)
        if watch is not None:
            watch(entry, count, len(paths))
    return entries


def medium_key(path: Path, settings: Mapping[str, Any]) -> str:
    """Return what tells a medium and the settings from others: a hash of both; empty where the file cannot be read.

    Of a folder (a stack of images, a Zarr store) the names, sizes and times of its files count.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    file, name = address_of(path)
    digest.update(f"{file.name}{'' if name is None else f'::{name}'}".encode(errors="surrogateescape"))
    try:
        if file.is_dir():
            for part in sorted(file.rglob("*")):
                status = part.stat()
                digest.update(f"{part.name} {status.st_size} {status.st_mtime_ns}".encode(errors="surrogateescape"))
        else:
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()[:_KEY_LENGTH]


def _measured(
    path: Path,
    key: str,
    read: Callable[[Path], Microstructure],
    measure: Callable[[Microstructure], PermeabilityTensor],
    pixels: tuple[float, float] | None,
) -> tuple[Entry, tuple[float, float] | None]:
    """The entry of a medium, and the pixels (dy, dx) that the others must have."""
    try:
        micro = read(path)
        pixels = _checked_pixels(micro, pixels)
        tensor = measure(micro)
    except ResinflowError as error:
        return _failed(path, key, str(error)), pixels
    except OSError as error:
        return _failed(path, key, f"the file cannot be read: {error.strerror or error}"), pixels
    except MemoryError:
        return _failed(path, key, "the memory of this machine does not suffice; needed: a smaller medium."), pixels
    rows = [{**row, "error": "", "key": key} for row in tensor_rows(str(path), tensor)]
    return Entry(str(path), tuple(rows), tensor=tensor.to_dict()), pixels


def _checked_pixels(micro: Microstructure, pixels: tuple[float, float] | None) -> tuple[float, float]:
    _, dy, dx = micro.spacing
    if pixels is not None and not _are_alike((dy, dx), pixels):
        raise InvalidInputError(
            f"its pixels are {format_length(dx)}, those of the first medium {format_length(pixels[1])}; needed: one pixel "
            "size in a call. Measure it by itself, or give --pixel-size."
        )
    return (dy, dx) if pixels is None else pixels


def _are_alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(mine / theirs - 1) <= _SAME for mine, theirs in zip(one, other, strict=True))


def _failed(path: Path, key: str, reason: str) -> Entry:
    return Entry(str(path), ({"medium": str(path), "axis": "", "error": reason, "key": key},), reason)


def _write_table(path: Path, entries: Sequence[Entry]) -> None:
    with replacing(path) as temporary:
        if path.suffix == ".json":
            media = [
                {"medium": entry.medium, "error": entry.error, "rows": list(entry.rows), "tensor": entry.tensor}
                for entry in entries
            ]
            write_json({"media": media}, temporary)
        else:
            rows = [{name: row.get(name) for name in COLUMNS} for entry in entries for row in entry.rows]
            write_csv(rows, temporary, COLUMNS)


def _read_table(path: Path) -> dict[str, Entry]:
    """The entries of an earlier run that did not fail, by their keys."""
    try:
        if path.suffix == ".json":
            media = json.loads(path.read_text(encoding="utf-8"))["media"]
            entries = [Entry(each["medium"], tuple(each["rows"]), each["error"], each["tensor"]) for each in media]
        elif path.suffix == ".csv":
            entries = _entries_of_rows(path)
        else:
            raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: {' or '.join(TABLE_SUFFIXES)}.")
        return {str(entry.rows[0]["key"]): entry for entry in entries if not entry.error}
    except (ValueError, KeyError, TypeError, IndexError, csv.Error):
        raise InvalidInputError(f"{path} is no table of permeabilities; choose another name.") from None


def _entries_of_rows(path: Path) -> list[Entry]:
    by_medium: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError("other columns")
        for row in reader:
            by_medium.setdefault(row["medium"], []).append(row)
    return [Entry(medium, tuple(rows), rows[0]["error"]) for medium, rows in by_medium.items()]
