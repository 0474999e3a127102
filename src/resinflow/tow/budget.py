"""What makes K of a tow uncertain, source by source, and what reduces it: deviations of ln K that add up in squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resinflow.flow import COMPONENTS, permeability_units

Triple = tuple[float, float, float]

LEVEL = 0.9
"""Probability of an interval."""
NORMAL_REACH = 1.6449
"""Ends of the central 90 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Source:
    """One cause of uncertainty.

    Attributes:
        name: of the cause.
        deviations: standard deviations of ln K along x, y and z; for a source whose deviation itself is uncertain (few windows)
            so widened that 1.645 of them reach the ends of its own 90 % interval.
        basis: what they rest on.
        advice: what reduces them.
        missing: what the deviations leave out, since nothing tells it; empty where they leave out nothing.
    """

    name: str
    deviations: Triple
    basis: str
    advice: str
    missing: str = ""


@dataclass(frozen=True)
class Budget:
    """K along the axes with its 90 % intervals, and what they are made of.

    Attributes:
        permeability: Kxx, Kyy and Kzz, m^2.
        sources: independent of one another.
    """

    permeability: Triple
    sources: tuple[Source, ...]

    @property
    def deviations(self) -> Triple:
        """Standard deviations of ln K of all sources together, along x, y and z."""
        squares = np.array([source.deviations for source in self.sources]).reshape(-1, 3) ** 2
        x, y, z = (float(value) for value in np.sqrt(squares.sum(axis=0)))
        return x, y, z

    @property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Ends (m^2) of the intervals that hold K with a probability of 90 %, along x, y and z."""
        x, y, z = (
            (value * float(np.exp(-NORMAL_REACH * deviation)), value * float(np.exp(NORMAL_REACH * deviation)))
            for value, deviation in zip(self.permeability, self.deviations, strict=True)
        )
        return x, y, z

    def shares(self, source: Source) -> Triple:
        """Return what part of the variance of ln K a source makes, along x, y and z; 0 where nothing is uncertain."""
        x, y, z = (
            part**2 / total**2 if total > 0 else 0.0 for part, total in zip(source.deviations, self.deviations, strict=True)
        )
        return x, y, z

    @property
    def first(self) -> Source | None:
        """The source to reduce first: that of the largest share, mean over the axes; None where nothing is uncertain."""
        return max(self.sources, key=lambda source: sum(self.shares(source)), default=None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the intervals leave out, in sentences: they are too narrow there."""
        return tuple(f"the interval is too narrow: {source.missing}" for source in self.sources if source.missing)

    @property
    def advice(self) -> str:
        """What to reduce first, and how, in a sentence."""
        source = self.first
        if source is None or not max(source.deviations) > 0:
            return "nothing is left uncertain"
        return f"reduce first: {source.name} ({max(self.shares(source)):.0%} of the variance). {source.advice}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        intervals = self.intervals
        return {
            "axes": {
                axis: {
                    **permeability_units("permeability", value),
                    **permeability_units("interval", intervals[place]),
                    "log_deviation": self.deviations[place],
                }
                for place, (axis, value) in enumerate(zip(COMPONENTS, self.permeability, strict=True))
            },
            "level": LEVEL,
            "sources": [self._source_dict(source) for source in self.sources],
            "advice": self.advice,
        }

    def _source_dict(self, source: Source) -> Mapping[str, Any]:
        return {
            "name": source.name,
            "log_deviations": list(source.deviations),
            "shares": list(self.shares(source)),
            "basis": source.basis,
            "advice": source.advice,
        }
