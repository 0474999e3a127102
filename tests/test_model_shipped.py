"""Claims about the model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.data.recipe import DataRecipe, load_data_recipe
from resinflow.evaluate.metrics import compare
from resinflow.media.bundles import BundleSettings, draw_fibres
from resinflow.models.start import start_flows
from resinflow.presets.families import load_model, load_recipe
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import LatentRecipe, StageName
from resinflow.presets.training import on_machine
from resinflow.stokes.certify import certify
from resinflow.stokes.finer import solve_refined

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small() -> LatentPredictor:
    model = load_model("small")
    assert isinstance(model, LatentPredictor)
    return model


def test_all_shipped_weights_together_stay_below_40_megabytes() -> None:
    weights = list((ROOT / "src" / "resinflow").rglob("*.safetensors"))
    assert weights
    assert sum(path.stat().st_size for path in weights) < 40e6


@pytest.mark.parametrize(
    ("part", "stages", "data"), [("start", ("vae3d", "vae2d"), "data-train"), (None, ("diffusion",), "data-small")]
)
def test_the_recipes_in_the_repository_are_those_of_the_shipped_model(
    small: LatentPredictor, part: str | None, stages: tuple[StageName, ...], data: str
) -> None:
    """The VAE learnt in a run of its own, from which the run of the diffusion started."""
    log = small.log[part] if part else small.log
    trained, recipe = LatentRecipe.model_validate(log["recipe"]), load_recipe(ROOT / "recipes" / "small.yaml")
    assert set(log["history"]) == set(stages)
    assert all(getattr(trained, name) == getattr(recipe, name) for name in ("name", "seed", "samples", "model"))
    for stage in stages:
        # how many processes shared a batch is the machine's business
        assert getattr(on_machine(trained, stage, devices=1), stage) == getattr(recipe, stage)
    found = DataRecipe.model_validate(log["data"]["recipe"])
    assert found == load_data_recipe(ROOT / "recipes" / f"{data}.yaml")


def test_fresh_dense_bundles_are_predicted_better_than_by_the_solver_on_their_voxels(small: LatentPredictor) -> None:
    """Seeds of no data set; the truth is solved on a grid twice as fine, and dense media leave the voxels much to miss."""
    scores, errors = [], []
    for seed, fraction in ((911, 0.5), (912, 0.55), (913, 0.6), (914, 0.6)):
        settings = BundleSettings(volume_fraction=fraction, diameter=11e-6, misalignment=12, minimum_gap=0.5e-6)
        fibres = draw_fibres((11, 64, 64), (50e-6, 50e-6, 50e-6), seed=seed, settings=settings)
        micro = fibres.microstructure((11, 64, 64))
        drive = {"pressure_drop": 1e5, "viscosity": 0.1}
        truth = solve_refined(fibres, micro, (2, 2, 2), wall_rule="surface", tolerance=1e-4, **drive)
        start = start_flows(micro, base=small.base, axis="x", **drive)
        predicted = small.predict(micro, start=start)
        scores.append([compare(flow, truth).relative_l2.total for flow in (start.planar, start.base, predicted)])
        errors.append([abs(flow.permeability / truth.permeability - 1) for flow in (start.base, predicted)])
        assert certify(predicted).divergence < 1e-5
    assert all(model < base < planar for planar, base, model in scores)
    assert np.mean(scores, axis=0)[2] < 0.25 * np.mean(scores, axis=0)[0]
    base_error, model_error = np.mean(errors, axis=0)
    assert model_error < base_error


def test_the_shipped_model_is_calibrated_and_knows_its_media(small: LatentPredictor) -> None:
    assert small.novelty is not None
    assert set(small.calibrations) == {"exact", "grey", "mask", "estimated"}
    assert {law.samples for law in small.calibrations.values()} == {small.architecture.samples}
