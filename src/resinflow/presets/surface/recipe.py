"""The recipe of the preset surface: a network that finds fibre surfaces in images, trained on random specimens."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from resinflow.train import BaseRecipe, Positive, Size, StageOptions, Weight

__all__ = ["NAME", "SCHEMA", "SurfaceArchitecture", "SurfaceOptions", "SurfaceRecipe"]

SCHEMA = "resinflow-surface-1"
NAME = "surface"


class SurfaceArchitecture(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the network (:class:`resinflow.nn.SurfaceNetwork`).

    Attributes:
        width: channels of the blocks that read the image.
        sample_width: channels of the blocks that draw samples of the surfaces.
        precision: of the convolutions in use; ``auto`` as in the preset latent.
    """

    width: Size = 48
    sample_width: Size = 32
    precision: Literal["auto", "bfloat16", "float32"] = "auto"


class SurfaceOptions(StageOptions, frozen=True, extra="forbid"):
    """Options of the one stage.

    Attributes:
        specimens: random specimens an epoch; none is seen twice.
        validation: specimens of the validation, the same after every epoch.
        shapes: (slices, height, width) of a specimen in pixels; epochs take them in turn, validation the first one.
        sample_weight: weight of the energy score of the samples.
        scale_weight: weight of the likelihood of the local error.
        polarity_weight: weight of the decision which phase the fibres are.
    """

    specimens: Positive = 512
    validation: Positive = 64
    shapes: Annotated[tuple[tuple[Size, Size, Size], ...], Field(min_length=1)] = ((8, 64, 64), (3, 112, 112))
    sample_weight: Weight = 0.5
    scale_weight: Weight = 0.1
    polarity_weight: Weight = 0.2


class SurfaceRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """A whole run: one network, one seed, one stage. There is no data set: specimens are drawn while the network learns.

    Attributes:
        preset: ``surface``.
        name: of the finished model.
        model: sizes of the network.
        surface: options of the stage.
    """

    stages: ClassVar[tuple[str, ...]] = (NAME,)

    preset: Literal["surface"] = NAME
    name: str = NAME
    model: SurfaceArchitecture = SurfaceArchitecture()
    surface: SurfaceOptions = SurfaceOptions()

    def options(self, stage: str) -> SurfaceOptions:
        """Return the options of the stage."""
        return {NAME: self.surface}[stage]
