"""Claims about the published system's training data: pairs stay pairs, scales come from the training split, layouts agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resinflow.data.open import open_flows
from resinflow.data.published.write import export_published
from resinflow.data.store import FlowStore
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.presets.paper.data import mirrored, padded, read_sample, velocity_factors
from resinflow.presets.paper.recipe import DenoiserSizes, PaperArchitecture, PaperRecipe
from resinflow.presets.paper.stages import PaperPreset
from resinflow.stokes.planar import planar_flow
from resinflow.train.data import FlowDataset


@pytest.mark.parametrize("mirror", ["x", "y", "z"])
def test_a_mirrored_pair_is_the_pair_of_the_mirrored_medium(tiny_store: FlowStore, mirror: Any) -> None:
    sample = read_sample(tiny_store, 0)
    image = mirrored(sample, (mirror,))
    medium = Microstructure(image.fluid[0].numpy() > 0, tuple(image.spacing.tolist()))
    planar = planar_flow(medium, pressure_drop=tiny_store.attributes["pressure_drop"], viscosity=0.1).velocity
    error = np.linalg.norm(planar - image.planar.numpy()) / np.linalg.norm(planar)
    assert error < 1e-3
    # the 3-D flow lies closer to the planar flow of its own medium than to any other mirror image of it
    distances = {other: (image.flow - mirrored(sample, other).planar).norm().item() for other in ((), ("x",), ("y",), ("z",))}
    assert min(distances, key=lambda other: distances[other]) == (mirror,)


def test_mirroring_twice_gives_the_sample_back(tiny_store: FlowStore) -> None:
    sample = read_sample(tiny_store, 1)
    twice = mirrored(mirrored(sample, ("x", "y", "z")), ("z", "y", "x"))
    for name in ("fluid", "planar", "flow"):
        assert torch.equal(getattr(twice, name), getattr(sample, name))


def test_validation_samples_are_never_mirrored_and_training_ones_are(tiny_store: FlowStore) -> None:
    recipe = PaperRecipe.model_validate({"vae3d": {"mirrors": ["y", "z"]}})
    still = FlowDataset(tiny_store, "validation", PaperPreset(), recipe)
    assert not any(still[epoch, 0].mirrored.any() for epoch in range(20))
    moving = FlowDataset(tiny_store, "train", PaperPreset(), recipe, "vae3d")
    drawn = torch.stack([moving[epoch, 0].mirrored for epoch in range(40)])
    assert drawn.any(dim=0).tolist() == [False, True, True]


def test_samples_are_padded_with_fibre_as_in_prediction(tiny_store: FlowStore) -> None:
    config = PaperArchitecture(unet=DenoiserSizes(features=(8, 8, 8)))
    size = config.padded_size(16)
    assert size == 32
    sample = read_sample(tiny_store, 0)
    wide = padded(sample, (size, size))
    assert wide.flow.shape == (3, 3, 32, 32)
    assert torch.equal(wide.flow[..., :16, :16], sample.flow)
    assert wide.fluid.sum() == sample.fluid.sum()


class Loud:
    """A data set whose test samples are a thousand times as fast as the others."""

    def __init__(self, store: FlowStore) -> None:
        self._store = store
        self.path = store.path

    def indices(self, split: str) -> np.ndarray:
        return self._store.indices(split)

    def read(self, name: str, index: int) -> np.ndarray:
        values = self._store.read(name, index)
        return values * 1000 if "velocity" in name and index not in self._store.indices("train") else values


@pytest.mark.parametrize("normalisation", ["max", "mean"])
def test_factors_come_from_the_training_split_alone(tiny_store: FlowStore, normalisation: Any) -> None:
    factors, largest = velocity_factors(tiny_store, normalisation)
    loud, loudest = velocity_factors(Loud(tiny_store), normalisation)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(factors, loud)
    assert largest == loudest


def test_factors_are_the_largest_or_the_mean_magnitude_of_each_component(tiny_store: FlowStore) -> None:
    samples = [read_sample(tiny_store, int(index)) for index in tiny_store.indices("train")]
    both = [torch.cat([getattr(sample, name).flatten(1) for sample in samples], dim=1).abs() for name in ("flow", "planar")]
    fluid = sum(float(sample.fluid.sum()) for sample in samples)
    expected = {
        "max": torch.stack(both).amax(dim=(0, 2)),
        "mean": torch.stack([part.double().sum(dim=1) for part in both]).amax(dim=0) / fluid,
    }
    for normalisation, values in expected.items():
        factors, _ = velocity_factors(tiny_store, normalisation)  # pyright: ignore[reportArgumentType]
        assert np.allclose(factors, values.numpy(), rtol=1e-5)


class Resting(Loud):
    """A data set in which nothing moves."""

    def read(self, name: str, index: int) -> np.ndarray:
        values = self._store.read(name, index)
        return np.zeros_like(values) if "velocity" in name else values


def test_a_data_set_at_rest_is_refused(tiny_store: FlowStore) -> None:
    with pytest.raises(InvalidInputError, match="nothing flows"):
        velocity_factors(Resting(tiny_store), "max")  # pyright: ignore[reportArgumentType]


def test_the_published_layout_gives_the_samples_of_the_store(tiny_store: FlowStore, tmp_path: Path) -> None:
    export_published(tiny_store, tmp_path / "published")
    source = open_flows(tmp_path / "published")
    for split in ("train", "validation"):
        assert source.indices(split).tolist() == tiny_store.indices(split).tolist()
    for index in tiny_store.indices("train"):
        for ours, theirs in zip(read_sample(tiny_store, int(index)), read_sample(source, int(index)), strict=True):
            assert torch.equal(ours, theirs)
