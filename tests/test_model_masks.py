"""Where conditions and targets of the networks are defined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resinflow.data.check_flow import passable_voxels
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.features import CHANNELS, build_conditions, build_target, fluid_mask, open_mask, target_mask
from resinflow.models.start import start_flows


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.45, diameter=9e-6, misalignment=10)
    return fibre_bundle((4, 32, 32), (16e-6, 25e-6, 25e-6), seed=4, settings=settings)


@pytest.mark.parametrize("base", ["grid", "response"])
def test_masks_are_those_of_the_medium_and_its_base_flow(micro: Microstructure, base: str) -> None:
    start = start_flows(micro, base=base, axis="x", pressure_drop=1e5, viscosity=0.1)
    fields = torch.from_numpy(build_conditions(start.planar, start.base).fields)[None]
    assert np.array_equal(fluid_mask(fields)[0, 0].numpy() > 0, micro.fluid)
    assert np.array_equal(open_mask(fields)[0, 0].numpy() > 0, start.base.open_voxels)
    defined = target_mask(fields)[0].numpy() > 0
    assert all(np.array_equal(defined[k], start.base.open_voxels) for k in range(3))
    assert np.array_equal(defined[3], micro.fluid)


def test_a_base_that_knows_the_surfaces_opens_the_voxels_that_they_cut(micro: Microstructure) -> None:
    start = start_flows(micro, base="grid", axis="x", pressure_drop=1e5, viscosity=0.1)
    opened = start.base.open_voxels
    assert (opened & ~micro.fluid).sum() > 0.05 * micro.fluid.sum()
    assert not (opened & ~passable_voxels(micro)).any()
    response = start_flows(micro, base="response", axis="x", pressure_drop=1e5, viscosity=0.1).base
    assert np.array_equal(response.open_voxels, micro.fluid)


def test_networks_see_and_learn_nothing_where_no_resin_passes(micro: Microstructure) -> None:
    start = start_flows(micro, base="grid", axis="x", pressure_drop=1e5, viscosity=0.1)
    conditions = build_conditions(start.planar, start.base)
    target = build_target(start.planar, start.base, conditions)
    closed, solid = ~start.base.open_voxels, ~micro.fluid
    base = [CHANNELS.index(name) for name in ("base_vx", "base_vy", "base_vz")]
    assert np.abs(conditions.fields[base][:, solid]).max() > 0
    assert not conditions.fields[base][:, closed].any()
    assert not conditions.fields[CHANNELS.index("base_pressure"), solid].any()
    assert not target[:3, closed].any()
    assert not target[3, solid].any()
