"""The typed part of the attributes of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from resinflow.data.division import SPLITS
from resinflow.flow import Drive, InvalidInputError, first_fault


class Layout(BaseModel):
    """How the published folder that a data set was converted from is laid out; further keys are the writer's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cases: dict[str, int] = {}
    """Samples by the axis of their flow, in the order of the samples."""


class DataInfo(BaseModel):
    """What a data set says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pressure_drop: float
    """Pa over the length of the box along x."""
    viscosity: float
    """Pa s."""
    density: float | None = None
    """kg/m^3 where the stored pressure is kinematic, pressure over density."""
    recipe: dict[str, Any] | None = None
    """The recipe as it was written, or the origin of a converted data set; recipes of earlier versions lack keys."""
    layout: Layout | None = None
    """Of a converted data set alone."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any], where: object) -> DataInfo:
        """Return the information in the attributes of the data set at ``where``.

        Raises:
            InvalidInputError: a missing or impossible attribute.
        """
        try:
            return cls.model_validate(attributes)
        except ValidationError as error:
            raise InvalidInputError(f"{where}: {first_fault(error, 'attributes', value=False)}.") from None

    @property
    def drive(self) -> Drive:
        """What drives every flow of the data set."""
        return Drive(pressure_drop=self.pressure_drop, viscosity=self.viscosity)

    @property
    def converted(self) -> bool:
        """Whether another program solved the flows."""
        return "converted_from" in (self.recipe or {})

    @property
    def pressure_unit(self) -> float:
        """Pa in one unit of the stored pressure."""
        return 1.0 if self.density is None else self.density

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the parts of the division that the recipe asks for, or 70/15/15."""
        return dict(zip(SPLITS, (self.recipe or {}).get("split", SPLITS.values()), strict=True))
