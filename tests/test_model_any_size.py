"""Claims about size: one model predicts media of any height, width and depth, and far things do not change what is near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from resinflow.data.check_flow import passable_voxels
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.predictor import Sampling
from resinflow.models.start import StartFlows, start_flows
from resinflow.nn.blocks import FOLD
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import LatentArchitecture

VOXEL = 50e-6 / 64
DEPTH_VOXEL = 50e-6 / 11
TOY = LatentArchitecture(latent_channels=2, width=8, blocks=(1, 1, 1, 1), denoiser_blocks=1, sampler_steps=1, samples=2)
REACH = 25
"""Rows that a voxel of the toy sees to each side: six 3 x 3 x 3 convolutions on the folded grid (encoder_2d, denoiser and
decoder_3d have two each), and the neighbour beside it when velocities go over the faces."""


def toy(config: LatentArchitecture = TOY) -> LatentPredictor:
    """A model with random weights: what it predicts is wrong, but reacts to all that it sees."""
    networks = LatentDiffusion(config)
    generator = torch.Generator().manual_seed(3)
    for weight in networks.parameters():
        fan = weight[0].numel() if weight.dim() > 1 else 100
        weight.data.normal_(std=fan**-0.5, generator=generator)
    networks.target_scale.fill_(0.1)
    return LatentPredictor("toy", config, networks)


@pytest.fixture(scope="module")
def model() -> LatentPredictor:
    return toy()


def bundle(nz: int, ny: int, nx: int) -> Microstructure:
    extent = (nz * DEPTH_VOXEL, ny * VOXEL, nx * VOXEL)
    settings = BundleSettings(volume_fraction=0.45, diameter=9e-6, misalignment=10)
    return fibre_bundle((nz, ny, nx), extent, seed=4, settings=settings)


def largest_imbalance(flow: FlowField) -> float:
    """Largest net outflow of a voxel over the largest flow through a voxel face."""
    assert flow.face_velocity is not None
    dz, dy, dx = flow.microstructure.spacing
    areas = (dy * dz, dx * dz, dx * dy)
    rates = [face.astype(np.float64) * area for face, area in zip(flow.face_velocity, areas, strict=True)]
    outflow = np.diff(rates[0], axis=2) + np.diff(rates[1], axis=1) + np.diff(rates[2], axis=0)
    return float(np.abs(outflow).max() / max(np.abs(rate).max() for rate in rates))


def check_prediction(flow: FlowField, micro: Microstructure) -> None:
    """Finite, of the medium's shape, at rest inside the fibres, and mass is conserved in every voxel."""
    assert flow.velocity.shape == (3, *micro.shape)
    assert flow.pressure.shape == micro.shape
    assert np.isfinite(flow.velocity).all()
    assert np.isfinite(flow.pressure).all()
    assert not flow.velocity[:, ~passable_voxels(micro)].any()
    assert np.abs(flow.velocity).max() > 0
    assert largest_imbalance(flow) < 1e-5


@pytest.mark.parametrize(
    "shape",
    [(11, 64, 64), (2, 200, 300), (40, 32, 32), (3, 30, 45), (2, 17, 23), (1, 24, 32)],
    ids=lambda shape: "x".join(str(count) for count in shape),
)
def test_a_prediction_of_any_size_has_the_shape_of_its_medium_and_conserves_mass(
    model: LatentPredictor, shape: tuple[int, int, int]
) -> None:
    micro = bundle(*shape)
    flow = model.predict(micro)
    check_prediction(flow, micro)
    assert flow.permeability > 0


@pytest.mark.slow
def test_a_prediction_of_a_piece_400_um_wide_conserves_mass(model: LatentPredictor) -> None:
    micro = bundle(11, 512, 512)
    check_prediction(model.predict(micro), micro)


@pytest.mark.parametrize(("shape", "told"), [((2, 32, 40), False), ((2, 30, 40), True), ((2, 32, 42), True)])
def test_only_sizes_that_the_strides_do_not_divide_are_told_to_be_continued(
    model: LatentPredictor, shape: tuple[int, int, int], told: bool
) -> None:
    report = model.predict(bundle(*shape), samples=1).report
    assert isinstance(report, ModelReport)
    assert bool(report.warnings) == told


def rows(start: StartFlows, first: int, last: int) -> StartFlows:
    """The part of two flows between two rows (y), as if it were a medium of its own."""
    micro = start.planar.microstructure
    distance = micro.signed_distance
    part = Microstructure(
        micro.fluid[:, first:last], micro.spacing, None if distance is None else distance[:, first:last], micro.provenance
    )

    def cut(flow: FlowField) -> FlowField:
        return replace(
            flow,
            microstructure=part,
            velocity=flow.velocity[:, :, first:last],
            pressure=flow.pressure[:, first:last],
            face_velocity=None,
        )

    return StartFlows(cut(start.planar), cut(start.base))


@pytest.fixture(scope="module")
def large() -> StartFlows:
    return start_flows(bundle(3, 96, 32), base="grid", axis="x", pressure_drop=1e5, viscosity=0.1)


@pytest.fixture(scope="module")
def local_model(large: StartFlows) -> LatentPredictor:
    """A toy with one unit of speed for all pieces of the large medium and without projection, which balances mass over all
    of a medium: nothing but the networks is compared, in single precision, which reaches further than bfloat16."""
    return toy(TOY.model_copy(update={"speed": large.base.rms_speed, "precision": "float32"}))


def differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Largest difference of two velocities in every row, over the largest speed."""
    return np.abs(one - other).max(axis=(0, 1, 3)) / np.abs(one).max()


def test_the_interior_does_not_depend_on_padding_far_from_it(local_model: LatentPredictor, large: StartFlows) -> None:
    # 93 rows are continued to 96: same noise as for all 96, and other fields in the last rows alone
    whole = local_model.ensemble(large, Sampling(samples=1, seed=5, project=False)).flow
    padded = local_model.ensemble(rows(large, 0, 93), Sampling(samples=1, seed=5, project=False)).flow
    found = differences(whole.velocity[:, :, :93], padded.velocity)
    first_changed = 96 - FOLD  # the folded row that holds the padding
    assert found[: first_changed - REACH].max() < 1e-6
    assert found[first_changed:].max() > 1e-4


def test_a_piece_is_predicted_alike_wherever_it_lies(local_model: LatentPredictor, large: StartFlows) -> None:
    shift = 3 * FOLD
    whole = local_model.mean_latent(large, project=False)
    piece = local_model.mean_latent(rows(large, shift, 96), project=False)
    found = differences(whole.velocity[:, :, shift:], piece.velocity)
    assert found[REACH:].max() < 1e-6
    assert found[:REACH].max() > 1e-4
