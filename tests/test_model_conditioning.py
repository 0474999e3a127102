"""Claims about what the networks see, and about the exact symmetries."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Axis, Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.correction import conditions_of, dimensional
from resinflow.models.features import (
    CHANNELS,
    GEOMETRY_CHANNELS,
    TARGETS,
    Inputs,
    Learns,
    Mirror,
    build_conditions,
    build_target,
    mirror_fields,
    mirror_pair,
)
from resinflow.models.start import start_flows
from resinflow.stokes.solve import solve

_AXES = {"z": 0, "y": 1, "x": 2}


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=12)
    return fibre_bundle((3, 20, 24), (12e-6, 25e-6, 30e-6), seed=3, settings=settings)


def pair(medium: Microstructure, pressure_drop: float = 1e5, viscosity: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    start = start_flows(medium, base="response", axis="x", pressure_drop=pressure_drop, viscosity=viscosity)
    truth = solve(medium, pressure_drop=pressure_drop, viscosity=viscosity, tolerance=1e-9, wall_rule="plain")
    conditions = build_conditions(start.planar, start.base)
    return torch.from_numpy(conditions.fields), torch.from_numpy(build_target(truth, start.base, conditions))


@pytest.mark.parametrize("mirror", ["x", "y", "z"])
def test_mirrored_conditions_and_targets_are_those_of_the_mirrored_medium(
    micro: Microstructure, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resinflow.models.start.CONDITION_TOLERANCE", 1e-4)
    assert micro.signed_distance is not None
    fluid, distance = (np.flip(field, _AXES[mirror]) for field in (micro.fluid, micro.signed_distance))
    mirrored = Microstructure(fluid, micro.spacing, distance)
    expected_conditions, expected_target = pair(mirrored)
    conditions, target = mirror_pair(*pair(micro), mirror)
    for number, name in enumerate(CHANNELS):
        scale = expected_conditions[number].abs().max() + 1e-3
        assert (conditions[number] - expected_conditions[number]).abs().max() < 2e-3 * scale, name
    for number, name in enumerate(TARGETS):
        assert (target[number] - expected_target[number]).abs().max() < 2e-3 * target.abs().max(), name
    assert target.abs().max() > 0.05


def test_another_resin_and_pressure_give_the_same_network_input(micro: Microstructure) -> None:
    conditions, target = pair(micro)
    other_conditions, other_target = pair(micro, pressure_drop=3e4, viscosity=7.0)
    assert torch.allclose(conditions, other_conditions, atol=1e-4)
    assert torch.allclose(target, other_target, atol=1e-4)


def test_flows_and_targets_vanish_in_the_fibres_where_the_wall_distance_is_negative(micro: Microstructure) -> None:
    conditions, target = pair(micro)
    solid = torch.from_numpy(~micro.fluid)
    assert conditions[GEOMETRY_CHANNELS:, solid].abs().max() == 0
    assert target[:, solid].abs().max() == 0
    wall = conditions[CHANNELS.index("wall")]
    assert wall[solid].max() <= 0 < wall[~solid].min()


def test_hidden_conditions_are_zero_and_the_others_as_they_were(micro: Microstructure) -> None:
    start = start_flows(micro, base="response", axis="x", pressure_drop=1e5, viscosity=0.1)
    whole = build_conditions(start.planar, start.base).fields
    partly = build_conditions(start.planar, start.base, hidden=("planar_pressure", "step_up")).fields
    gone = [CHANNELS.index("planar_pressure"), CHANNELS.index("step_up")]
    assert np.abs(whole[gone]).max() > 0
    assert np.abs(partly[gone]).max() == 0
    kept = [number for number in range(len(CHANNELS)) if number not in gone]
    assert np.array_equal(partly[kept], whole[kept])


def test_a_given_unit_of_velocity_scales_flows_and_targets_alike(micro: Microstructure) -> None:
    start = start_flows(micro, base="response", axis="x", pressure_drop=1e5, viscosity=0.1)
    own = build_conditions(start.planar, start.base)
    twice = build_conditions(start.planar, start.base, speed=2 * own.speed)
    first = CHANNELS.index("base_vx")
    np.testing.assert_allclose(2 * twice.fields[first : first + 3], own.fields[first : first + 3], rtol=1e-5)
    target, half = (build_target(solve(micro, wall_rule="plain"), start.base, conditions) for conditions in (own, twice))
    np.testing.assert_allclose(2 * half[:3], target[:3], rtol=1e-5)
    np.testing.assert_allclose(half[3], target[3])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_networks_that_learn_the_flow_leave_the_base_flow_out_of_it(micro: Microstructure, axis: Axis) -> None:
    start = start_flows(micro, base="response", axis=axis, pressure_drop=1e5, viscosity=0.1)
    correction, flow = (conditions_of(start, Inputs(base="response", learns=learns)) for learns in get_args(Learns))
    assert np.array_equal(flow.fields, correction.fields)
    found = [dimensional(start, told, np.zeros((1, 4, *told.fields.shape[1:])))[0] for told in (correction, flow)]
    assert not found[0].any()
    # no output is no flow, under a pressure that falls evenly
    np.testing.assert_allclose(found[1][:3], -start.base.velocity, rtol=1e-5)
    count = micro.shape[2 if axis == "x" else 1]
    profile = 1e5 * (1 - (np.arange(count) + 0.5) / count)
    profile = profile if axis == "x" else profile[:, None]
    pressure = (start.base.pressure + found[1][3])[micro.fluid]
    np.testing.assert_allclose(pressure, np.broadcast_to(profile, micro.shape)[micro.fluid], rtol=1e-4)


def test_the_target_of_the_flow_gives_the_flow_back(micro: Microstructure) -> None:
    start = start_flows(micro, base="response", axis="x", pressure_drop=1e5, viscosity=0.1)
    truth = solve(micro, wall_rule="plain")
    for learns in get_args(Learns):
        conditions = conditions_of(start, Inputs(base="response", learns=learns))
        changes = dimensional(start, conditions, build_target(truth, start.base, conditions)[None])[0]
        error = start.base.velocity + changes[:3] - truth.velocity * start.base.open_voxels
        assert np.abs(error).max() < 1e-5 * truth.speed.max()
        assert np.abs((start.base.pressure + changes[3] - truth.pressure)[micro.fluid]).max() < 1


def test_conditions_of_two_media_do_not_mix(micro: Microstructure) -> None:
    other = fibre_bundle((3, 20, 24), (12e-6, 25e-6, 30e-6), seed=4, volume_fraction=0.3)
    planar = start_flows(micro, base="response", axis="x", pressure_drop=1e5, viscosity=0.1).planar
    response = start_flows(other, base="response", axis="x", pressure_drop=1e5, viscosity=0.1).base
    with pytest.raises(InvalidInputError, match="differ in medium"):
        build_conditions(planar, response)


@pytest.mark.parametrize("mirrors", [("x", "y"), ("y", "z"), ("x", "z"), ("x", "y", "z")])
def test_mirroring_along_several_axes_at_once_is_mirroring_one_by_one(mirrors: tuple[Mirror, ...]) -> None:
    fields = torch.randn(len(CHANNELS), 3, 4, 5)
    one_by_one = fields
    for mirror in mirrors:
        one_by_one = mirror_fields(one_by_one, CHANNELS, mirror)
    assert torch.equal(mirror_fields(fields, CHANNELS, *mirrors), one_by_one)
    assert torch.equal(mirror_fields(one_by_one, CHANNELS, *mirrors), fields)
