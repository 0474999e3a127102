"""The networks that draw volumes about one section."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import resinflow as rf
from resinflow.data import FlowStore
from resinflow.flow import InvalidInputError
from resinflow.media import BundleSettings, view_slices
from resinflow.nn import Question, VolumeNetworks
from resinflow.nn.volumes import measured_slopes
from resinflow.presets.oneslice.engine import OneSliceEngine
from resinflow.presets.oneslice.model import SliceModel, load_slice_model
from resinflow.presets.oneslice.recipe import SliceRecipe
from resinflow.presets.training import train

SMALL = {"latent_channels": 6, "common_channels": 2, "width": 16, "blocks": [1, 1, 1, 1, 1], "sampler_steps": 2}
STAGE = {"epochs": 1, "batch_size": 2, "precision": "32-true"}
RECIPE = {"preset": "oneslice", "name": "tiny", "model": SMALL, "vae3d": STAGE, "vae2d": STAGE, "diffusion": STAGE}


@pytest.fixture(scope="module")
def model(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> SliceModel:
    """A very small model, trained for one epoch a stage on a tiny data set."""
    run: Path = tmp_path_factory.mktemp("oneslice")
    recipe = SliceRecipe.model_validate(RECIPE)
    for stage in recipe.stages:
        train(stage, tiny_store.path, run, recipe, device="cpu")
    return load_slice_model(run, device="cpu")


@pytest.fixture(scope="module")
def section() -> rf.Microstructure:
    return rf.fibre_bundle((1, 30, 34), (1e-6, 30e-6, 34e-6), seed=3, volume_fraction=0.4)


def question(depth: int, batch: int = 1) -> Question:
    return Question((torch.arange(depth) - depth // 2).expand(batch, -1) * 4.0, torch.full((batch,), 0.1), torch.ones(batch))


def test_the_slopes_of_fibres_are_measured_from_their_distance():
    settings = BundleSettings(volume_fraction=0.45, misalignment=15)
    for seed in range(4):
        fibres = rf.media.draw_fibres((11, 64, 64), (30e-6, 50e-6, 50e-6), seed=seed, settings=settings)
        micro = fibres.microstructure((11, 64, 64))
        pixel = micro.spacing[2]
        distance = torch.from_numpy(np.clip(np.asarray(micro.signed_distance) / pixel, -16, 16))[None, None]
        heights = (torch.arange(11)[None] - 5.0) * micro.spacing[0] / pixel
        measured = measured_slopes(distance, heights).mean(dim=(0, 2, 3, 4)).numpy()
        truth = (fibres.top - fibres.bottom).mean(axis=0) / 30e-6
        assert np.abs(measured - truth).max() < 0.05, (measured, truth)


def test_what_is_decoded_at_the_section_is_the_section_whatever_the_latent():
    torch.manual_seed(1)
    networks = VolumeNetworks(6, 2, 16, (1, 1, 1, 1, 1))
    for parameter in networks.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    section, latent = torch.randn(2, 4, 1, 16, 16), torch.randn(2, 6, 1, 4, 4)
    volume = networks.decode_3d(latent, section, question(5, 2))
    assert torch.allclose(volume[:, :1, 2:3], section[:, :1], atol=1e-4)
    assert not torch.allclose(volume[:, :1, :1], section[:, :1], atol=0.1)


def test_a_volume_drawn_by_a_model_has_the_section_at_its_height(model: SliceModel, section: rf.Microstructure):
    view = view_slices(section, 20e-6, slices=5, misalignment=10)
    volumes = list(OneSliceEngine(model).volumes(view, 2, seed=4))
    for medium, flow in volumes:
        assert medium.shape == flow.velocity.shape[1:] == (5, 30, 34)
        assert (medium.fluid[2] == section.fluid[0]).all()
        assert medium.provenance["engine"] == "oneslice"
        assert flow.permeability > 0
    assert volumes[0].medium.fingerprint != volumes[1].medium.fingerprint


def test_a_draw_depends_on_the_seed_and_its_number_alone(model: SliceModel, section: rf.Microstructure):
    view = view_slices(section, 20e-6, slices=5)
    engine = OneSliceEngine(model)
    one, many, other = engine.draw(view, 1, 7), engine.draw(view, 9, 7), engine.draw(view, 1, 8)
    distances = [np.asarray(media[0].signed_distance) for media in (one, many, other)]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-8)
    assert np.abs(distances[0] - distances[2]).max() > 1e-8


def test_flow_along_y_is_that_along_x_of_the_section_with_its_axes_exchanged(model: SliceModel, section: rf.Microstructure):
    dz, dy, dx = section.spacing
    turned = replace(
        section,
        fluid=np.swapaxes(section.fluid, 1, 2),
        spacing=(dz, dx, dy),
        signed_distance=np.swapaxes(np.asarray(section.signed_distance), 1, 2),
    )
    engine = OneSliceEngine(model)
    along_x, along_y = (
        next(engine.volumes(view_slices(micro, 20e-6, slices=5), 1, seed=2, drive=rf.Drive(axis=axis)))
        for micro, axis in ((section, "x"), (turned, "y"))
    )
    first, second = np.swapaxes(along_y.flow.velocity[1], 1, 2), along_x.flow.velocity[0]
    assert np.linalg.norm(first - second) < 0.01 * np.linalg.norm(second)  # the section is solved to 1e-3 of K
    np.testing.assert_allclose(
        np.swapaxes(np.asarray(along_y.medium.signed_distance), 1, 2), along_x.medium.signed_distance, atol=2e-8
    )


def test_a_regression_has_no_spread_and_several_slices_are_refused(model: SliceModel, section: rf.Microstructure):
    expected = OneSliceEngine(model, expected=True).draw(view_slices(section, 20e-6, slices=5), 2, seed=0)
    np.testing.assert_array_equal(expected[0].signed_distance, expected[1].signed_distance)
    with pytest.raises(InvalidInputError, match="2 slices are known; needed: one"):
        OneSliceEngine(model).draw(view_slices([section, section], 20e-6, slices=5), 1, seed=0)


def test_a_model_of_volumes_is_no_predictor(model: SliceModel, tmp_path: Path):
    with pytest.raises(InvalidInputError, match="schema"):
        rf.load_model(model.save(tmp_path / "model"))


def test_questions_that_the_model_does_not_know_are_refused(model: SliceModel, section: rf.Microstructure):
    view = view_slices(section, 20e-6, slices=5)
    oblong = view_slices(replace(section, spacing=(1e-6, 2e-6, 1e-6)), 20e-6, slices=5)
    for asked, drive, said in (
        (view, rf.Drive(axis="z"), "needed: x or y"),
        (view, rf.Drive(lateral="no-slip"), "needed: 'pressure' and 'symmetry'"),
        (oblong, rf.Drive(), "needed: square pixels"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            next(OneSliceEngine(model).volumes(asked, 1, seed=0, drive=drive))
