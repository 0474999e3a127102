import warnings
from dataclasses import replace

import numpy as np
import pytest

from resinflow.evaluate.metrics import compare, pressure_error, top_speed_iou, velocity_scores
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport


def channel(nz=3, ny=20, nx=12, wall=3, pressure_drop=100.0, viscosity=0.2):
    """Analytic flow between two plates normal to y, along x."""
    spacing = (2e-6, 1e-6, 1.5e-6)
    fluid = np.ones((nz, ny, nx), dtype=bool)
    fluid[:, :wall] = fluid[:, ny - wall :] = False
    micro = Microstructure(fluid, spacing)
    height = (ny - 2 * wall) * spacing[1]
    y = (np.arange(ny) - wall + 0.5) * spacing[1]
    length = nx * spacing[2]
    velocity = np.zeros((3, nz, ny, nx))
    velocity[0] = (pressure_drop / length / (2 * viscosity) * y * (height - y))[None, :, None]
    velocity *= fluid
    pressure = np.broadcast_to(pressure_drop * (1 - (np.arange(nx) + 0.5) / nx), fluid.shape) * fluid
    return FlowField(micro, velocity, pressure, "x", pressure_drop, viscosity)


def swirling(seed=0, **kwargs):
    """A channel flow with something in every component."""
    flow = channel(**kwargs)
    noise = np.random.default_rng(seed).normal(size=flow.velocity.shape) * flow.velocity[0].max() * 0.3
    return replace(flow, velocity=(flow.velocity + noise) * flow.microstructure.fluid)


def test_a_perfect_prediction_has_no_error():
    truth = swirling()
    scores = compare(truth, truth)
    assert scores.velocity_error == scores.pressure_error == scores.permeability_error == 0.0
    assert scores.mae.total == scores.rmse.z == scores.nmae.y == 0.0
    assert scores.cosine.total == pytest.approx(1.0)
    assert scores.top_speed_iou == 1.0


def test_a_zero_prediction_has_relative_error_one():
    truth = swirling()
    zero = replace(truth, velocity=np.zeros_like(truth.velocity), pressure=np.zeros_like(truth.pressure))
    scores = compare(zero, truth)
    for number in (scores.relative_l2, scores.nmae):
        assert (number.total, number.x, number.y, number.z) == pytest.approx((1, 1, 1, 1))
    assert scores.permeability_bias == pytest.approx(-1.0)
    assert scores.permeability_error == pytest.approx(1.0)
    assert scores.pressure_error == pytest.approx(1.0)
    assert scores.top_speed_iou == pytest.approx(0.1 / 1.9, rel=0.02)
    assert np.isnan(scores.cosine.total)


def test_a_prediction_ten_per_cent_high_errs_by_ten_per_cent_everywhere():
    truth = swirling()
    scores = compare(replace(truth, velocity=1.1 * truth.velocity), truth)
    assert scores.relative_l2.total == pytest.approx(0.1)
    assert scores.relative_l2.z == pytest.approx(0.1)
    assert scores.nmae.total == pytest.approx(0.1)
    assert scores.permeability_bias == pytest.approx(0.1)
    assert scores.cosine.total == pytest.approx(1.0)
    assert scores.top_speed_iou == 1.0


def test_only_fluid_voxels_count():
    truth = swirling()
    solid = ~truth.microstructure.fluid
    dirty = replace(truth, velocity=truth.velocity + 5.0 * solid, pressure=truth.pressure - 1e6 * solid)
    scores = compare(dirty, truth)
    assert scores.velocity_error == 0.0
    assert scores.pressure_error == 0.0
    assert scores.physics.velocity_in_solid > 0.0


def test_absolute_errors_are_means_over_voxels_and_components():
    truth = channel()
    shifted = truth.velocity.copy()
    shifted[0] += 3e-6
    shifted[2] -= 4e-6
    prediction = replace(truth, velocity=shifted)
    scores = velocity_scores(prediction, truth)
    mae, rmse = scores["mae"], scores["rmse"]
    assert (mae.x, mae.y, mae.z, mae.total) == pytest.approx((3e-6, 0, 4e-6, 7e-6 / 3))
    assert rmse.total == pytest.approx(5e-6 / np.sqrt(3))


