"""The recipe of the preset direct: one deterministic network from the conditions to the correction, voxel by voxel."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from resinflow.models import Inputs
from resinflow.train import FlowRecipe, FlowStageOptions, Size

SCHEMA = "resinflow-voxel-1"
NAME = "direct"
EARLIER = "voxel"
"""What the preset was called before, in recipes and run directories."""


class UNetSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a 3-D U-Net (:class:`resinflow.nn.unet3d.UNet3d`).

    Attributes:
        kind: ``unet``.
        block: in-plane edge of the blocks of voxels that are folded into channels.
        widths: channels of every level, the finest first; each level has half the height and width of the one before.
        blocks: residual blocks of every level; all but the coarsest have as many again on the way up.
    """

    kind: Literal["unet"] = "unet"
    block: Size = 2
    widths: Annotated[tuple[Size, ...], Field(min_length=1, max_length=16)] = (32, 64, 96)
    blocks: Annotated[tuple[Size, ...], Field(min_length=1, max_length=16)] = (1, 2, 2)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"widths has {len(self.widths)} levels and blocks {len(self.blocks)}; needed: one number a level in both"
            )
        return self


class FourierSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a Fourier neural operator (``neuralop.models.FNO``).

    Attributes:
        kind: ``fno``.
        modes: Fourier modes kept along z, y and x, of both signs together; an odd number treats both alike.
        width: channels of the Fourier layers.
        layers: Fourier layers.
    """

    kind: Literal["fno"] = "fno"
    modes: tuple[Size, Size, Size] = (7, 17, 17)
    width: Size = 16
    layers: Size = 4


class DirectArchitecture(Inputs, frozen=True, extra="forbid"):
    """Conditions and network of a deterministic model.

    Attributes:
        network: its kind and sizes.
    """

    network: Annotated[UNetSizes | FourierSizes, Field(discriminator="kind")] = UNetSizes()


class DirectRecipe(FlowRecipe, frozen=True, extra="forbid"):
    """A whole run: one network, one seed, one stage.

    Attributes:
        preset: ``direct``.
        name: of the finished model.
        model: conditions and sizes of the network.
        direct: options of the stage.
    """

    stages: ClassVar[tuple[str, ...]] = (NAME,)

    preset: Literal["direct"] = NAME
    name: str = NAME
    model: DirectArchitecture = DirectArchitecture()
    direct: FlowStageOptions = FlowStageOptions()

    @model_validator(mode="before")
    @classmethod
    def _of_its_earlier_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == EARLIER:
            return {"name": EARLIER, **values, "preset": NAME}
        return values

    def options(self, stage: str) -> FlowStageOptions:
        """Return the options of the stage."""
        return {NAME: self.direct}[stage]
