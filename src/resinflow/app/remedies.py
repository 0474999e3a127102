"""What helps where a solver stopped before its goal: what the page offers, a button each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from resinflow.app.sessions import Answer, cubic_depth

__all__ = ["Offer", "offers"]

_MORE = 4
"""Times as many iterations for a solve that starts anew."""
_LOOSEST = 0.1


@dataclass(frozen=True)
class Offer:
    """A way out.

    Attributes:
        text: on its button.
        values: choices that it changes; none: the solver goes on from the field that it left.
        asks: whether the question is asked again at once; else the fibres are to be seen first.
    """

    text: str
    values: dict[str, Any] = field(default_factory=dict)
    asks: bool = True


def offers(answer: Answer, *, single: bool, current: bool) -> list[Offer]:
    """Return what helps an answer that was refused; nothing where its solver did not stop before its goal.

    Args:
        answer: the last one.
        single: whether its image is a single one, whose depth is free.
        current: whether its medium is still the present one; where it is not, its solver can go on, and no more.
    """
    ways = []
    for remedy in answer.job.remedies:
        offer = _offer(answer, remedy, single=single)
        if offer is not None and (current or not offer.values):
            ways.append(offer)
    return ways


def _offer(answer: Answer, remedy: str, *, single: bool) -> Offer | None:
    """What the page has of a remedy of the library; None where there is nothing for this question."""
    choices = answer.choices
    if remedy == "more iterations" and choices.task == "solve":
        return Offer(f"Go on: {choices.iterations} more iterations")
    if remedy == "more iterations" and choices.task == "tensor":
        most = _MORE * choices.iterations
        return Offer(f"Compute with up to {most} iterations", {"max_iterations": most})
    if remedy == "looser tolerance" and choices.task != "predict":
        return _looser(answer)
    if remedy == "voxel mask" and choices.walls == "auto":
        return Offer("Put the walls at the faces of the pixels", {"wall_rule": "plain", "finer": False})
    if remedy == "smaller voxels" and choices.task == "solve" and not choices.finer:
        return Offer("Solve on a grid twice as fine", {"finer": True, "tolerance": None})
    if remedy == "voxels like cubes" and single:
        return Offer("Take the depth of cubic voxels", {"depth": cubic_depth(choices.pixel_size)}, asks=False)
    return Offer("Solve instead", {"task": "solve"}) if remedy == "solver" and choices.task == "predict" else None


def _looser(answer: Answer) -> Offer | None:
    """The next power of ten above the error that was reached; None where that is no answer any more."""
    reached = answer.job.reached
    if reached is None or not 0 < reached < _LOOSEST:
        return None
    tolerance = float(f"1e{math.ceil(math.log10(reached))}")
    if tolerance <= answer.choices.accuracy:
        return None
    values: dict[str, Any] = {"tolerance": tolerance}
    if answer.choices.runs > 1:  # it starts anew, and needs what all runs needed
        values["max_iterations"] = answer.choices.runs * answer.choices.iterations
    return Offer(f"Be content with an error of K of {100 * tolerance:g} %", values)
