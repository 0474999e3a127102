"""The recipe of a deterministic model: its network and its one stage."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from resinflow.data.config import read_config
from resinflow.model.voxel_config import PRESET, VoxelConfig
from resinflow.train.config import FlowStageConfig

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