def test_an_absent_component_has_no_relative_error_but_counts_in_the_total():
    truth = channel(nz=1)
    prediction = replace(truth, velocity=truth.velocity + np.array([0, 0, 1e-6]).reshape(3, 1, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare(prediction, truth)
    assert np.isnan(scores.relative_l2.z)
    assert np.isnan(scores.nmae.z)
    assert scores.mae.z == pytest.approx(1e-6)
    assert scores.relative_l2.total > 0.0


def test_rounding_noise_in_an_absent_component_is_no_component():
    truth = channel(nz=1)
    noisy = truth.velocity.copy()
    noisy[2] = 1e-9 * noisy[0]
    assert np.isnan(compare(truth, replace(truth, velocity=noisy)).relative_l2.z)


def test_a_medium_at_rest_gives_nan_and_no_warning():
    still = replace(channel(), velocity=np.zeros((3, 3, 20, 12)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare(channel(), still)
    assert np.isnan(scores.velocity_error)
    assert np.isnan(scores.permeability_error)


def test_an_all_solid_medium_gives_nan_and_no_warning():
    micro = Microstructure(np.zeros((2, 4, 4), dtype=bool), (1e-6, 1e-6, 1e-6))
    still = FlowField(micro, np.zeros((3, 2, 4, 4)), np.zeros((2, 4, 4)), "x", 1.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare(still, still)
    assert np.isnan(scores.top_speed_iou)
    assert np.isnan(scores.mae.total)


def with_speed(values):
    micro = Microstructure(np.ones((1, 1, len(values)), dtype=bool), (1e-6, 1e-6, 1e-6))
    velocity = np.zeros((3, 1, 1, len(values)))
    velocity[0, 0, 0] = values
    return FlowField(micro, velocity, np.zeros((1, 1, len(values))), "x", 1.0, 1.0)


def test_the_fast_voxels_are_the_fastest_tenth_and_not_the_rest():
    speed = np.arange(1.0, 101.0)
    half_right = speed.copy()
    half_right[90:95] = 0.5  # five of the ten fastest are missed; 86..90 take their place
    assert top_speed_iou(with_speed(half_right), with_speed(speed)) == pytest.approx(5 / 15)


def test_independent_fields_share_as_many_fast_voxels_as_chance_gives():
    rng = np.random.default_rng(1)
    found = top_speed_iou(with_speed(rng.random(20000)), with_speed(rng.random(20000)))
    assert found == pytest.approx(0.1 / 1.9, abs=0.01)


def test_ties_at_the_threshold_do_not_depend_on_the_order_of_the_voxels():
    rng = np.random.default_rng(2)
    true, found = rng.integers(0, 5, 200).astype(float), rng.integers(0, 5, 200).astype(float)
    order = rng.permutation(200)
    assert top_speed_iou(with_speed(true), with_speed(true)) == 1.0
    assert top_speed_iou(with_speed(found), with_speed(true)) == pytest.approx(
        top_speed_iou(with_speed(found[order]), with_speed(true[order]))
    )


def test_a_constant_pressure_offset_is_no_error():
    truth = channel()
    assert pressure_error(replace(truth, pressure=truth.pressure + 1e5), truth) == pytest.approx(0.0, abs=1e-9)
    assert pressure_error(replace(truth, pressure=0.9 * truth.pressure), truth) == pytest.approx(0.1)


def test_scores_do_not_depend_on_the_units_of_velocity():
    small, large = swirling(pressure_drop=1e-6), swirling(pressure_drop=1e9)
    scores = [compare(replace(f, velocity=f.velocity * 1.05 + f.velocity.max() * 0.01), f) for f in (small, large)]
    assert scores[0].relative_l2.total == pytest.approx(scores[1].relative_l2.total)
    assert scores[0].cosine.total == pytest.approx(scores[1].cosine.total)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: channel(wall=4), "different media"),
        (lambda: replace(channel(), axis="y"), "same axis"),
        (lambda: replace(channel(), viscosity=0.1), "viscosity"),
        (lambda: replace(channel(), pressure_drop=1.0), "pressure_drop"),
    ],
)
def test_flows_of_two_problems_are_not_compared(other, said):
    with pytest.raises(InvalidInputError, match=said) as error:
        compare(other(), channel())
    assert "\n" not in str(error.value)


def test_the_dictionary_is_flat_and_the_time_comes_from_the_report():
    truth = swirling()
    prediction = replace(truth, report=ModelReport("small", "heun", 4, 0, 1, wall_time=0.25))
    values = compare(prediction, truth).to_dict()
    assert values["seconds"] == 0.25
    assert {"relative_l2", "relative_l2_z", "nmae_x", "divergence", "velocity_in_solid"} <= set(values)
    assert all(isinstance(value, float) for value in values.values())


def test_printing_a_comparison_names_the_error_of_k_in_per_cent():
    truth = swirling()
    assert "error +10.00 %" in str(compare(replace(truth, velocity=1.1 * truth.velocity), truth))
