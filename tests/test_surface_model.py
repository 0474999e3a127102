"""Claims about the network that finds fibre surfaces, whatever its weights are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.images import from_image
from resinflow.nn.surface_network import SurfaceNetwork
from resinflow.presets.surface import model as surface_model
from resinflow.presets.surface.model import SurfaceModel, _continued, load_surface_model, network_of
from resinflow.presets.surface.recipe import SurfaceArchitecture

ARCHITECTURE = SurfaceArchitecture(width=16, sample_width=16, precision="float32")


@pytest.fixture(scope="module")
def model() -> SurfaceModel:
    """Random weights, none of them zero, so that every part of the network is heard."""
    torch.manual_seed(0)
    network = network_of(ARCHITECTURE)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    return SurfaceModel("random", ARCHITECTURE, network)


def greys(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)


def test_single_images_do_not_see_each_other_and_slices_of_a_stack_do() -> None:
    torch.manual_seed(1)
    network = SurfaceNetwork(16, 16)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    image = torch.randn(1, 1, 3, 16, 16)
    other = image.clone()
    other[:, :, 2] += 1
    mask, step = torch.zeros(1), torch.ones(1)
    for stacked, alike in ((torch.zeros(1), True), (torch.ones(1), False)):
        first, second = (network(each, mask, step, stacked).distance[:, :, 0] for each in (image, other))
        assert torch.equal(first, second) is alike
    alone = network(image[:, :, :1], mask, step, None).distance
    torch.testing.assert_close(alone[:, :, 0], network(image, mask, step, torch.zeros(1)).distance[:, :, 0])


@pytest.mark.parametrize("step", [None, 3.0])
def test_a_large_image_has_no_seams(model: SurfaceModel, step: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles see as far beyond their edges as the network looks: the whole at once gives the same to rounding."""
    image = greys(1 if step is None else 2, 190, 210)
    whole = model.surfaces(image, dark=True, mask=False, step=step)
    monkeypatch.setattr(surface_model, "_TILE", 32)
    tiles = model.surfaces(image, dark=True, mask=False, step=step)
    np.testing.assert_allclose(tiles.distance, whole.distance, atol=2e-5)
    np.testing.assert_allclose(tiles.error, whole.error, rtol=1e-4)
    assert whole.displacements is not None
    assert tiles.displacements is not None
    np.testing.assert_allclose(tiles.displacements, whole.displacements, atol=2e-3)


def test_stacks_are_read_in_parts_without_seams(model: SurfaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    image = greys(40, 16, 16)
    whole = model.surfaces(image, dark=True, mask=False, step=2.0)
    monkeypatch.setattr(surface_model, "_TILE_SLICES", 8)
    parts = model.surfaces(image, dark=True, mask=False, step=2.0)
    np.testing.assert_allclose(parts.distance, whole.distance, atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 17, 33), (3, 16, 17), (2, 31, 16)])
def test_odd_sizes_are_read(model: SurfaceModel, shape: tuple[int, int, int]) -> None:
    surfaces = model.surfaces(greys(*shape), dark=False, mask=False, step=None if shape[0] == 1 else 2.0)
    assert surfaces.distance.shape == surfaces.error.shape == shape
    assert surfaces.displacements is not None
    assert surfaces.displacements.shape == (16, *shape)


def test_inverted_greys_with_the_other_polarity_are_the_same_image(model: SurfaceModel) -> None:
    image = greys(2, 20, 20)
    dark = model.surfaces(image, dark=True, mask=False, step=2.0)
    bright = model.surfaces(255 - image, dark=False, mask=False, step=2.0)
    np.testing.assert_allclose(bright.distance, dark.distance, atol=1e-4)
    evidence = [model.dark_fibres(each, mask=False, step=2.0) for each in (image, 255 - image)]
    assert evidence[0] == pytest.approx(-evidence[1], abs=1e-4)


def test_samples_differ_and_are_the_same_every_time(model: SurfaceModel) -> None:
    first, again = (model.surfaces(greys(2, 24, 24), dark=True, mask=False, step=2.0).displacements for _ in range(2))
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first, again)
    assert first.std(axis=0).min() > 0


def test_a_model_directory_gives_the_same_surfaces(model: SurfaceModel, tmp_path: Path) -> None:
    loaded = load_surface_model(model.save(tmp_path / "model"))
    image = greys(1, 20, 20)
    first, second = (each.surfaces(image, dark=True, mask=False, step=None) for each in (model, loaded))
    np.testing.assert_array_equal(first.distance, second.distance)
    with pytest.raises(InvalidInputError, match="there is no model 'nowhere'"):
        load_surface_model("nowhere")
    with pytest.raises(InvalidInputError, match="has schema 'resinflow-model-2'; needed: 'resinflow-surface-1'"):
        load_surface_model("small")


