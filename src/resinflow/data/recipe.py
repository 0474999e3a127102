"""The recipe of a generated data set, read from a YAML file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_jsonable_python

from resinflow.data.division import SPLITS
from resinflow.flow import Drive, InvalidInputError, read_recipe
from resinflow.media import BoxBoundary, BundleSettings
from resinflow.stokes import MASK_RULE, WallRule

Range = tuple[float, float]
"""Lower and upper end; every sample draws uniformly between them."""
Refinement = Annotated[int, Field(ge=1, le=8)]
Share = Annotated[float, Field(ge=0, le=1)]


class DataRecipe(BaseModel):
    """A recipe for a data set of random fibre bundles and their flows along x; lengths in m, angles in degrees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: Annotated[int, Field(ge=1)]
    """Number of media."""
    seed: int = 2024
    """One seed, one data set."""
    shape: tuple[int, int, int] = (11, 64, 64)
    """Voxels (nz, ny, nx)."""
    width: Annotated[float, Field(gt=0, lt=1e-2)] = 50e-6
    """Edge of the square box in the slice plane."""
    depth: Range = (50e-6, 50e-6)
    """Thickness of the box along the fibres."""
    volume_fraction: Range = (0.3, 0.6)
    """Fibre volume over box volume."""
    diameter: Range = (8e-6, 15e-6)
    """Mean fibre diameter of a bundle."""
    diameter_scatter: Range = (0.0, 0.1)
    """Standard deviation of the diameters within a bundle, relative to their mean."""
    misalignment: Range = (0.0, 15.0)
    """Largest angle between a fibre and the z axis, degrees."""
    minimum_gap: Annotated[float, Field(ge=0)] = 0.5e-6
    """Smallest distance between two fibres, across them."""
    waviness: Range = (0.0, 0.0)
    """Largest angle between the axes of a bundle and their mean direction."""
    wavelength: Range = (100e-6, 100e-6)
    """Length of the waves of the fibres along z."""
    boundary: BoxBoundary = "cut"
    """``cut``: the box is cut from a wider bundle; ``periodic``: the bundle repeats in the slice plane."""
    strict_gap: bool = False
    """Whether tilted fibres keep the minimum gap without exception (:class:`resinflow.media.bundles.BundleSettings`)."""
    refinement: tuple[Refinement, Refinement, Refinement] = (1, 1, 1)
    """The flow is solved on a grid finer by these factors (z, y, x) and averaged onto the stored one."""
    wall_rule: WallRule = MASK_RULE
    """Walls of the solved flow: ``plain`` and ``gap`` take the mask, ``surface`` the exact signed distance."""
    pressure_drop: Annotated[float, Field(gt=0)] = Drive.pressure_drop
    """Pressure drop over the box, Pa."""
    viscosity: Annotated[float, Field(gt=0)] = Drive.viscosity
    """Resin viscosity, Pa s."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-8
    """Relative error of K at which the solver stops."""
    split: tuple[Share, Share, Share] = (SPLITS["train"], SPLITS["validation"], SPLITS["test"])
    """Shares of training, validation and test."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("depth", "volume_fraction", "diameter", "diameter_scatter", "misalignment", "waviness", "wavelength"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} runs from {low} to {high}; needed: lower end first")
        return self

    @model_validator(mode="after")
    def _every_draw_can_be_made(self) -> Self:
        """Refuse ranges with media that no draw can give: they would be drawn anew, and a part of the range stay empty."""
        if self.diameter[1] > self.width:
            raise ValueError(
                f"diameter goes up to {self.diameter[1]:g} m in a box of width {self.width:g} m; needed: at least one diameter"
            )
        ranges = (
            self.volume_fraction,
            self.diameter,
            self.diameter_scatter,
            self.misalignment,
            self.waviness,
            self.wavelength,
        )
        for ends in itertools.product(*ranges):  # every condition holds between the ends of a range if it holds at both
            try:
                settings = self.settings(*ends)
            except InvalidInputError as error:
                raise ValueError(f"the ranges hold media that cannot be made: {error}".rstrip(".")) from None
            if settings.volume_fraction > settings.largest_fraction:
                raise ValueError(
                    f"volume_fraction goes up to {settings.volume_fraction:g}, but fibres of {settings.diameter:g} m with gaps "
                    f"of {settings.minimum_gap:g} m cannot be packed beyond {settings.largest_fraction:.3f}; needed: a lower "
                    "volume_fraction or minimum_gap, or thicker fibres"
                )
        return self

    @model_validator(mode="after")
    def _shares_are_a_whole(self) -> Self:
        if abs(sum(self.split) - 1) > 1e-9:
            raise ValueError(f"split is {list(self.split)}, which sums to {sum(self.split):g}; needed: shares that sum to 1")
        return self

    def settings(
        self,
        volume_fraction: float,
        diameter: float,
        diameter_scatter: float,
        misalignment: float,
        waviness: float,
        wavelength: float,
    ) -> BundleSettings:
        """Return the settings of a bundle of this data set; lengths in m, angles in degrees.

        Raises:
            InvalidInputError: settings out of range.
        """
        return BundleSettings(
            volume_fraction=volume_fraction,
            diameter=diameter,
            diameter_scatter=diameter_scatter,
            misalignment=misalignment,
            waviness=waviness,
            wavelength=wavelength,
            minimum_gap=self.minimum_gap,
            boundary=self.boundary,
            strict_gap=self.strict_gap,
        )

    @property
    def drive(self) -> Drive:
        """What drives every flow of the data set."""
        return Drive(pressure_drop=self.pressure_drop, viscosity=self.viscosity)

    @property
    def solved_as_stored(self) -> bool:
        """Whether the flow is solved on the stored mask itself."""
        return self.refinement == (1, 1, 1) and self.wall_rule != "surface"


def load_data_recipe(path: str | Path) -> DataRecipe:
    """Return the recipe in the YAML file ``path``.

    Raises:
        InvalidInputError: no such file, no YAML mapping, an unknown key or a value out of range.
    """
    return read_recipe(Path(path), DataRecipe)


def completed_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored recipe with the options of later versions; their defaults are the behaviour of earlier versions."""
    defaults = {name: field.default for name, field in DataRecipe.model_fields.items() if not field.is_required()}
    return {**to_jsonable_python(defaults), **recipe}
