"""What a model of the preset ``voxel`` is: one deterministic network from the conditions to the correction, voxel by voxel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.flow import read_config
from resinflow.models import InputConfig
from resinflow.presets.latent.recipe import Positive
from resinflow.train import FlowStageConfig

SCHEMA = "resinflow-voxel-1"
PRESET = "voxel"


class UNetSizes(BaseModel):
    """Sizes of a 3-D U-Net (:class:`resinflow.nn.unet3d.UNet3d`).

    Attributes:
        kind: ``unet``.
        block: in-plane edge of the blocks of voxels that are folded into channels.
        widths: channels of every level, the finest first; each level has half the height and width of the one before.
        blocks: residual blocks of every level; all but the coarsest have as many again on the way up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["unet"] = "unet"
    block: Positive = 2
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (32, 64, 96)
    blocks: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 2)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"widths has {len(self.widths)} levels and blocks {len(self.blocks)}; needed: one number a level in both"
            )
        return self


class FourierSizes(BaseModel):
    """Sizes of a Fourier neural operator (``neuralop.models.FNO``).

    Attributes:
        kind: ``fno``.
        modes: Fourier modes kept along z, y and x, of both signs together; an odd number treats both alike.
        width: channels of the Fourier layers.
        layers: Fourier layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["fno"] = "fno"
    modes: tuple[Positive, Positive, Positive] = (7, 17, 17)
    width: Positive = 16
    layers: Positive = 4


class VoxelConfig(InputConfig):
    """Conditions and network of a deterministic model.

    Attributes:
        network: its kind and sizes.
    """

    network: Annotated[UNetSizes | FourierSizes, Field(discriminator="kind")] = UNetSizes()


DirectStageName = Literal["direct"]
DIRECT: DirectStageName = "direct"
"""The one stage of the preset."""


class VoxelTrainingConfig(BaseModel):
    """A whole run: one network, one seed, one stage.

    Attributes:
        preset: ``voxel``.
        name: of the finished model.
        seed: of weights, order and mirrors.
        model: conditions and sizes of the network.
        direct: options of the stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["voxel"] = PRESET
    name: str = PRESET
    seed: int = 2024
    model: VoxelConfig = VoxelConfig()
    direct: FlowStageConfig = FlowStageConfig()

    @model_validator(mode="after")
    def _physics_has_its_flow(self) -> Self:
        self.direct.check_physics(self.model)
        return self


def load_voxel_config(path: str | Path) -> VoxelTrainingConfig:
    """Return the recipe in the YAML file ``path``.

    Raises:
        InvalidInputError: no such file, an unknown key or a value out of range.
    """
    return read_config(Path(path), VoxelTrainingConfig)