def test_no_wall_stands_in_the_middle_of_a_wide_pore() -> None:
    """A network says little there; what it says of pixels beside walls stays, also of fibres beyond the border."""
    y, x = np.mgrid[:48, :48]
    exact = (np.hypot(y - 12.3, x - 11.8) - 6.2)[None].repeat(3, axis=0).astype(np.float32)
    exact[0] = np.minimum(exact[0], np.hypot(y - 24, x - 51) - 4.5)  # in the lowest slice alone a second one shows
    said = exact.copy()
    said[:, 30:40, 20:30] = 0.4
    said[1, 22:27, 47] = 0.3  # where the second one has just left the image
    held = _continued(said)
    assert held[:, 30:40, 20:30].min() > 10
    np.testing.assert_allclose(held[1, 22:27, 47], 0.3)
    beside = np.abs(exact) < 1
    np.testing.assert_allclose(held[beside], said[beside])
    far = np.abs(exact[2]) > 5
    assert np.abs(held[2][far] - exact[2][far]).max() < 0.8


def test_a_configuration_of_huge_networks_is_compared_with_the_weights_before_they_are_made(
    model: SurfaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, made = model.save(tmp_path / "model"), []

    def recorded(architecture: SurfaceArchitecture) -> SurfaceNetwork:
        made.append(torch.get_default_device().type)
        return network_of(architecture)

    monkeypatch.setattr(surface_model, "network_of", recorded)
    document = json.loads((directory / "config.json").read_text())
    document["config"]["width"] = 4096
    (directory / "config.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match="does not fit the model's configuration"):
        load_surface_model(directory)
    assert made == ["meta"]


class Discs:
    """A front end that knows its surfaces."""

    name = "discs"

    def __init__(self, distance: np.ndarray, evidence: float) -> None:
        self.distance, self.evidence = distance, evidence

    def dark_fibres(self, image: np.ndarray, *, mask: bool, step: float | None) -> float:
        return self.evidence

    def surfaces(self, image: np.ndarray, *, dark: bool, mask: bool, step: float | None) -> object:
        from resinflow.media.front_end import FibreSurfaces

        shifts = np.full((3, *self.distance.shape), 0.25, np.float16)
        return FibreSurfaces(self.distance.astype(np.float32), np.full(self.distance.shape, 0.1, np.float32), shifts)


def read(image: np.ndarray, front_end: Discs, **options: object) -> Microstructure:
    return from_image(image, pixel_size=2e-6, depth=20e-6, front_end=front_end, **options)  # pyright: ignore[reportArgumentType]


def disc() -> np.ndarray:
    y, x = np.mgrid[:32, :32]
    return (np.hypot(y - 15.7, x - 15.2) - 9.3)[None]


def test_surfaces_samples_and_source_reach_the_medium_in_metres() -> None:
    distance = disc()
    image = np.where(distance > 0, 200, 60) + np.random.default_rng(0).integers(-9, 9, distance.shape)
    micro = read(image, Discs(distance, 9.0), slices=4)
    assert micro.signed_distance is not None
    np.testing.assert_allclose(micro.signed_distance[3], 2e-6 * distance[0], rtol=1e-6)
    assert micro.displacements is not None
    assert micro.displacements.shape == (3, 4, 32, 32)
    np.testing.assert_allclose(micro.displacements, 0.5e-6, rtol=1e-3)
    assert micro.provenance["surfaces"] == "grey"
    assert micro.provenance["surface"] == "read from the greys by the network discs"
    assert "network +9.0" in micro.provenance["notes"][-1]


def test_the_mask_stays_as_it_is_and_only_where_a_network_knows_fibres_it_gets_surfaces() -> None:
    distance = disc()
    off = distance + 0.8 * np.sin(np.arange(32))  # wrong by up to a pixel
    micro = read(distance > 0, Discs(off, 3.0), slices=2)
    np.testing.assert_array_equal(micro.fluid[0], distance[0] > 0)
    assert micro.signed_distance is not None
    np.testing.assert_array_equal(micro.signed_distance > 0, micro.fluid)
    assert micro.provenance["surfaces"] == "mask"
    unknown = read(distance > 0, Discs(off, -3.0), slices=2)
    assert unknown.signed_distance is None
    assert "surfaces" not in unknown.provenance


def test_an_image_that_nobody_can_decide_is_refused_with_the_way_out() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (48, 48))
    with pytest.raises(InvalidInputError, match="--fibres dark or --fibres bright"):
        read(noise, Discs(disc(), 0.0))
