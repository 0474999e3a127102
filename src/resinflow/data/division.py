"""The split of a data set by the identity of its media: drawn once, stored with the data, used by every stage."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure

if TYPE_CHECKING:  # a store reads its split through this module
    from resinflow.data.store import FlowStore

SPLITS = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""The parts, and their shares unless a recipe says otherwise."""
SPLIT_SEED = 2024
ALL = "all"
"""Every sample: for data sets that nothing is trained on."""


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


def assign_splits(prints: Sequence[str], fractions: Mapping[str, float] = SPLITS) -> dict[str, list[int]]:
    """Return the sample numbers of each part of the split, given every sample's canonical fingerprint and the parts' shares.

    Samples of one fingerprint fall into one part. The result depends on the fingerprints alone, not on the order of samples
    within one.
    """
    groups: dict[str, list[int]] = {}
    for index, fingerprint in enumerate(prints):
        groups.setdefault(fingerprint, []).append(index)
    names = sorted(groups)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    bounds = np.round(np.cumsum([0.0, *fractions.values()]) * len(names)).astype(int)
    return {
        split: sorted(index for place in order[start:end] for index in groups[names[place]])
        for split, start, end in zip(fractions, bounds[:-1], bounds[1:], strict=True)
    }


def shares_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the shares of the parts that the recipe of a data set asks for, or 70/15/15."""
    shares = (attributes.get("recipe") or {}).get("split", SPLITS.values())
    return dict(zip(SPLITS, shares, strict=True))


def describe_splits(indices: dict[str, list[int]], fractions: Mapping[str, float] = SPLITS) -> dict[str, Any]:
    """Return the attribute ``splits`` of a data set: how they were drawn, and the sample numbers of every part."""
    return {"seed": SPLIT_SEED, "fractions": dict(fractions), "indices": indices}


def indices_of(splits: Mapping[str, Any], split: str) -> NDArray[np.int64]:
    """Return the samples of one part of the attribute ``splits``, or of ``all``.

    Raises:
        InvalidInputError: unknown part.
    """
    if split == ALL:
        return np.sort(np.concatenate([np.asarray(part, dtype=np.int64) for part in splits["indices"].values()]))
    if split not in splits["indices"]:
        raise InvalidInputError(f"the split is {split!r}; needed: one of {', '.join(splits['indices'])}, or {ALL}.")
    return np.asarray(splits["indices"][split], dtype=np.int64)


def draw_splits(store: FlowStore) -> dict[str, list[int]]:
    """Draw and store the split by canonical fingerprint, and return the sample numbers of each part.

    The shares are those of the recipe, or 70/15/15. Copies of one medium, mirrored and rotated ones included, always fall into
    the same part.

    Raises:
        InvalidInputError: incomplete samples, or a split is there already.
    """
    if "splits" in store.attributes:
        raise InvalidInputError(f"{store.path} is split already; a split is drawn once.")
    missing = int((~store.complete).sum())
    if missing:
        raise InvalidInputError(f"{missing} samples of {store.path} are not there yet; run resinflow data generate again.")
    prints = [canonical_fingerprint(store.microstructure(index)) for index in range(len(store))]
    fractions = shares_of(store.attributes)
    indices = assign_splits(prints, fractions)
    store.set_attribute("splits", describe_splits(indices, fractions))
    return indices
