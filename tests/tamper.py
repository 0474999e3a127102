"""Damage to data sets on disk, done by zarr itself and not by our own code."""

from __future__ import annotations

import numpy as np
import zarr
from numpy.typing import ArrayLike

from resinflow.data import FlowStore


def tamper(store: FlowStore, name: str, index: int, value: ArrayLike) -> None:
    """Overwrite field ``name`` of one sample on disk; the store reads the new value."""
    group(store)[name][index] = np.asarray(value)  # pyright: ignore[reportIndexIssue]


def without_attribute(store: FlowStore, name: str) -> FlowStore:
    """Remove an attribute on disk and return the data set opened again, to be written."""
    del group(store).attrs[name]
    return FlowStore.open(store.path, writable=True)


def group(store: FlowStore) -> zarr.Group:
    """Return the data set as zarr opens it."""
    return zarr.open_group(str(store.path), mode="r+")
