"""The division of a data set by the identity of its media: which samples train, validate and test."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure

SPLITS = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""The parts, and their shares unless a recipe says otherwise."""
SPLIT_SEED = 2024
ALL = "all"
"""Every sample: for data sets that nothing is trained on."""


@dataclass(frozen=True)
class Division:
    """Which samples of a data set train, validate and test, by their numbers.

    Attributes:
        train: ascending.
        validation: ascending.
        test: ascending.
        fractions: shares of the media that the parts were drawn with; None where they were not drawn, as in a fold.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    fractions: tuple[float, float, float] | None = None

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation``, ``test`` or ``all``, (samples,).

        Raises:
            InvalidInputError: unknown part.
        """
        parts = self.parts()
        if split == ALL:
            return np.sort(np.concatenate([np.asarray(part, dtype=np.int64) for part in parts.values()]))
        if split not in parts:
            raise InvalidInputError(f"the split is {split!r}; needed: one of {', '.join(parts)}, or {ALL}.")
        return np.asarray(parts[split], dtype=np.int64)

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the samples by the name of their part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def to_attribute(self) -> dict[str, Any]:
        """Return the attribute ``splits`` of a data set: how the parts were drawn, and their samples."""
        fractions = dict(zip(SPLITS, self.fractions or (), strict=False))
        return {
            "seed": SPLIT_SEED,
            "fractions": fractions,
            "indices": {name: list(part) for name, part in self.parts().items()},
        }

    @classmethod
    def from_attribute(cls, splits: Mapping[str, Any]) -> Division:
        """Return the division that :meth:`to_attribute` wrote.

        Raises:
            InvalidInputError: a part is missing.
        """
        indices, fractions = splits["indices"], splits.get("fractions") or {}
        missing = [name for name in SPLITS if name not in indices]
        if missing:
            raise InvalidInputError(f"the splits have no {' and no '.join(missing)}; needed: {', '.join(SPLITS)}.")
        train, validation, test = (tuple(int(index) for index in indices[name]) for name in SPLITS)
        shares = tuple(float(fractions[name]) for name in SPLITS if name in fractions)
        return cls(train, validation, test, (shares[0], shares[1], shares[2]) if len(shares) == len(SPLITS) else None)


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


def canonical_fingerprint(micro: Microstructure) -> str:
    """Return one fingerprint for a medium and all its mirrored and rotated copies (by 90 degrees in the slice plane)."""
    fluid, (dz, dy, dx) = micro.fluid, micro.spacing
    prints = []
    for turns, flip_z, flip_y in itertools.product(range(4), (False, True), (False, True)):
        copy = np.rot90(fluid, turns, axes=(1, 2))
        copy = copy[::-1] if flip_z else copy
        copy = copy[:, ::-1] if flip_y else copy
        spacing = (dz, dy, dx) if turns % 2 == 0 else (dz, dx, dy)
        prints.append(Microstructure(copy, spacing).fingerprint)
    return min(prints)


def draw_division(prints: Sequence[str], fractions: Mapping[str, float] = SPLITS) -> Division:
    """Return the division of samples whose media have these canonical fingerprints, given the shares of the parts.

    Samples of one fingerprint fall into one part. The result depends on the fingerprints alone, not on the order of samples
    within one.
    """
    groups = _by_medium(prints, range(len(prints)))
    names = _shuffled(groups)
    bounds = np.round(np.cumsum([0.0, *fractions.values()]) * len(names)).astype(int)
    train, validation, test = (
        tuple(sorted(index for name in names[start:end] for index in groups[name])) for start, end in itertools.pairwise(bounds)
    )
    shares = tuple(fractions.values())
    return Division(train, validation, test, (shares[0], shares[1], shares[2]))


def divide_again(division: Division, prints: Mapping[int, str], fold: Fold) -> Division | None:
    """Return the division of one fold: training and validation samples divided anew, the test samples as they are.

    Samples of one medium fall into one fold. The folds of one ``count`` are disjoint and cover the training and validation
    samples.

    Args:
        division: of the data set.
        prints: canonical fingerprints of its training and validation samples by their number.
        fold: which fold validates.

    Returns:
        None where there are fewer media than folds.
    """
    groups = _by_medium(list(prints.values()), prints)
    if len(groups) < fold.count:
        return None
    validating = set(_shuffled(groups)[fold.index :: fold.count])
    parts: dict[bool, list[int]] = {True: [], False: []}
    for name, members in groups.items():
        parts[name in validating] += members
    return Division(tuple(sorted(parts[False])), tuple(sorted(parts[True])), division.test)


def _by_medium(prints: Sequence[str], numbers: Iterable[int]) -> dict[str, list[int]]:
    """Numbers of the samples of every medium."""
    groups: dict[str, list[int]] = {}
    for index, fingerprint in zip(numbers, prints, strict=True):
        groups.setdefault(fingerprint, []).append(index)
    return groups


def _shuffled(groups: Mapping[str, Sequence[int]]) -> list[str]:
    """Fingerprints in an order that they alone decide."""
    names = sorted(groups)
    return [names[place] for place in np.random.default_rng(SPLIT_SEED).permutation(len(names))]
