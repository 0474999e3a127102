"""A fourth family of models, as a folder of presets/ would hold it: the planar flow times a factor plus a shift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor, nn

from resinflow.data import FlowSource
from resinflow.models import (
    WEIGHTS,
    Choice,
    Ensemble,
    Mirror,
    Predictor,
    ResolvedSampling,
    SampleWatch,
    StartFlows,
    load_weights,
    mirror_fields,
    read_document,
)
from resinflow.train import BaseRecipe, StageOptions
from resinflow.train.preset import Preset
from resinflow.train.stage import Part, Stage

_COMPONENTS = ("vx", "vy", "vz")
Pair = tuple[Tensor, Tensor]
"""Planar and 3-D velocity (3, nz, ny, nx), in units of the planar flow's largest."""


class ToySizes(BaseModel, frozen=True, extra="forbid"):
    """What the model is: where its factor begins."""

    factor: float = 0.5


class ToyRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """Two stages: ``factor``, then ``shift``."""

    stages: ClassVar[tuple[str, ...]] = ("factor", "shift")

    preset: Literal["toy"] = "toy"
    name: str = "toy"
    model: ToySizes = ToySizes()
    factor: StageOptions = StageOptions()
    shift: StageOptions = StageOptions()

    def options(self, stage: str) -> StageOptions:
        return {"factor": self.factor, "shift": self.shift}[stage]


class ToyNetworks(nn.Module):
    """A factor and a shift for every component."""

    def __init__(self, sizes: ToySizes) -> None:
        super().__init__()
        self.factor = nn.Conv3d(3, 3, 1, groups=3, bias=False)
        nn.init.constant_(self.factor.weight, sizes.factor)
        self.shift = nn.Conv3d(3, 3, 3, padding=1)

    def forward(self, planar: Tensor) -> Tensor:
        return self.factor(planar) + self.shift(planar)


class ToyStage(Stage[ToyNetworks, StageOptions, Pair]):
    """Trains one of the two networks."""

    def losses(self, batch: Pair, part: Part, place: int) -> dict[str, Tensor]:
        planar, flow = batch
        return {"loss": (self.networks(planar) - flow).square().mean()}

    def configure_optimizers(self) -> Any:
        return self.adamw()


class ToyPredictor(Predictor[ToySizes, ToyNetworks]):
    """The trained model."""

    schema = "toy-1"
    preset = "toy"
    choices: ClassVar[frozenset[Choice]] = frozenset()

    @property
    def base(self) -> None:
        return None

    @property
    def defaults(self) -> ResolvedSampling:
        return ResolvedSampling(samples=1, steps=1)

    @classmethod
    def restored(cls, directory: Path) -> Self:
        name, sizes, log = read_document(directory, cls.schema, ToySizes)
        networks = ToyNetworks(sizes)
        load_weights(networks, directory / WEIGHTS)
        return cls(name, sizes, networks, log)

    def draw(self, start: StartFlows, sampling: ResolvedSampling, watch: SampleWatch | None = None) -> NDArray[np.floating]:
        planar, unit = start.planar.velocity, np.abs(start.planar.velocity).max()
        with torch.inference_mode():
            return self.networks(torch.from_numpy(np.asarray(planar / unit, dtype=np.float32))[None]).numpy() * unit

    def mean(self, start: StartFlows, members: NDArray[np.floating], sampling: ResolvedSampling) -> Ensemble:
        return Ensemble(replace(start.planar, velocity=members[0], face_velocity=None), members)

    def warnings(self, start: StartFlows) -> tuple[str, ...]:
        return ()


class ToyPreset(Preset[ToyNetworks, ToyRecipe, Pair]):
    """The family, as the engine sees it."""

    block = nn.Conv3d

    def networks(self, stage: str, recipe: ToyRecipe, source: FlowSource) -> ToyNetworks:
        return ToyNetworks(recipe.model)

    def batch(self, source: FlowSource, index: int, recipe: ToyRecipe) -> Pair:
        sample = source.sample(index)
        planar, flow = (np.asarray(each.velocity, dtype=np.float32) for each in (sample.planar, sample.truth))
        unit = np.abs(planar).max()
        return torch.from_numpy(planar / unit), torch.from_numpy(flow / unit)

    def shown(self, batch: Pair, mirrors: tuple[Mirror, ...], recipe: ToyRecipe) -> Pair:
        planar, flow = (mirror_fields(field, _COMPONENTS, *mirrors) for field in batch)
        return planar, flow

    def stage(self, name: str, networks: ToyNetworks, recipe: ToyRecipe) -> ToyStage:
        return ToyStage(networks, [{"factor": networks.factor, "shift": networks.shift}[name]], recipe.options(name))

    def predictor(self, recipe: ToyRecipe, networks: ToyNetworks, log: dict[str, Any]) -> ToyPredictor:
        return ToyPredictor(recipe.name, recipe.model, networks, log)


PRESET = ToyPreset()
