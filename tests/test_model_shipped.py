"""Claims about the model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.data import GenerationConfig, load_generation_config
from resinflow.evaluate import compare
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.model import FlowPredictor, StartFlows
from resinflow.registry import load_model, solve_start_flows
from resinflow.stokes import solve
from resinflow.train import TrainingConfig, load_training_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small() -> FlowPredictor:
    model = load_model("small")
    assert isinstance(model, FlowPredictor)
    return model


def test_all_shipped_weights_together_stay_below_20_megabytes() -> None:
    weights = list((ROOT / "src" / "resinflow").rglob("*.safetensors"))
    assert weights
    assert sum(path.stat().st_size for path in weights) < 20e6


def test_the_recipes_in_the_repository_are_those_of_the_shipped_model(small: FlowPredictor) -> None:
    # options that came after the training count as their defaults
    trained = TrainingConfig.model_validate(small.log["recipe"])
    assert trained == load_training_config(ROOT / "recipes" / "small.yaml")
    data = GenerationConfig.model_validate(small.log["data"]["recipe"])
    assert data == load_generation_config(ROOT / "recipes" / "data-stored.yaml")


def test_fresh_tilted_bundles_are_predicted_better_than_by_planar_and_response_flow(small: FlowPredictor) -> None:
    """Seeds of no data set; tilts of 8 degrees and more, where the planar flow leaves much to be corrected."""
    scores = []
    for seed, fraction in ((901, 0.35), (902, 0.45), (903, 0.55)):
        settings = BundleSettings(volume_fraction=fraction, diameter=11e-6, misalignment=12)
        micro = fibre_bundle((11, 64, 64), (50e-6, 50e-6, 50e-6), seed=seed, settings=settings)
        start = solve_start_flows(micro, axis="x", pressure_drop=1e5, viscosity=0.1)
        truth = solve(micro)
        predicted = small.predict(micro, start=StartFlows(start.planar, start.base))
        scores.append([compare(flow, truth).relative_l2.total for flow in (start.planar, start.base, predicted)])
    planar, response, model = np.mean(scores, axis=0)
    assert model < 0.75 * response
    assert model < 0.5 * planar
