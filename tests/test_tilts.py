"""Claims about the law of slopes that is learned from random bundles: its symmetries, its training, and what it draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from resinflow.flow import InvalidInputError
from resinflow.media import BundleSettings, fibre_bundle, packed_fibres, view_slices
from resinflow.media.neighbourhood import Discs
from resinflow.media.slope_laws import PackedSlopes, Stand
from resinflow.nn import joined
from resinflow.presets.tilts.graphs import Plane, deviations_of, graph_of, parted
from resinflow.presets.tilts.model import TiltModel, load_tilt_model, network_of, tilt_engine
from resinflow.presets.tilts.recipe import TiltArchitecture, TiltRecipe
from resinflow.presets.tilts.stages import DrawnBundles
from resinflow.presets.tilts.training import TILTS
from tests.commands import refusal, run

VALUES: dict[str, Any] = {
    "preset": "tilts",
    "name": "tiny",
    "model": {"width": 16, "rounds": 2, "neighbours": 4, "sampler_steps": 3},
    "tilts": {"epochs": 3, "bundles": 8, "visits": 2, "validation": 4, "batch_size": 4, "edge": [3.0, 3.2], "depth": [1.5, 2]},
}
RECIPE = TiltRecipe.model_validate(VALUES)


class Interrupt(Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


def square(places: np.ndarray) -> Plane:
    return Plane(places, np.full(len(places), 0.5), 0.1, 0.05, 2.0, 3.0)


def test_bundles_are_new_in_every_epoch_and_the_same_again_and_are_seen_from_several_sides() -> None:
    bundles = DrawnBundles(RECIPE, "train")
    first, again, side, later = bundles[0, 0], DrawnBundles(RECIPE, "train")[0, 0], bundles[0, 1], bundles[1, 0]
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[2].edges, again[2].edges)
    assert len(first[1]) == len(side[1])  # the same fibres, turned
    assert not torch.equal(first[1], side[1])
    torch.testing.assert_close(first[0], side[0], atol=1e-5, rtol=1e-5)
    assert not torch.equal(first[2].facts, later[2].facts)
    assert first[1].mean(dim=0).abs().max() < 1e-5


def test_slopes_are_parted_into_their_scatter_and_the_rest_and_put_together_again() -> None:
    slopes = 0.03 * np.random.default_rng(3).standard_normal((30, 2))
    scatter, own = parted(slopes, 0.1)
    assert np.sqrt((own**2).mean()) == pytest.approx(1.0)
    assert deviations_of(scatter, own, 0.1) == pytest.approx(slopes)
    assert parted(2 * slopes, 0.1)[0] > scatter
    assert np.isfinite(parted(0 * slopes, 0.0)[0])


def test_a_graph_sees_the_nearest_fibres_across_the_borders_of_a_period_and_fewer_where_there_are_fewer() -> None:
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 5, (20, 2))
    plane = square(places)._replace(period=5.0)
    moved = plane._replace(places=places + np.array([3.7, -1.1]))
    for name in ("neighbours", "edges"):
        torch.testing.assert_close(getattr(graph_of(plane, 4), name), getattr(graph_of(moved, 4), name), atol=1e-5, rtol=1e-5)
    pair = graph_of(square(np.array([[0.0, 0.0], [2.0, 0.0]])), 4)
    assert pair.neighbours.tolist() == [[1] * 4, [0] * 4]
    assert pair.edges[0, 0, :4].tolist() == pytest.approx([2.0, 0.0, 2.0, 1.0])
    assert graph_of(square(np.zeros((1, 2))), 4).neighbours.tolist() == [[0] * 4]


def test_what_the_network_says_of_a_bundle_depends_neither_on_its_company_nor_on_the_order_of_its_fibres() -> None:
    torch.manual_seed(0)
    network, rng = network_of(RECIPE.model), np.random.default_rng(2)
    planes = [square(rng.uniform(0, 6, (count, 2))) for count in (9, 14)]
    graphs = [graph_of(plane, 4) for plane in planes]
    own, scatter, level = torch.randn(23, 2), torch.randn(2, 1), torch.tensor([0.3, 0.8])
    together, bundles = network(joined(graphs), own, scatter, level)
    alone, bundle = network(graphs[1], own[9:], scatter[1:], level[1:])
    torch.testing.assert_close(together[9:], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(bundles[1:], bundle, atol=1e-5, rtol=1e-5)
    order = torch.randperm(14)
    shuffled, _ = network(graph_of(square(planes[1].places[order.numpy()]), 4), own[9:][order], scatter[1:], level[1:])
    torch.testing.assert_close(shuffled, alone[order], atol=1e-5, rtol=1e-5)


def test_a_run_learns_is_resumed_to_the_same_weights_and_ends_in_a_law(tmp_path: Path) -> None:
    whole = TILTS.train(tmp_path / "whole", RECIPE)
    with pytest.raises(KeyboardInterrupt):
        TILTS.train(tmp_path / "broken", RECIPE, callbacks=(Interrupt(),))
    broken = TILTS.train(tmp_path / "broken", RECIPE)
    weights, resumed = (load_file(model / "model.safetensors") for model in (whole, broken))
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    log = json.loads((whole / "log.json").read_text())
    assert log["recipe"] == RECIPE.model_dump(mode="json")
    assert len(log["history"]["tilts"]["validation_loss"]) == 3
    assert load_tilt_model(tmp_path / "whole").name == "tiny"


def test_the_command_trains_and_goes_on_without_its_recipe_and_refuses_another_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = tmp_path / "tiny.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump({**VALUES, "tilts": {**VALUES["tilts"], "epochs": 1}}))
    run("train", "tilts", "--run", folder, "--recipe", path)
    assert "tilts epoch 1 of 1: training loss" in capsys.readouterr().out
    run("train", "tilts", "--run", folder)
    assert "was finished before" in capsys.readouterr().out
    assert "trains no front end" in refusal(capsys, "train", "surface", "--run", folder)
    path.write_text(yaml.safe_dump({**VALUES, "tilts": {"depth": [3.0, 2.0]}}))
    assert "depth is [3, 2]; needed" in refusal(capsys, "train", "tilts", "--run", tmp_path / "new", "--recipe", path)


def test_any_law_draws_media_that_meet_the_slice_whatever_its_fibres_do() -> None:
    page = fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=3, volume_fraction=0.5)
    torch.manual_seed(0)
    untrained = TiltModel("none", TiltArchitecture(width=16, rounds=1), network_of(TiltArchitecture(width=16, rounds=1)))
    view = view_slices(page, depth=30e-6, misalignment=8)
    first, second = tilt_engine(untrained).draw(view, 2, seed=4)
    assert (first.provenance["engine"], first.provenance["model"]) == ("tilts", "none")
    assert all(np.array_equal(medium.fluid[5], page.fluid[0]) for medium in (first, second))
    assert not np.array_equal(first.fluid, second.fluid)
    (again,) = tilt_engine(untrained).draw(view, 1, seed=4)
    assert np.array_equal(first.fluid, again.fluid)


def test_a_stand_of_one_fibre_has_a_slope() -> None:
    stand = Stand(Discs(np.zeros((1, 2)), np.array([5e-6])), BundleSettings(misalignment=5), 10e-6, 10e-6)
    torch.manual_seed(0)
    law = TiltModel("none", RECIPE.model, network_of(RECIPE.model))
    for each in (law, PackedSlopes()):
        assert each.slopes(stand, np.random.default_rng(1)).shape == (1, 2)


def test_an_unknown_engine_is_refused_with_the_names_of_those_that_there_are() -> None:
    from resinflow.presets.drawing import slice_engine_named

    with pytest.raises(InvalidInputError, match="needed: prior, tilts, oneslice or regression"):
        slice_engine_named("priors")


def energy(law: TiltModel | PackedSlopes, bundles: list[tuple[Stand, np.ndarray]]) -> float:
    """Mean energy score of the slopes of nearest fibres beside each other, of eight draws."""
    scores = []
    for number, (stand, truth) in enumerate(bundles):
        mates = graph_of(square(stand.discs.centres), 1).neighbours[:, 0].numpy()
        drawn = np.array([law.slopes(stand, np.random.default_rng((number, k))) for k in range(8)])
        pairs, aim = drawn - drawn[:, mates], truth - truth[mates]
        spread = np.linalg.norm(pairs[:, None] - pairs[None], axis=3).sum(axis=(0, 1)).mean() / (8 * 7)
        scores.append(np.linalg.norm(pairs - aim, axis=2).mean() - 0.5 * spread)
    return float(np.mean(scores))


def test_the_shipped_law_knows_how_fibres_of_fresh_bundles_lean_at_least_as_well_as_packing_does() -> None:
    rng, bundles = np.random.default_rng(77), []
    while len(bundles) < 12:
        settings = BundleSettings(
            volume_fraction=float(rng.uniform(0.3, 0.62)),
            diameter=1e-5,
            misalignment=float(rng.uniform(2, 15)),
            minimum_gap=5e-7,
        )
        packed = packed_fibres((50e-6, 40e-6, 40e-6), settings, rng)
        if packed is not None:
            fibres, _ = packed
            bundles.append((Stand(Discs(fibres.centres[:, :2], fibres.radii), settings, 25e-6, 25e-6), fibres.slopes))
    assert energy(load_tilt_model(device="cpu"), bundles) < 1.01 * energy(PackedSlopes(), bundles)


def test_the_shipped_law_has_the_recipe_of_the_repository() -> None:
    shipped = TiltRecipe.model_validate(load_tilt_model().log["recipe"])
    assert shipped == TILTS.read(Path(__file__).parents[1] / "recipes" / "tilts.yaml", Path("nowhere"))
