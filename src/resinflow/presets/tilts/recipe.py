"""The recipe of the preset tilts: a diffusion over the fibres of a slice, trained on random bundles."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, model_validator

from resinflow.train import BaseRecipe, Positive, Size, StageOptions, Weight

__all__ = ["NAME", "SCHEMA", "TiltArchitecture", "TiltOptions", "TiltRecipe"]

SCHEMA = "resinflow-tilts-1"
NAME = "tilts"
Span = tuple[float, float]


class TiltArchitecture(BaseModel, frozen=True, extra="forbid"):
    """Size of the network (:class:`resinflow.nn.SlopeNetwork`), and how it is sampled.

    Attributes:
        width: channels inside.
        rounds: times that fibres hear of their neighbours.
        neighbours: fibres that each sees.
        sampler_steps: steps of a draw, each of two calls of the network.
    """

    width: Size = 96
    rounds: Size = 4
    neighbours: Size = 8
    sampler_steps: Size = 8


class TiltOptions(StageOptions, frozen=True, extra="forbid"):
    """Options of the one stage. Spans are drawn evenly; lengths are in mean diameters.

    Attributes:
        bundles: random bundles that an epoch shows; a ``visits``-th of them is new, the others are seen from another side.
        visits: times that a bundle is shown: at another height, turned and mirrored.
        validation: bundles of the validation, the same after every epoch.
        volume_fraction: fibre volume over box volume.
        diameter_scatter: standard deviation of the diameters over their mean.
        misalignment: largest tilt of the bundle, degrees; half of the bundles keep to the lower 0.4 of the span.
        minimum_gap: evenly in its logarithm.
        depth: of the box, evenly in its logarithm.
        edge: of the box.
        scatter_weight: weight of the scatter of the bundles beside the fibres.
    """

    bundles: Positive = 12288
    visits: Positive = 4
    validation: Positive = 400
    precision: Literal["bf16-mixed", "32-true"] = "32-true"
    volume_fraction: Span = (0.1, 0.66)
    diameter_scatter: Span = (0.0, 0.15)
    misalignment: Span = (0.0, 25.0)
    minimum_gap: Span = (0.01, 0.12)
    depth: Span = (1.5, 10.0)
    edge: Span = (3.0, 6.0)
    scatter_weight: Weight = 0.3

    @model_validator(mode="after")
    def _spans_rise(self) -> Self:
        for name in ("volume_fraction", "diameter_scatter", "misalignment", "minimum_gap", "depth", "edge"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name in ("minimum_gap", "depth", "edge") and low == 0):
                raise ValueError(f"{name} is [{low:g}, {high:g}]; needed: two numbers that rise, from 0 on")
        return self


class TiltRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """A whole run: one network, one seed, one stage. There is no data set: bundles are drawn while the network learns.

    Attributes:
        preset: ``tilts``.
        name: of the finished model.
        model: size of the network.
        tilts: options of the stage.
    """

    stages: ClassVar[tuple[str, ...]] = (NAME,)

    preset: Literal["tilts"] = NAME
    name: str = NAME
    model: TiltArchitecture = TiltArchitecture()
    tilts: TiltOptions = TiltOptions()

    def options(self, stage: str) -> TiltOptions:
        """Return the options of the stage."""
        return {NAME: self.tilts}[stage]
