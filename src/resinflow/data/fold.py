"""k-fold cross-validation: the training and validation samples of a data set, divided anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data.division import SPLIT_SEED, canonical_fingerprint
from resinflow.data.open import open_flows
from resinflow.data.source import FlowSource, Sample
from resinflow.data.statistics import measure_statistics
from resinflow.flow import InvalidInputError, Microstructure


@dataclass(frozen=True)
class Fold:
    """Fold ``index`` of ``count``: its samples validate, the others train.

    Attributes:
        index: counted from 0.
        count: 2 or more.

    Raises:
        InvalidInputError: an index or a count out of range.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 <= self.index < self.count:
            raise InvalidInputError(f"fold {self.index} of {self.count} was asked for; needed: 0 to count - 1 of 2 or more.")


class FoldedFlows:
    """A source of samples with another division into training and validation; the test split stays as it is.

    Copies of one medium, mirrored and rotated ones included, fall into one fold. The folds of one ``count`` are disjoint and
    cover the training and validation samples of the data set. The statistics are those of the fold's own training samples.

    Args:
        source: the data set, with its split.
        fold: which fold validates.

    Raises:
        InvalidInputError: more folds than media.
    """

    def __init__(self, source: FlowSource, fold: Fold) -> None:
        self._source = source
        self._parts = _divide(source, fold)
        self._statistics: dict[str, Any] | None = None

    @property
    def path(self) -> Path | str:
        """Folder or URL of the data set."""
        return self._source.path

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the data set."""
        return self._source.attributes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""
        return self._source.shape

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the fold's training samples, measured on first use."""
        if self._statistics is None:
            self._statistics = measure_statistics(self)
        return self._statistics

    def __len__(self) -> int:
        return len(self._source)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation`` or ``test``."""
        return self._parts[split] if split in self._parts else self._source.indices(split)

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of one sample."""
        return self._source.microstructure(index)

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return one field of one sample, or of all."""
        return self._source.read(name, index)

    def sample(self, index: int) -> Sample:
        """Return one sample as flow fields."""
        return self._source.sample(index)


def open_folded(data: str | Path, fold: Fold | None) -> FlowSource:
    """Open a data set, its training and validation samples divided anew where a fold is given.

    Raises:
        InvalidInputError: as :func:`resinflow.data.open.open_flows`, or a fold that the data set does not have samples for.
    """
    source = open_flows(data)
    return source if fold is None else FoldedFlows(source, fold)


def _divide(source: FlowSource, fold: Fold) -> dict[str, NDArray[np.int64]]:
    """Samples of the fold's training and validation part; media are dealt out in an order that their prints decide."""
    groups: dict[str, list[int]] = {}
    for index in np.concatenate([source.indices("train"), source.indices("validation")]):
        groups.setdefault(canonical_fingerprint(source.microstructure(int(index))), []).append(int(index))
    if len(groups) < fold.count:
        raise InvalidInputError(
            f"{source.path} has {len(groups)} media to train on; needed: at least one for {fold.count} folds."
        )
    names = sorted(groups)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    held = {names[place] for place in order[fold.index :: fold.count]}
    parts = {"train": [], "validation": []}
    for name, members in groups.items():
        parts["validation" if name in held else "train"] += members
    return {part: np.asarray(sorted(members), dtype=np.int64) for part, members in parts.items()}
