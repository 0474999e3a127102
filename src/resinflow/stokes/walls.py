"""What a wall half a voxel away does to a velocity unknown: the rules that the solver knows.

With walls half a voxel away the plain scheme (coefficient 2) makes a gap N unknowns wide ``1 + 2 / N^2`` too permeable. The
gap coefficient ``6 N / (3 N - 2)`` makes the flow of every aligned channel exact, whatever N: read the unknowns as averages
over their control volumes; second differences of the averages of a parabola are exact inside, so that only the wall term
needs correcting. At a staircase corner both have a wall face a whole voxel away (:func:`resinflow.stokes.viscous.wall_excess`).
"""

from __future__ import annotations

from typing import Literal

WallRule = Literal["gap", "plain", "surface"]
"""``gap`` and ``plain`` for a mask; ``surface``: fibre surfaces from a signed distance (:mod:`resinflow.stokes.cutcell`)."""

MASK_RULE: WallRule = "plain"
"""The default where no more than the mask is used. Over 20 random planar bundles the plain rule's error of K is the smaller:
the gap coefficient is right for aligned channels, but between round fibres the staircase, which errs the other way, cancels
part of the plain rule's error (``benchmarks/walls.py`` prints the table)."""
