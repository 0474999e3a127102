"""Serial sections: slices of one specimen that lie far apart, and the box in which what is between them is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resinflow.flow import InvalidInputError, check_positive, format_length

_THICKNESS = 0.4
"""Of a drawn slice, in diameters of the fibres; about that of the data sets."""
_MOST_SLICES = 1024


@dataclass(frozen=True)
class SerialSections:
    """Where known slices lie in a box.

    Attributes:
        heights: of the slices over the bottom, m, rising.
        depth: of the box, m.
    """

    heights: tuple[float, ...]
    depth: float

    @property
    def spacing(self) -> float:
        """Mean distance of neighbours, m."""
        return (self.heights[-1] - self.heights[0]) / (len(self.heights) - 1)

    def slices(self, diameter: float | None) -> int:
        """Return the number of slices of the box: an odd number for each distance, 0.4 diameters thick or a little less.

        So that every one of evenly spread slices is the middle one of as many.

        Args:
            diameter: of the fibres, m; None: not known, a third of the distance is as thick.

        Raises:
            InvalidInputError: slices so far apart that there would be more than 1024.
        """
        thickness = self.spacing / 3 if diameter is None else _THICKNESS * diameter
        each = int(np.ceil(self.spacing / thickness - 1e-9))
        each += 1 - each % 2
        count = round(self.depth / self.spacing * each)
        if count > _MOST_SLICES:
            raise InvalidInputError(
                f"slices {format_length(self.spacing)} apart take {count} drawn slices of "
                f"{format_length(self.spacing / each)}; needed: at most {_MOST_SLICES}. Check the distance, or say "
                "how many with --slices."
            )
        return count


def lay_sections(count: int, distances: Sequence[float], depth: float | None = None) -> SerialSections:
    """Return where slices lie: about the middle of the depth, by default with half a distance beyond the outer ones.

    Args:
        count: of the slices.
        distances: of neighbours, from the lowest up, m; one for all where they are alike.
        depth: of the box, m.

    Raises:
        InvalidInputError: fewer than two slices, another number of distances, distances that are not positive, or a box that
            is lower than the slices reach.

    Example:
        >>> from resinflow.media import lay_sections
        >>> [round(height * 1e6, 1) for height in lay_sections(3, [20e-6]).heights]
        [10.0, 30.0, 50.0]
    """
    if count < 2:
        raise InvalidInputError(
            "a single slice has no distance to another; needed: two or more. Media are drawn round a single one by its "
            "misalignment."
        )
    each = list(distances) * (count - 1) if len(distances) == 1 else list(distances)
    if len(each) != count - 1:
        raise InvalidInputError(f"{len(each)} distances were given for {count} slices; needed: one for all, or {count - 1}.")
    for distance in each:
        check_positive("the distance of two slices", distance, "m")
    reach = float(sum(each))
    whole = reach * count / (count - 1) if depth is None else check_positive("depth", depth, "m")
    if whole < reach:
        raise InvalidInputError(
            f"the depth is {format_length(whole)}, but the {count} slices reach over {format_length(reach)}; needed: at least "
            "that. Leave it out for half a distance beyond the outer ones."
        )
    heights = 0.5 * (whole - reach) + np.concatenate([[0.0], np.cumsum(each)])
    return SerialSections(tuple(float(height) for height in heights), whole)
